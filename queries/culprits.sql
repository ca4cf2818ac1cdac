-- Which patch broke which test?
--
-- Grain:   one row for each test that failed on a state and had passed on the state measured before it, the
--          newest first. States that were rolled back in between do not count as before.
-- Columns: run, test
--          outcome      "failed" or "error"
--          failed_by    the measurement that shows it
--          passed_by    the last measurement in which it passed
--          patches      the patches between the two states (events); one: that is the culprit. Measure them
--                       singly with `ledger gate --each` where there are more
--          sources      the files that these patches came from
-- Params:  run          a run; not given: all of them
-- Events:  gate.measured, patch.applied, patch.rolled_back, run.rebased
with outcomes as (
    select distinct on (t.run, t.gate, t.name, g.state_v)
        t.run, t.v, t.gate, t.name, t.outcome, t.event, g.state_v
    from tests as t
    join gates as g using (run, v)
    where t.outcome in ('passed', 'failed', 'error') and ($run is null or t.run = $run)
    order by t.run, t.gate, t.name, g.state_v, t.outcome = 'passed', t.v
), turns as (
    select run, v as turn_v, coalesce((data ->> '$.to_v')::integer, 0) as to_v
    from events
    where kind in ('patch.rolled_back', 'run.rebased')
), compared as (
    -- Every earlier state on the same line; the nearest decides.
    select distinct on (late.run, late.gate, late.name, late.state_v)
        late.*, early.outcome as before, early.state_v as before_v, early.event as before_event
    from outcomes as late
    join outcomes as early
        on early.run = late.run and early.gate = late.gate and early.name = late.name
        and early.state_v < late.state_v
    where late.outcome <> 'passed' and not exists (
        from turns
        where turns.run = late.run and turn_v > early.state_v and turn_v < late.state_v and to_v < early.state_v
    )
    order by late.run, late.gate, late.name, late.state_v, early.state_v desc
), between_them as (
    select c.run, c.name, c.gate, c.state_v, p.event, p.source, p.v
    from compared as c
    join patches as p
        on p.run = c.run and p.outcome = 'applied' and p.v > c.before_v and p.v <= c.state_v
    where not exists (
        from turns where turns.run = c.run and turn_v > p.v and turn_v < c.state_v and to_v < p.v
    )
)
select
    c.run,
    c.name as test,
    any_value(c.outcome) as outcome,
    any_value(c.event) as failed_by,
    any_value(c.before_event) as passed_by,
    list(b.event order by b.v) as patches,
    list(b.source order by b.v) as sources
from compared as c
join between_them as b using (run, name, gate, state_v)
where c.before = 'passed'
group by c.run, c.name, c.gate, c.state_v, c.v
order by c.v desc, c.name;
