-- How did coverage develop, from accepted state to accepted state?
--
-- Grain:   one row for each accepted state of a run that a gate measured the coverage of, in order.
-- Columns: run
--          state        event that made the state
--          gate         gate that measured it
--          measured_by  its newest measurement of that tree
--          recorded_at  when that was (UTC)
--          percent      statements and branches together (percent)
--          change       against the accepted state before (percent points); NULL: it is the first
--          covered      statements that were run (count)
--          statements   statements there are (count)
--          worst_path   the file with the most statements that were not run; NULL: there is none
-- Params:  run          a run; not given: all of them
-- Events:  gate.measured, policy.set, patch.applied
with measured as (
    select distinct on (g.run, g.state_v, g.gate) g.run, g.v, g.gate, g.event, g.state, g.state_v, g.recorded_at, m.value
    from gates as g
    join gate_metrics as m on m.run = g.run and m.v = g.v and m.metric = 'combined'
    where g.accepted and g.verdict <> 'inconclusive' and ($run is null or g.run = $run)
    order by g.run, g.state_v, g.gate, g.v desc
)
select
    m.run,
    m.state,
    m.gate,
    m.event as measured_by,
    m.recorded_at,
    round(m.value, 2) as percent,
    round(m.value - lag(m.value) over (partition by m.run, m.gate order by m.state_v), 2) as change,
    f.covered,
    f.statements,
    f.worst_path
from measured as m
left join (
    select
        run,
        v,
        sum(covered_statements)::bigint as covered,
        sum(statements)::bigint as statements,
        arg_max(path, statements - covered_statements) filter (statements > covered_statements) as worst_path
    from covered_files
    group by run, v
) as f on f.run = m.run and f.v = m.v
order by m.run, m.gate, m.state_v;
