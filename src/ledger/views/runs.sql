-- One row for each run: where it began, where it stands, and what it holds.
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
    coalesce(p.tree, s.data ->> '$.base_tree') as candidate_tree
from columns.event as s
join (select run, count(*) as events from columns.event group by run) as e using (run)
left join columns.event as f on f.run = s.run and f.kind = 'run.finished'
left join (
    select
        run,
        count(*) filter (outcome = 'applied') as patches,
        count(*) filter (outcome = 'refused') as refused,
        lower(hex(arg_max(result_tree, v) filter (outcome = 'applied'))) as tree
    from columns.patch
    group by run
) as p on p.run = s.run
where s.kind = 'run.started';
