-- What would each profile have accepted, had it been in force from the beginning?
--
-- Grain:   one row for each state of a run and each profile of the run's last policy with a strict gate, in order.
--          `from accepted_under('RUN', 'release')` has the states alone.
-- Columns: run
--          state        event that made the state
--          profile
--          accepts      whether the profile accepts the state's tree, by what was measured
--          accepted     whether the tree was accepted by the policy that was in force
--          passing      strict gates of the profile that passed on this tree (count)
--          strict       strict gates of the profile (count)
--          lacking      those that did not: each with what its measurements come to ("flaky", "fail",
--                       "inconclusive"), or "not measured"
--          rolled_back  whether the state has been taken back
-- Params:  run          a run; not given: all of them
-- Events:  policy.set, gate.measured, patch.applied, patch.rolled_back, run.started, run.rebased
with strict as (
    select p.run, p.profile, p.gate
    from policies as p
    join (select run, max(v) as v from policies group by run) as last using (run, v)
    where p.mode = 'strict'
), state as (
    select run, v, event, coalesce(data ->> '$.result_tree', data ->> '$.base_tree') as tree
    from events
    where kind in ('run.started', 'patch.applied', 'run.rebased')
), judged as (
    select
        run, regime, gate, lower(hex(tree)) as tree,
        case
            when bool_or(verdict = 'fail') and bool_or(verdict = 'pass') and not any_value(allow_flaky) then 'flaky'
            when bool_or(verdict = 'pass') then 'pass'
            else arg_max(verdict, v)
        end as standing
    from (
        -- Outcomes are compared within one environment, and the newest counts.
        from columns.judged
        where regime <> ''
        qualify environment = arg_max(environment, v) over (partition by run, regime, gate, tree)
    )
    group by run, regime, gate, tree
), accepted as (
    select run, regime, lower(hex(tree)) as tree from columns.acceptance
)
select
    s.run,
    s.event as state,
    g.profile,
    bool_or(a.tree is not null) as accepts,
    bool_or(f.tree is not null) as accepted,
    count(*) filter (j.standing = 'pass') as passing,
    count(*) as strict,
    list(g.gate || ': ' || coalesce(j.standing, 'not measured') order by g.gate)
        filter (j.standing is distinct from 'pass') as lacking,
    not exists (from live_states(s.run, 2147483647) as l where l.v = s.v) as rolled_back
from state as s
join strict as g on g.run = s.run
left join judged as j on j.run = s.run and j.regime = g.profile and j.gate = g.gate and j.tree = s.tree
left join accepted as a on a.run = s.run and a.regime = g.profile and a.tree = s.tree
left join accepted as f on f.run = s.run and f.regime = '' and f.tree = s.tree
where ($run is null or s.run = $run)
group by s.run, s.v, s.event, g.profile
order by s.run, s.v, g.profile;
