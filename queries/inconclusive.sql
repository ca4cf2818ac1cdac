-- Why could gates not come to a verdict?
--
-- Grain:   one row for each gate and reason, the most frequent first; a measurement may have several reasons.
-- Columns: gate
--          reason       in words
--          measured     inconclusive measurements with it (count)
--          runs         runs in which that was so (count)
--          first_at, last_at   first and last time (UTC)
--          newest       the newest of them
--          mended       whether the gate came to a verdict later in that run
-- Params:  run          a run; not given: all of them
--          gate         a gate; not given: all of them
-- Events:  gate.measured
with reasons as (
    select run, v, gate, event, recorded_at, unnest(if(len(reasons) > 0, reasons, ['not said'])) as reason
    from gates
    where verdict = 'inconclusive' and ($run is null or run = $run) and ($gate is null or gate = $gate)
), concluded as (
    select run, gate, max(v) as last_v from gates where verdict <> 'inconclusive' group by run, gate
)
select
    r.gate,
    r.reason,
    count(*) as measured,
    count(distinct r.run) as runs,
    min(r.recorded_at) as first_at,
    max(r.recorded_at) as last_at,
    arg_max(r.event, r.recorded_at) as newest,
    coalesce(arg_max(c.last_v > r.v, r.recorded_at), false) as mended
from reasons as r
left join concluded as c on c.run = r.run and c.gate = r.gate
group by r.gate, r.reason
order by measured desc, r.gate, r.reason;
