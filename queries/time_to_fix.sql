-- How long did it take from a failure to its fix?
--
-- Grain:   one row for each ticket of a soft gate, the open ones first, then the slowest.
-- Columns: run, gate
--          ticket       event that opened it
--          opened_by    measurement that failed
--          closed_by    measurement that passed again; NULL: the ticket is open
--          fixed_by     event that made the state on which it passed
--          opened_at    (UTC)
--          took_s       from the one measurement to the other; of an open ticket, to the run's last event (seconds)
--          attempts     measurements of the gate in between that did not pass (count)
--          patches      patches applied in between (count)
-- Params:  run          a run; not given: all of them
-- Events:  ticket.opened, ticket.closed, gate.measured, patch.applied
with spans as (
    select
        t.*,
        split_part(t.opened_by, ':', 2)::integer as from_v,
        coalesce(split_part(t.closed_by, ':', 2)::integer, last.v) as until_v,
        coalesce(t.closed_at, last.at) as until_at
    from tickets as t
    join (select run, max(v) as v, max(recorded_at) as at from events group by run) as last using (run)
    where ($run is null or t.run = $run)
)
select
    run,
    gate,
    event as ticket,
    opened_by,
    closed_by,
    fixed_by,
    opened_at,
    round(epoch(until_at) - epoch(opened_at), 3) as took_s,
    (
        select count(*) from gates as g
        where g.run = s.run and g.gate = s.gate and g.v > from_v and g.v <= until_v and g.verdict <> 'pass'
    ) as attempts,
    (
        select count(*) from patches as p
        where p.run = s.run and p.outcome = 'applied' and p.v > from_v and p.v <= until_v
    ) as patches
from spans as s
order by open desc, took_s desc, run, v;
