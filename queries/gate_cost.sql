-- What do the gates cost, and how much of it told nothing new?
--
-- Grain:   one row for each gate, the most expensive first.
-- Columns: gate
--          measured     measurements (count)
--          total_s      time that they took (seconds)
--          share        of the time of all gates (0 to 1)
--          median_s     median (seconds)
--          longest_s    longest (seconds)
--          longest      that measurement; of several, the newest
--          repeated     measurements of a tree that had been measured before, with the same definition in the
--                       same environment (count); they show flakiness, and else nothing
--          repeated_s   time that these took (seconds)
--          inconclusive_s   time of those that came to no verdict (seconds)
-- Params:  run          a run; not given: all of them
-- Events:  gate.measured
with each as (
    select
        *,
        row_number() over (partition by run, gate, tree, definition, environment order by v) > 1 as repeated
    from gates
    where $run is null or run = $run
)
select
    gate,
    count(*) as measured,
    round(sum(duration_s), 3) as total_s,
    round(sum(duration_s) / nullif(sum(sum(duration_s)) over (), 0), 4) as share,
    round(median(duration_s), 3) as median_s,
    round(max(duration_s), 3) as longest_s,
    arg_max(event, {'s': duration_s, 'at': recorded_at}) as longest,
    count(*) filter (repeated) as repeated,
    round(coalesce(sum(duration_s) filter (repeated), 0), 3) as repeated_s,
    round(coalesce(sum(duration_s) filter (verdict = 'inconclusive'), 0), 3) as inconclusive_s
from each
group by gate
order by sum(duration_s) desc, gate;
