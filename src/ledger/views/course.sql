create view phases as
select
    p.run,
    p.v,
    p.run || ':' || p.v as event,
    p.phase,
    make_timestamp(p.at_ns // 1000) as entered_at,
    make_timestamp(p.left_ns // 1000) as left_at,
    (coalesce(p.left_ns, l.last_ns) - p.at_ns) / 1e9 as duration_s,
    (select count(*) from columns.event as e where e.run = p.run and e.v > p.v and e.v < p.until_v) as events,
    (
        select count(*) from columns.patch as x
        where x.run = p.run and x.outcome = 'applied' and x.v > p.v and x.v < p.until_v
    ) as patches
from (
    select
        run, v, at_ns, data ->> '$.phase' as phase,
        lead(at_ns) over (partition by run order by v) as left_ns,
        coalesce(lead(v) over (partition by run order by v), 2147483647) as until_v
    from columns.event
    where kind = 'phase.entered'
) as p
join (select run, max(at_ns) as last_ns from columns.event group by run) as l on l.run = p.run;
comment on view phases is 'One row for each visit of a run to a phase.';
comment on column phases.run is 'Name of the run';
comment on column phases.v is 'Version of the event that entered it';
comment on column phases.event is 'Reference of that event';
comment on column phases.phase is '`P1` to `P6`';
comment on column phases.entered_at is 'When (UTC)';
comment on column phases.left_at is 'When the next phase was entered; NULL: the run is still in it (UTC)';
comment on column phases.duration_s is 'Time in it; of the last visit, to the run''s last event (seconds)';
comment on column phases.events is 'Events during the visit (count)';
comment on column phases.patches is 'Patches applied during the visit (count)';

create view tickets as
select
    o.run,
    o.v,
    o.run || ':' || o.v as event,
    o.data ->> '$.gate' as gate,
    c.v is null as open,
    make_timestamp(o.at_ns // 1000) as opened_at,
    make_timestamp(c.at_ns // 1000) as closed_at,
    o.run || ':' || (o.data ->> '$.measured_v') as opened_by,
    o.run || ':' || (c.data ->> '$.measured_v') as closed_by,
    o.run || ':' || (c.data ->> '$.fixed_v') as fixed_by
from columns.event as o
left join columns.event as c
    on c.run = o.run and c.kind = 'ticket.closed' and (c.data ->> '$.ticket_v')::integer = o.v
where o.kind = 'ticket.opened';
comment on view tickets is 'One row for each ticket of a soft gate: what opened it, and what closed it.';
comment on column tickets.run is 'Name of the run';
comment on column tickets.v is 'Version of the event that opened it';
comment on column tickets.event is 'Reference of that event';
comment on column tickets.gate is 'Name of the gate';
comment on column tickets.open is 'Whether it is open';
comment on column tickets.opened_at is 'When it was opened (UTC)';
comment on column tickets.closed_at is 'When it was closed; NULL: it is open (UTC)';
comment on column tickets.opened_by is 'Measurement that failed';
comment on column tickets.closed_by is 'Measurement that passed again; NULL: it is open';
comment on column tickets.fixed_by is 'Event that made the state on which it passed; NULL: it is open';

create view checks as
select
    run,
    v,
    run || ':' || v as event,
    make_timestamp(at_ns // 1000) as recorded_at,
    check_ ->> '$.rule' as rule,
    check_ ->> '$.glob' as pattern,
    (check_ ->> '$.matches')::bigint as matches,
    ((check_ ->> '$.matches')::bigint > 0) = (check_ ->> '$.rule' = 'must-exist') as holds,
    (check_ -> '$.found')::varchar[] as found,
    data ->> '$.tree' as tree
from (
    select run, v, at_ns, data, unnest((data -> '$.checks')::json[]) as check_
    from columns.event
    where kind = 'checks.verified'
);
comment on view checks is 'One row for each must-exist or must-not-exist check of a tree, and what it found.';
comment on column checks.run is 'Name of the run';
comment on column checks.v is 'Version of the event';
comment on column checks.event is 'Reference of the event';
comment on column checks.recorded_at is 'When (UTC)';
comment on column checks.rule is '`must-exist` or `must-not-exist`';
comment on column checks.pattern is 'Glob of the paths that were looked for';
comment on column checks.matches is 'Files that it matches (count)';
comment on column checks.holds is 'Whether the check holds';
comment on column checks.found is 'Some of the files that it matches';
comment on column checks.tree is 'Git tree that was looked through (hexadecimal)';
