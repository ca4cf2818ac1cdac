-- What happened to a file, under all the names that it had?
--
-- Grain:   one row for each event of the run that changed it, the newest first, rollbacks included; of a
--          directory, one for each file below it.
-- Columns: event, recorded_at (UTC), kind
--          actor        who did it, as claimed
--          operation    "add", "modify", "delete", "rename" or "copy"
--          path         the name after it
--          old_path     the name before it, of a rename or a copy
--          added, removed   text lines (lines)
--          source       the file that the patch came from; NULL: it is no patch
--          rolled_back_by   event that took the patch away; NULL: none did
-- Params:  run          a run; not given: the one that began last
--          path         the file's newest name, from the top of the repository; not given: no rows
-- Events:  patch.applied, patch.rolled_back, run.rebased
select
    h.event,
    h.recorded_at,
    h.kind,
    e.actor_name as actor,
    h.operation,
    h.path,
    h.old_path,
    h.added,
    h.removed,
    p.source,
    p.rolled_back_by
from file_history(coalesce($run, (select arg_max(run, started_at) from runs)), $path::varchar) as h
join events as e on e.event = h.event
left join patches as p on p.event = h.event
order by h.v desc, h.path;
