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
comment on view gates is 'One row for each measurement of a gate.';
comment on column gates.run is 'Name of the run';
comment on column gates.v is 'Version of the event';
comment on column gates.event is 'Reference of the event';
comment on column gates.recorded_at is 'When it was recorded (UTC)';
comment on column gates.gate is 'Name of the gate';
comment on column gates.verdict is '`pass`, `fail` or `inconclusive`, as recorded then';
comment on column gates.mode is 'Mode of the gate in the policy in force then; NULL: the policy has no such gate';
comment on column gates.profile is 'Profile that was measured for';
comment on column gates.metric is 'Number of the report that decides; NULL: the policy has no such gate';
comment on column gates.value is 'That number; NULL: the report has none (the metric''s unit)';
comment on column gates.threshold is 'Worst value that passes (the metric''s unit)';
comment on column gates.baseline is 'The number of the accepted state then; NULL: there was none (the metric''s unit)';
comment on column gates.examined is 'How much was examined (see `unit`)';
comment on column gates.unit is 'What was examined: `tests`, `files`, `statements` and so on';
comment on column gates.reasons is 'Why it is no pass, in words';
comment on column gates.problems is 'Why nothing can be concluded, in words';
comment on column gates.state_v is 'Version of the state that was measured';
comment on column gates.state is 'Reference of the event that made this state';
comment on column gates.tree is 'Git tree that was measured (hexadecimal)';
comment on column gates.stale is 'Whether the candidate has changed since: the verdict is of another tree';
comment on column gates.flaky is 'Whether the gate has both passed and failed on this tree, with this definition and environment';
comment on column gates.accepted is 'Whether the measured tree is accepted now';
comment on column gates.duration_s is 'Time that it took (seconds)';
comment on column gates.place is '`work-tree`, or `isolated`: in a temporary one';
comment on column gates.exit_codes is 'Exit codes of its commands';
comment on column gates.command is 'Commands that measured, joined by ` && `';
comment on column gates.environment is 'Versions of the tools, `name=version` joined by spaces: outcomes are compared within one environment';
comment on column gates.definition is 'SHA-256 of what was measured and how (hexadecimal)';
comment on column gates.report is 'SHA-256 of the parsed report; NULL: there is none (hexadecimal)';
comment on column gates.output is 'SHA-256 of what the commands printed: `ledger show EVENT` prints it (hexadecimal)';

create view gate_metrics as
select m.run, m.v, m.run || ':' || m.v as event, m.gate, k.name as metric, k.value, k.baseline, m.verdict,
    lower(hex(m.tree)) as tree
from columns.metric as k
join columns.measurement as m on m.run = k.run and m.v = k.v;
comment on view gate_metrics is 'One row for each metric of each measurement.';
comment on column gate_metrics.run is 'Name of the run';
comment on column gate_metrics.v is 'Version of the measurement';
comment on column gate_metrics.event is 'Reference of the measurement';
comment on column gate_metrics.gate is 'Name of the gate';
comment on column gate_metrics.metric is 'Name of the number';
comment on column gate_metrics.value is 'The number (the metric''s unit)';
comment on column gate_metrics.baseline is 'The number of the accepted state then; NULL: there was none (the metric''s unit)';
comment on column gate_metrics.verdict is 'Verdict of the measurement';
comment on column gate_metrics.tree is 'Git tree that was measured (hexadecimal)';

create view findings as
select f.run, f.v, f.run || ':' || f.v as event, m.gate, f.rule, f.severity, f.path, f.line, f.col, f.message,
    lower(hex(m.tree)) as tree, m.tree is distinct from c.tree as stale
from columns.finding as f
join columns.measurement as m on m.run = f.run and m.v = f.v
left join (select run, arg_max(tree, v) as tree from columns.state group by run) as c on c.run = f.run;
comment on view findings is 'One row for each thing that a gate''s tool complained about.';
comment on column findings.run is 'Name of the run';
comment on column findings.v is 'Version of the measurement';
comment on column findings.event is 'Reference of the measurement';
comment on column findings.gate is 'Name of the gate';
comment on column findings.rule is 'The tool''s name for this kind of complaint';
comment on column findings.severity is '`error`, `warning` or `note`';
comment on column findings.path is 'File, as the tool names it';
comment on column findings.line is 'Line, from 1; 0: none is named';
comment on column findings.col is 'Column, from 1; 0: none is named';
comment on column findings.message is 'The tool''s words';
comment on column findings.tree is 'Git tree that was measured (hexadecimal)';
comment on column findings.stale is 'Whether the candidate has changed since';

