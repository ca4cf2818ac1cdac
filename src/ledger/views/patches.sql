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
comment on view patches is 'One row for each patch that was applied or refused.';
comment on column patches.run is 'Name of the run';
comment on column patches.v is 'Version of the event';
comment on column patches.event is 'Reference of the event';
comment on column patches.recorded_at is 'When (UTC)';
comment on column patches.outcome is '`applied` or `refused`';
comment on column patches.cause is 'Where it comes from: `diff` (handed over), `drift` (edits made past the ledger), `mv`, `restore`, `undo`, `rebase`';
comment on column patches.source is 'File that it came from; `-` for standard input, empty for what was no file';
comment on column patches.files is 'Paths that it touched; 0 where it was refused (count)';
comment on column patches.added is 'Text lines added (lines)';
comment on column patches.removed is 'Text lines removed (lines)';
comment on column patches.size_bytes is 'Size of the patch (bytes)';
comment on column patches.base_tree is 'Git tree that it was applied to (hexadecimal)';
comment on column patches.result_tree is 'Git tree that it left; NULL: it was refused (hexadecimal)';
comment on column patches.body is 'SHA-256 of the patch: `ledger show EVENT` prints it (hexadecimal)';
comment on column patches.error is 'Class of the refusal; NULL: it applied';
comment on column patches.rolled_back_by is 'Event that took it away first; NULL: none did';
