-- One row for each measurement of a gate. `stale`: the candidate has changed since; `flaky`: on this tree, with the same
-- definition and environment, the gate has both passed and failed; `accepted`: the measured tree is accepted now.
create view gates as
select
    m.run,
    m.v,
    m.run || ':' || m.v as event,
    make_timestamp(e.at_ns // 1000) as recorded_at,
    m.gate,
    m.verdict,
    r.mode,
    m.profile,
    r.metric,
    k.value,
    r.threshold,
    k.baseline,
    m.examined,
    m.unit,
    m.reasons::varchar[] as reasons,
    m.problems::varchar[] as problems,
    m.state_v,
    m.run || ':' || m.state_v as state,
    lower(hex(m.tree)) as tree,
    m.tree is distinct from c.tree as stale,
    count(distinct m.verdict) filter (m.verdict <> 'inconclusive') over same > 1 as flaky,
    a.tree is not null as accepted,
    m.duration_ns / 1e9 as duration_s,
    m.place,
    m.exit_codes::integer[] as exit_codes,
    m.command,
    m.environment,
    m.definition,
    lower(hex(m.report)) as report,
    lower(hex(m.output)) as output
from columns.measurement as m
join columns.event as e on e.run = m.run and e.v = m.v
left join columns.regime as r
    on r.run = m.run and r.regime = '' and r.gate = m.gate and r.from_v <= m.v and m.v < r.until_v
left join columns.metric as k on k.run = m.run and k.v = m.v and k.name = r.metric
left join (select run, arg_max(tree, v) as tree from columns.state group by run) as c on c.run = m.run
left join columns.acceptance as a on a.run = m.run and a.regime = '' and a.tree = m.tree
window same as (partition by m.run, m.gate, m.tree, m.definition, m.environment);

-- One row for each metric of each measurement, with that of the accepted state then.
create view gate_metrics as
select m.run, m.v, m.run || ':' || m.v as event, m.gate, k.name as metric, k.value, k.baseline, m.verdict,
    lower(hex(m.tree)) as tree
from columns.metric as k
join columns.measurement as m on m.run = k.run and m.v = k.v;

-- One row for each thing that a gate's tool complained about. Lines and columns count from 1; 0 means none.
create view findings as
select f.run, f.v, f.run || ':' || f.v as event, m.gate, f.rule, f.severity, f.path, f.line, f.col, f.message,
    lower(hex(m.tree)) as tree, m.tree is distinct from c.tree as stale
from columns.finding as f
join columns.measurement as m on m.run = f.run and m.v = f.v
left join (select run, arg_max(tree, v) as tree from columns.state group by run) as c on c.run = f.run;

-- One row for each test of each measurement. `flaky`: on this tree the test has had several outcomes.
create view tests as
select t.run, t.v, t.run || ':' || t.v as event, m.gate, t.name, t.outcome, t.duration_s,
    lower(hex(m.tree)) as tree,
    m.tree is distinct from c.tree as stale,
    count(distinct t.outcome) over (partition by t.run, t.name, m.tree) > 1 as flaky
from columns.test as t
join columns.measurement as m on m.run = t.run and m.v = t.v
left join (select run, arg_max(tree, v) as tree from columns.state group by run) as c on c.run = t.run;

-- One row for each file of each coverage measurement: counts of statements and branches.
create view covered_files as
select f.run, f.v, f.run || ':' || f.v as event, m.gate, f.path, f.statements, f.covered_statements, f.branches,
    f.covered_branches, lower(hex(m.tree)) as tree
from columns.covered as f
join columns.measurement as m on m.run = f.run and m.v = f.v;
