-- Which applied patches changed the most lines?
--
-- Grain:   one row for each applied patch, the largest first.
-- Columns: event        reference of the patch
--          recorded_at  when (UTC)
--          cause        "diff": handed over, "drift": made past the ledger
--          source       file it came from; "-" is standard input, "" is drift
--          files        paths that it touched (count)
--          added        text lines added (lines)
--          removed      text lines removed (lines)
--          size_bytes   size of the patch (bytes)
--          top_path     the path with the most changed lines
-- Params:  run          a run; not given: all of them
--          limit        rows at most; not given: 20
-- Events:  patch.applied
select
    p.event,
    p.recorded_at,
    p.cause,
    p.source,
    p.files,
    p.added,
    p.removed,
    p.size_bytes,
    (
        select f.path
        from patch_files as f
        where f.run = p.run and f.v = p.v
        order by f.added + f.removed desc, f.path
        limit 1
    ) as top_path
from patches as p
where p.outcome = 'applied' and ($run is null or p.run = $run)
order by p.added + p.removed desc, p.size_bytes desc, p.event
limit coalesce($limit::bigint, 20);