create view tests as
select t.run, t.v, t.run || ':' || t.v as event, m.gate, t.name, t.outcome, t.duration_s,
    lower(hex(m.tree)) as tree,
    m.tree is distinct from c.tree as stale,
    count(distinct t.outcome) over (partition by t.run, t.name, m.tree) > 1 as flaky
from columns.test as t
join columns.measurement as m on m.run = t.run and m.v = t.v
left join (select run, arg_max(tree, v) as tree from columns.state group by run) as c on c.run = t.run;
comment on view tests is 'One row for each test of each measurement.';
comment on column tests.run is 'Name of the run';
comment on column tests.v is 'Version of the measurement';
comment on column tests.event is 'Reference of the measurement';
comment on column tests.gate is 'Name of the gate';
comment on column tests.name is 'Name of the test, as the tool has it';
comment on column tests.outcome is '`passed`, `failed`, `error`, `skipped`, `xfailed` or `xpassed`';
comment on column tests.duration_s is 'Time that it took (seconds)';
comment on column tests.tree is 'Git tree that was measured (hexadecimal)';
comment on column tests.stale is 'Whether the candidate has changed since';
comment on column tests.flaky is 'Whether the test has had several outcomes on this tree';

create view covered_files as
select f.run, f.v, f.run || ':' || f.v as event, m.gate, f.path, f.statements, f.covered_statements, f.branches,
    f.covered_branches, lower(hex(m.tree)) as tree
from columns.covered as f
join columns.measurement as m on m.run = f.run and m.v = f.v;
comment on view covered_files is 'One row for each file of each measurement of coverage.';
comment on column covered_files.run is 'Name of the run';
comment on column covered_files.v is 'Version of the measurement';
comment on column covered_files.event is 'Reference of the measurement';
comment on column covered_files.gate is 'Name of the gate';
comment on column covered_files.path is 'File, as the tool names it';
comment on column covered_files.statements is 'Statements there are (count)';
comment on column covered_files.covered_statements is 'Statements that were run (count)';
comment on column covered_files.branches is 'Branches there are (count)';
comment on column covered_files.covered_branches is 'Branches that were taken (count)';
comment on column covered_files.tree is 'Git tree that was measured (hexadecimal)';

create macro gate_status_at(run_name, version) as table
with candidate as (
    select arg_max(tree, v) as tree from columns.state where run = run_name and v <= version
), wanted as (
    select * from columns.regime
    where run = run_name and regime = '' and from_v <= version and least(version, 2147483646) < until_v
), verdicts as (
    -- Of the candidate's tree, by the facts: outcomes are compared within one environment, and the newest counts.
    select j.gate, j.verdict
    from columns.judged as j
    join wanted as w on w.gate = j.gate and w.from_v = j.from_v and w.definition = j.definition
    join candidate as c on c.tree = j.tree
    where j.run = run_name and j.regime = '' and j.v <= version
    qualify j.environment = arg_max(j.environment, j.v) over (partition by j.gate)
), standings as (
    select gate, bool_or(verdict = 'pass') as passed, bool_or(verdict = 'fail') as failed
    from verdicts
    group by gate
), newest as (
    select distinct on (m.gate) m.gate, m.v, m.verdict, m.state_v, m.tree is distinct from c.tree as stale
    from columns.measurement as m, candidate as c
    where m.run = run_name and m.v <= version
    order by m.gate, stale, m.v desc
)
select
    w.gate,
    w.mode,
    case
        when s.failed and not (w.allow_flaky and s.passed) then 'fail'
        when s.passed then 'pass'
        when s.gate is not null then 'inconclusive'
    end as standing,
    coalesce(s.passed and s.failed, false) as flaky,
    n.verdict,
    n.stale,
    w.run || ':' || n.v as measured_by,
    w.run || ':' || n.state_v as state
from wanted as w
left join standings as s on s.gate = w.gate
left join newest as n on n.gate = w.gate
order by w.gate;
comment on macro table gate_status_at is 'How each gate of the policy in force stands to a run''s candidate at a version, by what was measured by then.
run_name: Name of the run
version: Version of an event
gate: Name of the gate
mode: `strict`, `soft` or `off`
standing: What the measurements of this very tree come to under the policy: `pass`, `fail` or `inconclusive`; NULL: there is none of its definition
flaky: Whether the gate both passed and failed on this tree, in one environment
verdict: Recorded verdict of the newest measurement: of this tree, else of any; NULL: there is none
stale: Whether that verdict is of another tree than the candidate''s; NULL: there is none
measured_by: Reference of that measurement; NULL: there is none
state: Reference of the event whose state it measured; NULL: there is none';
