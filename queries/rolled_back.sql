-- What was rolled back, why, and did it come back?
--
-- Grain:   one row for each patch that a rollback took away, the newest first.
-- Columns: run
--          patch        event of the patch
--          source       file it came from; "" is an edit made by hand
--          rolled_back_by   event that took it away
--          recorded_at  when that was (UTC)
--          failed       gates whose measurement led to it; empty: somebody undid it
--          came_back_as the first later event that took the same patch again; NULL: it never did
--          stands       whether any later event with the same patch is still part of the candidate
-- Params:  run          a run; not given: all of them
-- Events:  patch.applied, patch.rolled_back, gate.measured
with gone as (
    select run, v as back_v, unnest((data -> '$.patches')::integer[]) as v, (data -> '$.measured')::integer[] as measured
    from events
    where kind = 'patch.rolled_back' and ($run is null or run = $run)
)
select
    p.run,
    p.event as patch,
    p.source,
    b.event as rolled_back_by,
    b.recorded_at,
    coalesce(
        (select list(distinct m.gate order by m.gate) from gates as m
        where m.run = g.run and list_contains(g.measured, m.v)),
        []
    ) as failed,
    arg_min(again.event, again.v) as came_back_as,
    coalesce(bool_or(again.event is not null and again.rolled_back_by is null), false) as stands
from gone as g
join patches as p using (run, v)
join events as b on b.run = g.run and b.v = g.back_v
left join patches as again
    on again.run = p.run and again.body = p.body and again.outcome = 'applied' and again.v > g.back_v
group by p.run, p.event, p.source, p.v, b.event, b.recorded_at, g.run, g.measured
order by b.recorded_at desc, p.run, p.v desc;
