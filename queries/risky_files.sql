-- Patches to which files are followed by failures most often?
--
-- Grain:   one row for each path that a patch touched whose own state was measured; the most failures first.
-- Columns: path
--          patches      such patches (count)
--          failed       those after which some gate failed on the state that they made (count)
--          fail_rate    failed / patches (0 to 1)
--          gates        gates that failed
--          newest       the newest patch that was followed by a failure; NULL: none was
-- Params:  run          a run; not given: all of them
-- Events:  patch.applied, gate.measured
with outcome as (
    select
        run,
        state_v as v,
        bool_or(verdict = 'fail') as failed,
        list(distinct gate order by gate) filter (verdict = 'fail') as gates
    from gates
    where verdict <> 'inconclusive'
    group by run, state_v
)
select
    f.path,
    count(*) as patches,
    count(*) filter (o.failed) as failed,
    round(count(*) filter (o.failed) / count(*), 4) as fail_rate,
    list_sort(list_distinct(flatten(list(coalesce(o.gates, []))))) as gates,
    arg_max(f.event, p.recorded_at) filter (o.failed) as newest
from (select distinct run, v, event, path from patch_files) as f
join outcome as o using (run, v)
join patches as p using (run, v)
where $run is null or f.run = $run
group by f.path
order by failed desc, fail_rate desc, f.path;
