-- Who did what?
--
-- Grain:   one row for each actor, as claimed by LEDGER_ACTOR; the busiest first. Nothing proves a claim.
-- Columns: actor_kind, actor_name
--          sessions     different sessions (count)
--          runs         runs with an event of this actor (count)
--          events       events of every kind (count)
--          applied      patches applied, without drift (count)
--          drift        patches that recorded edits made past the ledger (count)
--          refused      patches that did not apply (count)
--          added        text lines added (lines)
--          removed      text lines removed (lines)
--          first_at, last_at   first and last event (UTC)
-- Params:  run          a run; not given: all of them
-- Events:  all
select
    e.actor_kind,
    e.actor_name,
    count(distinct e.actor_session) as sessions,
    count(distinct e.run) as runs,
    count(*) as events,
    count(*) filter (p.outcome = 'applied' and p.cause <> 'drift') as applied,
    count(*) filter (p.outcome = 'applied' and p.cause = 'drift') as drift,
    count(*) filter (p.outcome = 'refused') as refused,
    coalesce(sum(p.added), 0)::bigint as added,
    coalesce(sum(p.removed), 0)::bigint as removed,
    min(e.recorded_at) as first_at,
    max(e.recorded_at) as last_at
from events as e
left join patches as p on p.run = e.run and p.v = e.v
where ($run is null or e.run = $run)
group by e.actor_kind, e.actor_name
order by events desc, e.actor_kind, e.actor_name;
