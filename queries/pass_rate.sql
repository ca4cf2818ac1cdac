-- How often does each gate pass, week by week?
--
-- Grain:   one row for each gate and calendar week in which it was measured, the newest first.
-- Columns: gate
--          week         Monday that it begins with (date, UTC)
--          measured     measurements (count)
--          passed, failed, inconclusive   by verdict, as recorded (count)
--          pass_rate    passed / (passed + failed) (0 to 1); NULL: no measurement was conclusive
--          runs         runs in which it was measured (count)
-- Params:  run          a run; not given: all of them
--          gate         a gate; not given: all of them
-- Events:  gate.measured
select
    gate,
    date_trunc('week', recorded_at)::date as week,
    count(*) as measured,
    count(*) filter (verdict = 'pass') as passed,
    count(*) filter (verdict = 'fail') as failed,
    count(*) filter (verdict = 'inconclusive') as inconclusive,
    round(passed / nullif(passed + failed, 0), 4) as pass_rate,
    count(distinct run) as runs
from gates
where ($run is null or run = $run) and ($gate is null or gate = $gate)
group by gate, week
order by week desc, gate;
