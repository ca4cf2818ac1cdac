-- What is accepted: the newest live state whose tree every strict gate passed on. Several views, each on the one before.
-- `columns.regime` is a policy for a span of versions: as it was in force (regime ''), and each profile of
-- the run's last policy as if it had been in force from the beginning (regime = its name).
create view columns.regime as
with set_at as (
    select run, v, coalesce(lead(v) over (partition by run order by v), 2147483647) as until_v
    from columns.event
    where kind = 'policy.set' -- one without any gate has no rules, and ends the one before it all the same
)
select r.run, '' as regime, s.v as from_v, s.until_v, r.* exclude (run, v)
from columns.rule as r
join set_at as s on s.run = r.run and s.v = r.v
where r.in_force
union all
select r.run, r.profile as regime, 0 as from_v, 2147483647 as until_v, r.* exclude (run, v)
from columns.rule as r
join set_at as s on s.run = r.run and s.v = r.v and s.until_v = 2147483647;

-- One row for each measurement and each rule that its gate has had: what the rule makes of the facts.
create view columns.judged as
select
    m.run,
    m.v,
    m.gate,
    m.tree,
    m.definition,
    m.environment,
    r.regime,
    r.from_v,
    r.until_v,
    r.mode,
    r.allow_flaky,
    case
        when m.definition <> r.definition or m.problems <> '[]' or m.examined <= 0 then 'inconclusive'
        when k.value is null or not isfinite(k.value) then 'inconclusive'
        when if(r.better = 'lower', k.value > r.threshold, k.value < r.threshold) then 'fail'
        when m.examined < r.min_examined then 'fail'
        when m.unit = 'tests' and not r.allow_fewer and m.examined < m.baseline_examined then 'fail'
        when r.baseline and if(r.better = 'lower', k.value > k.baseline, k.value < k.baseline) then 'fail'
        else 'pass'
    end as verdict
from columns.measurement as m
join columns.regime as r on r.run = m.run and r.gate = m.gate
left join columns.metric as k on k.run = m.run and k.v = m.v and k.name = r.metric;

-- One row for each tree that a regime accepts: `accepted_v` is the version of the event by which it does.
-- A strict gate has passed at a moment if, in the newest environment until then, it passed and never failed.
create view columns.acceptance as
with strict as (
    select run, regime, from_v, until_v, count(*) as gates
    from columns.regime
    where mode = 'strict'
    group by all
), moment as (
    select distinct s.run, s.regime, s.from_v, s.gates, m.tree, greatest(m.v, s.from_v) as at_v
    from strict as s
    join columns.measurement as m on m.run = s.run and m.v < s.until_v
), run_at as (
    select
        t.run, t.regime, t.from_v, t.gates, t.tree, t.at_v, j.gate, j.allow_flaky, j.verdict,
        j.environment = arg_max(j.environment, j.v) over gate_until as newest
    from moment as t
    join columns.judged as j
        on j.run = t.run and j.regime = t.regime and j.from_v = t.from_v
        and j.tree = t.tree and j.v <= t.at_v and j.mode = 'strict'
    join columns.regime as r
        on r.run = j.run and r.regime = j.regime and r.from_v = j.from_v and r.gate = j.gate
        and r.definition = j.definition
    window gate_until as (partition by t.run, t.regime, t.from_v, t.tree, t.at_v, j.gate)
), passed as (
    select
        run, regime, from_v, gates, tree, at_v, gate,
        bool_or(verdict = 'pass') and (any_value(allow_flaky) or not bool_or(verdict = 'fail')) as passes
    from run_at
    where newest
    group by all
)
select run, regime, tree, min(at_v) as accepted_v
from (
    select run, regime, from_v, gates, tree, at_v
    from passed
    group by all
    having count(*) filter (passes) = gates
)
group by all;

create macro live_states(run_name, version) as table
select s.v, s.run || ':' || s.v as event, s.kind, lower(hex(s.tree)) as tree
from columns.state as s
where s.run = run_name and s.v <= version and s.kind <> 'patch.rolled_back'
    and not exists (
        select 1 from columns.state as b
        where b.run = run_name and b.v <= version and b.v > s.v
            and (b.kind = 'run.rebased' or (b.kind = 'patch.rolled_back' and b.to_v < s.v))
    )
order by s.v;
comment on macro table live_states is 'The live states of a run at a version: base to candidate, less those rolled back.
run_name: Name of the run
version: Version of an event
v: Version of the event that made the state
event: Reference of that event
kind: Kind of that event
tree: Git tree of the state (hexadecimal)';

-- One row for each run: the tree of its accepted state now.
create view columns.newest_accepted as
with live as (
    select s.run, s.v, s.tree
    from columns.state as s
    where s.kind <> 'patch.rolled_back'
        and not exists (
            select 1 from columns.state as b
            where b.run = s.run and b.v > s.v
                and (b.kind = 'run.rebased' or (b.kind = 'patch.rolled_back' and b.to_v < s.v))
        )
)
select
    l.run,
    coalesce(max(l.v) filter (a.tree is not null), min(l.v)) as v,
    coalesce(arg_max(l.tree, l.v) filter (a.tree is not null), arg_min(l.tree, l.v)) as tree
from live as l
left join columns.acceptance as a on a.run = l.run and a.regime = '' and a.tree = l.tree
group by l.run;

create macro columns.accepted_version(run_name, version, regime_name) as (
    select coalesce(max(l.v) filter (a.tree is not null), min(l.v))
    from live_states(run_name, version) as l
    left join columns.acceptance as a
        on a.run = run_name and a.regime = regime_name and a.tree = unhex(l.tree) and a.accepted_v <= version
);

create macro accepted_at(run_name, version) as table
from state_at(run_name, columns.accepted_version(run_name, version, ''));
comment on macro table accepted_at is 'Every file of a run''s accepted state at a version: the newest live one on which every strict gate had passed by then; the base where there is none.
run_name: Name of the run
version: Version of an event
mode: Git mode (octal)
oid: Git blob, or commit of a submodule (hexadecimal)
path: Path from the top of the repository, made printable
path_bytes: The same as its bytes; rows are sorted by it';

create macro accepted_under(run_name, profile_name) as table
select
    s.v,
    s.run || ':' || s.v as event,
    lower(hex(s.tree)) as tree,
    a.accepted_v as accepted_by,
    exists (from live_states(run_name, 2147483647) as l where l.v = s.v) as live
from columns.state as s
join columns.acceptance as a on a.run = s.run and a.tree = s.tree and a.regime = profile_name
where s.run = run_name and s.kind <> 'patch.rolled_back'
order by s.v;
comment on macro table accepted_under is 'The states that a profile of the run''s last policy accepts, as if it had been in force from the beginning.
run_name: Name of the run
profile_name: Name of the profile
v: Version of the event that made the state
event: Reference of that event
tree: Git tree of the state (hexadecimal)
accepted_by: Version of the event by which the state would have been accepted
live: Whether the state is part of the candidate''s line now';
