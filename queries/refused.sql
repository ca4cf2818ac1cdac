-- Which patches did not apply, and did one from the same file apply later?
--
-- Grain:   one row for each refused patch, the newest first.
-- Columns: event        reference of the refusal
--          recorded_at  when (UTC)
--          actor        who handed it over, as claimed
--          source       file it came from; "-" is standard input
--          error        class of the refusal
--          size_bytes   size of the patch (bytes)
--          applied_as   first later event of the run that applied a patch of this source; NULL: none did
-- Params:  run          a run; not given: all of them
-- Events:  patch.refused, patch.applied
select
    refused.event,
    refused.recorded_at,
    e.actor_name as actor,
    refused.source,
    refused.error,
    refused.size_bytes,
    refused.run || ':' || (
        select min(later.v)
        from patches as later
        where later.run = refused.run
            and later.source = refused.source
            and later.outcome = 'applied'
            and later.v > refused.v
    ) as applied_as
from patches as refused
join events as e using (run, v)
where refused.outcome = 'refused' and ($run is null or refused.run = $run)
order by refused.recorded_at desc, refused.event;
