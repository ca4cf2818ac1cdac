-- What did each run change, and how long did it take?
--
-- Grain:   one row for each run, the newest first.
-- Columns: run, title
--          state        "open" or "finished"
--          started_at   (UTC)
--          duration_s   from the first event to the last one of the run (seconds)
--          patches      applied patches, drift included (count)
--          drift        those of them that recorded edits made past the ledger (count)
--          refused      patches that did not apply (count)
--          files        different paths that were touched (count)
--          added        text lines added (lines)
--          removed      text lines removed (lines)
-- Params:  run          a run; not given: all of them
-- Events:  run.started, run.finished, patch.applied, patch.refused
select
    r.run,
    r.title,
    case when r.finished_at is null then 'open' else 'finished' end as state,
    r.started_at,
    round(epoch(e.last_at) - epoch(r.started_at), 3) as duration_s,
    r.patches,
    coalesce(d.drift, 0) as drift,
    r.refused,
    coalesce(f.files, 0) as files,
    coalesce(f.added, 0) as added,
    coalesce(f.removed, 0) as removed
from runs as r
join (select run, max(recorded_at) as last_at from events group by run) as e using (run)
left join (
    select run, count(*) as drift from patches where outcome = 'applied' and cause = 'drift' group by run
) as d using (run)
left join (
    select run, count(distinct path) as files, sum(added)::bigint as added, sum(removed)::bigint as removed
    from patch_files
    group by run
) as f using (run)
where ($run is null or r.run = $run)
order by r.started_at desc, r.run;
