-- Do large patches fare worse than small ones?
--
-- Grain:   one row for each class of size in which there are patches, the smallest first.
-- Columns: below        the class is less than that, and not less than the one before; NULL: the rest (bytes)
--          patches      patches handed over, moves included, without drift (count)
--          applied      those that applied (count)
--          refused      those that did not (count)
--          rolled_back  those that applied and were taken away later (count)
--          refused_rate refused / patches (0 to 1)
--          rolled_back_rate   rolled_back / applied (0 to 1); NULL: none applied
-- Params:  run          a run; not given: all of them
-- Events:  patch.applied, patch.refused, patch.rolled_back
select
    case
        when size_bytes < 1024 then 1024
        when size_bytes < 10240 then 10240
        when size_bytes < 102400 then 102400
        when size_bytes < 1048576 then 1048576
    end as below,
    count(*) as patches,
    count(*) filter (outcome = 'applied') as applied,
    count(*) filter (outcome = 'refused') as refused,
    count(rolled_back_by) as rolled_back,
    round(refused / count(*), 4) as refused_rate,
    round(rolled_back / nullif(applied, 0), 4) as rolled_back_rate
from patches
where cause <> 'drift' and ($run is null or run = $run)
group by below
order by below nulls last;
