-- One row for each patch that was applied or refused. Sizes are bytes, lines are text lines.
create view patches as
select
    p.run,
    p.v,
    p.run || ':' || p.v as event,
    make_timestamp(e.at_ns // 1000) as recorded_at,
    p.outcome,
    p.cause,
    p.source,
    coalesce(c.files, 0) as files,
    coalesce(c.added, 0) as added,
    coalesce(c.removed, 0) as removed,
    p.size_bytes,
    lower(hex(p.base_tree)) as base_tree,
    lower(hex(p.result_tree)) as result_tree,
    lower(hex(p.body)) as body,
    p.error,
    p.run || ':' || (
        select min(b.v) from columns.state as b
        where b.run = p.run and b.v > p.v and b.kind = 'patch.rolled_back' and b.to_v < p.v and p.outcome = 'applied'
    ) as rolled_back_by
from columns.patch as p
join columns.event as e on e.run = p.run and e.v = p.v
left join (
    select run, v, count(*) as files, sum(added)::bigint as added, sum(removed)::bigint as removed
    from columns.file_change
    group by run, v
) as c on c.run = p.run and c.v = p.v;
