-- One row for each gate of each profile of each policy that was set. `in_force` marks the profile that counted from
-- there on; thresholds are in the metric's unit, `timeout_s` in seconds.
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
