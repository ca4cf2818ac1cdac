-- How long did it take until a state was accepted?
--
-- Grain:   one row for each state that a policy in force accepted, in order.
-- Columns: run
--          state        event that made the state
--          made_at      when (UTC)
--          accepted_by  event by which every strict gate had passed on its tree
--          took_s       from the one to the other; 0: the same tree was accepted before (seconds)
--          measured     measurements of its tree by then (count)
--          failed       those of them that failed (count)
--          live         whether the state is still part of the candidate's line
-- Params:  run          a run; not given: all of them
-- Events:  run.started, patch.applied, run.rebased, policy.set, gate.measured
select
    s.run,
    m.event as state,
    m.recorded_at as made_at,
    a.run || ':' || a.accepted_v as accepted_by,
    round(greatest(epoch(b.recorded_at) - epoch(m.recorded_at), 0), 3) as took_s,
    count(g.v) as measured,
    count(g.v) filter (g.verdict = 'fail') as failed,
    exists (from live_states(s.run, 2147483647) as l where l.v = s.v) as live
from columns.state as s
join columns.acceptance as a on a.run = s.run and a.regime = '' and a.tree = s.tree
join events as m on m.run = s.run and m.v = s.v
join events as b on b.run = s.run and b.v = a.accepted_v
left join columns.measurement as g on g.run = s.run and g.tree = s.tree and g.v <= a.accepted_v
where s.kind <> 'patch.rolled_back' and ($run is null or s.run = $run)
group by s.run, s.v, m.event, m.recorded_at, a.run, a.accepted_v, b.recorded_at
order by s.run, s.v;
