-- Which tests are the slowest, and how has their time changed?
--
-- Grain:   one row for each test of a run, by the newest time that it took.
-- Columns: run, gate, test
--          newest_s     time in the newest measurement that ran it (seconds)
--          first_s      time in the first one (seconds)
--          change_s     newest_s - first_s (seconds)
--          median_s     median over all (seconds)
--          measured     measurements that ran it (count)
--          share        of all the tests' time in the newest measurement (0 to 1)
--          newest       the newest measurement
-- Params:  run          a run; not given: all of them
--          limit        rows at most; not given: 20
-- Events:  gate.measured
with ran as (
    select *, sum(duration_s) over (partition by run, v) as total_s
    from tests
    where outcome <> 'skipped' and ($run is null or run = $run)
)
select
    run,
    gate,
    name as test,
    round(arg_max(duration_s, v), 3) as newest_s,
    round(arg_min(duration_s, v), 3) as first_s,
    round(arg_max(duration_s, v) - arg_min(duration_s, v), 3) as change_s,
    round(median(duration_s), 3) as median_s,
    count(*) as measured,
    round(arg_max(duration_s / nullif(total_s, 0), v), 4) as share,
    arg_max(event, v) as newest
from ran
group by run, gate, name
order by arg_max(duration_s, v) desc, run, gate, name
limit coalesce($limit::bigint, 20);
