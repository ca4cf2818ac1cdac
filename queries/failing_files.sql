-- In which files do gates find most to complain about?
--
-- Grain:   one row for each gate and file that a failed measurement complained about; the most complaints first.
-- Columns: gate, path
--          findings     complaints, each counted in every measurement that had it (count)
--          measured     failed measurements that complained about the file (count)
--          rules        different kinds of complaint (count)
--          top_rule     the most frequent kind
--          newest       the newest of these measurements
--          stale        whether the candidate has changed since the newest
-- Params:  run          a run; not given: all of them
--          gate         a gate; not given: all of them
-- Events:  gate.measured
select
    f.gate,
    f.path,
    count(*) as findings,
    count(distinct f.event) as measured,
    count(distinct f.rule) as rules,
    mode(f.rule order by f.rule) as top_rule,
    arg_max(f.event, g.recorded_at) as newest,
    arg_max(f.stale, g.recorded_at) as stale
from findings as f
join gates as g using (run, v)
where g.verdict = 'fail' and ($run is null or f.run = $run) and ($gate is null or f.gate = $gate)
group by f.gate, f.path
order by findings desc, f.gate, f.path;
