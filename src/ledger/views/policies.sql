create view policies as
select
    r.run,
    r.v,
    r.run || ':' || r.v as event,
    make_timestamp(e.at_ns // 1000) as recorded_at,
    r.profile,
    r.in_force,
    r.gate,
    r.mode,
    r.metric,
    r.better,
    r.threshold,
    r.min_examined,
    r.baseline,
    r.allow_fewer,
    r.allow_flaky,
    r.timeout_s,
    r.command,
    r.reason,
    e.data ->> '$.source' as source,
    coalesce((e.data -> '$.weakened')::varchar[], []) as weakened,
    r.definition
from columns.rule as r
join columns.event as e on e.run = r.run and e.v = r.v;
comment on view policies is 'One row for each gate of each profile of each policy that was set.';
comment on column policies.run is 'Name of the run';
comment on column policies.v is 'Version of the event that set the policy';
comment on column policies.event is 'Reference of that event';
comment on column policies.recorded_at is 'When (UTC)';
comment on column policies.profile is 'Name of the profile';
comment on column policies.in_force is 'Whether the profile counted from there on';
comment on column policies.gate is 'Name of the gate';
comment on column policies.mode is '`strict` (decides what is accepted), `soft` (opens tickets) or `off`';
comment on column policies.metric is 'Number of the report that decides';
comment on column policies.better is '`lower` or `higher`: which side of the threshold passes';
comment on column policies.threshold is 'Worst value that passes (the metric''s unit)';
comment on column policies.min_examined is 'Least that has to be examined for a pass (count)';
comment on column policies.baseline is 'Whether the metric may not be worse than the accepted state''s';
comment on column policies.allow_fewer is 'Whether fewer tests than in the accepted state may run';
comment on column policies.allow_flaky is 'Whether a pass counts beside a failure on the same tree';
comment on column policies.timeout_s is 'Longest time for one measurement (seconds)';
comment on column policies.command is 'Commands that measure, joined by ` && `';
comment on column policies.reason is 'Why the gate is off or eased, as configured; empty: not said';
comment on column policies.source is 'Where the policy was read';
comment on column policies.weakened is 'Where it asks for less than the policy before, in words';
comment on column policies.definition is 'SHA-256 of what is measured and how: verdicts of other definitions do not count (hexadecimal)';
