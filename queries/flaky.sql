-- How often did a gate, or a test, pass on one and the same tree?
--
-- Grain:   one row for each gate that was measured more than once on a tree, with one definition and in one
--          environment; and one for each of its tests that had different outcomes there. The least certain first.
-- Columns: run, gate
--          test         NULL for the gate as a whole
--          state        the state with this tree
--          measured     conclusive measurements; of a test, those that ran it (count)
--          passed       those of them that passed (count)
--          pass_rate    passed / measured (0 to 1); 1 or 0: it is not flaky, as far as anybody looked
--          newest       the newest of the measurements
-- Params:  run          a run; not given: all of them
-- Events:  gate.measured
with seen as (
    select run, v, gate, null as test, tree, definition, environment, state, event, verdict = 'pass' as passed
    from gates
    where verdict <> 'inconclusive'
    union all
    select
        t.run, t.v, t.gate, t.name, t.tree, g.definition, g.environment, g.state, t.event,
        t.outcome in ('passed', 'xfailed', 'xpassed')
    from tests as t
    join gates as g using (run, v)
    where t.outcome <> 'skipped'
)
select
    run,
    gate,
    test,
    arg_max(state, v) as state,
    count(*) as measured,
    count(*) filter (passed) as passed,
    round(count(*) filter (passed) / count(*), 4) as pass_rate,
    arg_max(event, v) as newest
from seen
where ($run is null or run = $run)
group by run, gate, test, tree, definition, environment
having count(*) > 1 and (test is null or count(distinct passed) > 1)
order by abs(pass_rate - 0.5), run, gate, test nulls first, max(v) desc;
