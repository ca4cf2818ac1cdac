-- What is red now, and since when?
--
-- Grain:   one row for each gate of an open run that does not pass: by its newest measurement of the candidate's
--          tree, or, where that was not measured, of any; strict ones first.
-- Columns: run, gate
--          mode         "strict" or "soft", under the policy when it was measured
--          verdict      "fail" or "inconclusive"
--          stale        whether the candidate itself was not measured
--          since        first measurement of the unbroken row that did not pass
--          since_at     its time (UTC)
--          measured     measurements in that row (count)
--          last_pass    the last one before that row; NULL: it never passed in this run
--          newest       the measurement that decides; `ledger show` has its output
--          reasons      why
-- Params:  run          a run; not given: all of them
-- Events:  gate.measured, run.finished
with deciding as (
    select distinct on (run, gate) *
    from gates
    where run in (select run from runs where finished_at is null) and ($run is null or run = $run)
    order by run, gate, stale, v desc
), before as (
    select d.run, d.gate, max(g.v) as pass_v
    from deciding as d
    join gates as g on g.run = d.run and g.gate = d.gate and g.v < d.v and g.verdict = 'pass'
    group by d.run, d.gate
)
select
    d.run,
    d.gate,
    d.mode,
    d.verdict,
    d.stale,
    arg_min(g.event, g.v) as since,
    min(g.recorded_at) as since_at,
    count(*) as measured,
    d.run || ':' || b.pass_v as last_pass,
    d.event as newest,
    d.reasons
from deciding as d
left join before as b using (run, gate)
join gates as g on g.run = d.run and g.gate = d.gate and g.v > coalesce(b.pass_v, 0) and g.v <= d.v
where d.verdict <> 'pass'
group by d.run, d.gate, d.mode, d.verdict, d.stale, b.pass_v, d.event, d.reasons
order by d.mode = 'strict' desc, d.run, d.gate;
