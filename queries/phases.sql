-- What did each phase cost, and what happened in it?
--
-- Grain:   one row for each phase of each run; a phase that was entered again is summed up.
-- Columns: run, phase
--          visits       times it was entered (count)
--          spent_s      time in it; of the present one, to the run's last event (seconds)
--          share        of the time in all phases of the run (0 to 1)
--          patches      patches applied (count)
--          refused      patches that did not apply (count)
--          measured     measurements of gates (count)
--          failed       those of them that failed (count)
--          rollbacks    rollbacks (count)
-- Params:  run          a run; not given: all of them
-- Events:  phase.entered, patch.applied, patch.refused, patch.rolled_back, gate.measured
with visits as (
    select run, v, phase, duration_s, coalesce(lead(v) over (partition by run order by v), 2147483647) as until_v
    from phases
    where ($run is null or run = $run)
), spent as (
    select run, phase, count(*) as visits, sum(duration_s) as spent_s from visits group by run, phase
), happened as (
    select
        p.run,
        p.phase,
        count(*) filter (e.kind = 'patch.applied') as patches,
        count(*) filter (e.kind = 'patch.refused') as refused,
        count(*) filter (e.kind = 'gate.measured') as measured,
        count(*) filter (e.kind = 'gate.measured' and (e.data ->> '$.verdict') = 'fail') as failed,
        count(*) filter (e.kind = 'patch.rolled_back') as rollbacks
    from visits as p
    join events as e on e.run = p.run and e.v >= p.v and e.v < p.until_v
    group by p.run, p.phase
)
select
    run,
    phase,
    visits,
    round(spent_s, 3) as spent_s,
    round(spent_s / nullif(sum(spent_s) over (partition by run), 0), 4) as share,
    patches,
    refused,
    measured,
    failed,
    rollbacks
from spent
join happened using (run, phase)
order by run, phase;
