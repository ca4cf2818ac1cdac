-- How much is edited past the ledger, and by whom?
--
-- Grain:   one row for each actor with an applied patch, the largest share of drift first. The actor is who had
--          it recorded, as claimed: the edits themselves may be somebody else's.
-- Columns: actor_kind, actor_name
--          patches      patches applied (count)
--          drift        those that recorded edits made past the ledger (count)
--          drift_share  drift / patches (0 to 1)
--          lines        lines that all of them added and removed (lines)
--          drift_lines  lines of the drift (lines)
--          line_share   drift_lines / lines (0 to 1); NULL: there are no lines
--          last_drift   the newest drift; NULL: there is none
-- Params:  run          a run; not given: all of them
-- Events:  patch.applied
select
    e.actor_kind,
    e.actor_name,
    count(*) as patches,
    count(*) filter (p.cause = 'drift') as drift,
    round(drift / patches, 4) as drift_share,
    sum(p.added + p.removed)::bigint as lines,
    coalesce(sum(p.added + p.removed) filter (p.cause = 'drift'), 0)::bigint as drift_lines,
    round(drift_lines / nullif(lines, 0), 4) as line_share,
    arg_max(p.event, p.recorded_at) filter (p.cause = 'drift') as last_drift
from patches as p
join events as e using (run, v)
where p.outcome = 'applied' and ($run is null or p.run = $run)
group by e.actor_kind, e.actor_name
order by drift_share desc, e.actor_kind, e.actor_name;
