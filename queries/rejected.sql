-- How much work came to nothing, and whose?
--
-- Grain:   one row for each run and actor with a patch, the most rejected lines first.
-- Columns: run
--          actor        who handed the patches over, as claimed
--          applied      patches applied (count)
--          refused      patches that did not apply (count)
--          rolled_back  applied patches that were taken away (count)
--          lost         those of them that never came back with the same bytes (count)
--          lost_lines   lines that the lost ones added and removed (lines)
--          lost_share   of the lines of all applied patches (0 to 1); NULL: they have none
-- Params:  run          a run; not given: all of them
-- Events:  patch.applied, patch.refused, patch.rolled_back
with fate as (
    select
        p.*,
        p.added + p.removed as lines,
        p.rolled_back_by is not null and not exists (
            from patches as q
            where q.run = p.run and q.body = p.body and q.v > p.v and q.outcome = 'applied'
        ) as lost
    from patches as p
)
select
    f.run,
    e.actor_name as actor,
    count(*) filter (f.outcome = 'applied') as applied,
    count(*) filter (f.outcome = 'refused') as refused,
    count(f.rolled_back_by) as rolled_back,
    count(*) filter (f.lost) as lost,
    coalesce(sum(f.lines) filter (f.lost), 0)::bigint as lost_lines,
    round(lost_lines / nullif(sum(f.lines), 0), 4) as lost_share
from fate as f
join events as e using (run, v)
where $run is null or f.run = $run
group by f.run, e.actor_name
order by lost_lines desc, f.run, actor;
