-- Which verdicts are about a tree that is not the candidate?
--
-- Grain:   one row for each gate of an open run that is not off and was never measured on the candidate's tree;
--          strict ones first.
-- Columns: run, gate
--          mode         under the policy in force
--          verdict      of the newest measurement, of another tree; NULL: there is none
--          measured_by  the newest measurement
--          state        the state that it measured
--          recorded_at  when (UTC)
--          patches      patches applied since (count)
--          rollbacks    rollbacks since (count)
-- Params:  run          a run; not given: all of them
-- Events:  policy.set, gate.measured, patch.applied, patch.rolled_back, run.rebased
with wanted as (
    select p.run, p.gate, p.mode
    from policies as p
    join (select run, max(v) as v from policies group by run) as last using (run, v)
    join runs as r on r.run = p.run and r.finished_at is null
    where p.in_force and p.mode <> 'off' and ($run is null or p.run = $run)
), newest as (
    select distinct on (run, gate) * from gates order by run, gate, stale, v desc
)
select
    w.run,
    w.gate,
    w.mode,
    n.verdict,
    n.event as measured_by,
    n.state,
    n.recorded_at,
    (
        select count(*) from patches as p where p.run = w.run and p.outcome = 'applied' and p.v > coalesce(n.v, 0)
    ) as patches,
    (
        select count(*) from events as e
        where e.run = w.run and e.kind = 'patch.rolled_back' and e.v > coalesce(n.v, 0)
    ) as rollbacks
from wanted as w
left join newest as n on n.run = w.run and n.gate = w.gate
where coalesce(n.stale, true)
order by w.mode = 'strict' desc, w.run, w.gate;
