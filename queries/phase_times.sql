-- How long do the phases take, over all runs?
--
-- Grain:   one row for each phase that a run entered, in order.
-- Columns: phase
--          runs         runs that entered it (count)
--          visits       times that it was entered (count)
--          total_s      time in it (seconds)
--          median_s     median of a run's time in it (seconds)
--          longest_s    longest time of a run in it (seconds)
--          longest_run  that run
--          share        of the time in all phases (0 to 1)
--          patches      patches applied in it (count)
-- Params:  run          a run; not given: all of them
-- Events:  phase.entered, patch.applied
with spent as (
    select run, phase, count(*) as visits, sum(duration_s) as spent_s, sum(patches) as patches
    from phases
    where $run is null or run = $run
    group by run, phase
)
select
    phase,
    count(*) as runs,
    sum(visits)::bigint as visits,
    round(sum(spent_s), 3) as total_s,
    round(median(spent_s), 3) as median_s,
    round(max(spent_s), 3) as longest_s,
    arg_max(run, spent_s) as longest_run,
    round(sum(spent_s) / nullif(sum(sum(spent_s)) over (), 0), 4) as share,
    sum(patches)::bigint as patches
from spent
group by phase
order by phase;
