-- What changed from one accepted state to the next?
--
-- Grain:   one row for each accepted state on the candidate's line and each path that the patches since the
--          accepted state before it touched, in order. What was rolled back in between does not count.
-- Columns: run
--          green        event that made the accepted state
--          before       event that made the one before; the base where there is none
--          path
--          patches      patches that touched it (count)
--          added, removed   text lines, summed over these patches (lines)
--          events       these patches
--          sources      the files that they came from
-- Params:  run          a run; not given: all of them
-- Events:  patch.applied, patch.rolled_back, run.started, run.rebased, policy.set, gate.measured
with live as (
    select s.run, s.v, s.run || ':' || s.v as event, s.tree
    from columns.state as s
    where s.kind <> 'patch.rolled_back' and ($run is null or s.run = $run) and not exists (
        from columns.state as b
        where b.run = s.run and b.v > s.v
            and (b.kind = 'run.rebased' or (b.kind = 'patch.rolled_back' and b.to_v < s.v))
    )
), green as (
    select
        l.run,
        l.v,
        l.event,
        lag(l.v, 1, b.v) over (partition by l.run order by l.v) as before_v
    from live as l
    join columns.acceptance as a on a.run = l.run and a.regime = '' and a.tree = l.tree
    join (select run, min(v) as v from live group by run) as b on b.run = l.run
)
select
    g.run,
    g.event as green,
    g.run || ':' || g.before_v as before,
    f.path,
    count(distinct l.v) as patches,
    sum(f.added)::bigint as added,
    sum(f.removed)::bigint as removed,
    list_transform(list(distinct l.v order by l.v), lambda v: g.run || ':' || v) as events,
    list(distinct p.source order by p.source) as sources
from green as g
join live as l on l.run = g.run and l.v > g.before_v and l.v <= g.v
join patch_files as f on f.run = l.run and f.v = l.v
join patches as p on p.run = l.run and p.v = l.v
group by g.run, g.v, g.event, g.before_v, f.path
order by g.run, g.v, f.path;
