-- What happened, week by week?
--
-- Grain:   one row for each calendar week with an event, the newest first.
-- Columns: week         Monday that it begins with (date, UTC)
--          runs         runs with an event (count)
--          started, finished   runs that began, and that were finished (count)
--          patches      patches applied, drift included (count)
--          refused      patches that did not apply (count)
--          rollbacks    rollbacks (count)
--          measured     measurements of gates (count)
--          errors       errors captured (count)
--          commits      commits seen (count)
-- Params:  run          a run; not given: all of them
-- Events:  all
select
    date_trunc('week', recorded_at)::date as week,
    count(distinct run) as runs,
    count(*) filter (kind = 'run.started') as started,
    count(*) filter (kind = 'run.finished') as finished,
    count(*) filter (kind = 'patch.applied') as patches,
    count(*) filter (kind = 'patch.refused') as refused,
    count(*) filter (kind = 'patch.rolled_back') as rollbacks,
    count(*) filter (kind = 'gate.measured') as measured,
    count(*) filter (kind = 'error.captured') as errors,
    count(*) filter (kind = 'commit.seen') as commits
from events
where run <> 'ledger' and ($run is null or run = $run)
group by week
order by week desc;
