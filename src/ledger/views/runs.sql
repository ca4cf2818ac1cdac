create view runs as
select
    s.run,
    s.data ->> '$.title' as title,
    s.data ->> '$.work_tree' as work_tree,
    s.data ->> '$.branch' as branch,
    make_timestamp(s.at_ns // 1000) as started_at,
    make_timestamp(f.at_ns // 1000) as finished_at,
    s.data ->> '$.head' as base_commit,
    s.data ->> '$.base_tree' as base_tree,
    e.events,
    coalesce(p.patches, 0) as patches,
    coalesce(p.refused, 0) as refused,
    lower(hex(t.tree)) as candidate_tree,
    lower(hex(a.tree)) as accepted_tree,
    q.phase,
    g.profile
from columns.event as s
join (select run, count(*) as events from columns.event group by run) as e using (run)
left join columns.event as f on f.run = s.run and f.kind = 'run.finished'
left join (
    select
        run,
        count(*) filter (outcome = 'applied') as patches,
        count(*) filter (outcome = 'refused') as refused
    from columns.patch
    group by run
) as p on p.run = s.run
left join (select run, arg_max(tree, v) as tree from columns.state group by run) as t on t.run = s.run
left join columns.newest_accepted as a on a.run = s.run
left join (
    select run, arg_max(data ->> '$.phase', v) as phase
    from columns.event
    where kind = 'phase.entered'
    group by run
) as q on q.run = s.run
left join (
    select run, arg_max(data ->> '$.profile', v) as profile
    from columns.event
    where kind = 'policy.set'
    group by run
) as g on g.run = s.run
where s.kind = 'run.started';
comment on view runs is 'One row for each run: where it began, where it stands, and what it holds.';
comment on column runs.run is 'Name of the run';
comment on column runs.title is 'What it is about, as given at its start';
comment on column runs.work_tree is 'Name of the linked work tree that it belongs to; empty for the main one';
comment on column runs.branch is 'Branch that was checked out at its start';
comment on column runs.started_at is 'When it began (UTC)';
comment on column runs.finished_at is 'When it was finished; NULL: it is open (UTC)';
comment on column runs.base_commit is 'Commit that it began from; NULL: there was none (hexadecimal)';
comment on column runs.base_tree is 'Git tree that it began from (hexadecimal)';
comment on column runs.events is 'Events of every kind (count)';
comment on column runs.patches is 'Patches applied, drift, moves and restores included, also those rolled back since (count)';
comment on column runs.refused is 'Patches that did not apply (count)';
comment on column runs.candidate_tree is 'Git tree with every patch that stands (hexadecimal)';
comment on column runs.accepted_tree is 'Git tree of the newest accepted state; the base where nothing was accepted (hexadecimal)';
comment on column runs.phase is 'Phase that it is in; NULL: it entered none';
comment on column runs.profile is 'Profile of the policy in force; NULL: it has no policy';
