-- Where did the gates come to ask for less, when, and why?
--
-- Grain:   one row for each way in which a policy asks for less than the one before (a gate skipped, a threshold
--          lowered), and one for each path of a patch that configures the gates' own tools; the newest first.
-- Columns: run
--          event        the event that did it; `ledger show` has its note
--          recorded_at  when (UTC)
--          actor        who, as claimed
--          how          "policy" or "patch"
--          what         in words, or the path
--          profile      the profile in force from there on (policy), or then (patch)
--          undone_by    of a patch, the event that rolled it back; NULL: it stands
-- Params:  run          a run; not given: all of them
-- Events:  policy.set, patch.applied, patch.rolled_back
with what as (
    select run, v, 'policy' as how, unnest((data -> '$.weakened')::varchar[]) as what
    from events
    where kind = 'policy.set'
    union all
    select run, v, 'patch', coalesce(path ->> '$.b64', path ->> '$')
    from (
        select run, v, unnest((data -> '$.configures')::json[]) as path
        from events
        where kind = 'patch.applied'
    )
)
select
    w.run,
    e.event,
    e.recorded_at,
    e.actor_name as actor,
    w.how,
    w.what,
    (
        select arg_max(p.data ->> '$.profile', p.v)
        from events as p
        where p.run = w.run and p.kind = 'policy.set' and p.v <= w.v
    ) as profile,
    p.rolled_back_by as undone_by
from what as w
join events as e using (run, v)
left join patches as p using (run, v)
where ($run is null or w.run = $run)
order by e.recorded_at desc, e.event desc, w.what;
