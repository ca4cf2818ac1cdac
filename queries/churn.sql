-- Which files change most often?
--
-- Grain:   one row for each path that an applied patch left behind, the busiest first.
--          A renamed file counts under its new name, a deletion under the deleted one.
-- Columns: path
--          patches      applied patches that touched the path (count)
--          added        text lines added (lines; 0 for binary content)
--          removed      text lines removed (lines)
--          runs         runs in which it changed (count)
--          last_at      when it changed last (UTC)
-- Params:  run          a run; not given: all of them
-- Events:  patch.applied
select
    f.path,
    count(*) as patches,
    sum(f.added)::bigint as added,
    sum(f.removed)::bigint as removed,
    count(distinct f.run) as runs,
    max(p.recorded_at) as last_at
from patch_files as f
join patches as p using (run, v)
where ($run is null or f.run = $run)
group by f.path
order by count(*) desc, sum(f.added + f.removed) desc, f.path;
