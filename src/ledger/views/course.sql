-- One row for each visit to a phase: when, how long (seconds), and what happened in it.
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

-- One row for each ticket of a soft gate: the measurement that opened it, and the one and the state that closed it.
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

-- One row for each must-exist or must-not-exist check of a result tree, and what it found.
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
