-- Where did a run wait? The time between one event and the next.
--
-- Grain:   one row for each run with two events or more, the longest pause first.
-- Columns: run
--          events       (count)
--          median_s     median time between two events (seconds)
--          longest_s    longest time between two events (seconds)
--          waited_for   the event that came after the longest pause
--          kind         that event's kind
-- Params:  run          a run; not given: all of them
-- Events:  all. Times are the writers' clocks; a clock that was set back gives a negative pause.
with pauses as (
    select
        run,
        event,
        kind,
        epoch(recorded_at) - lag(epoch(recorded_at)) over (partition by run order by v) as pause_s
    from events
    where ($run is null or run = $run)
)
select
    run,
    count(*) + 1 as events,
    round(median(pause_s), 3) as median_s,
    round(max(pause_s), 3) as longest_s,
    arg_max(event, pause_s) as waited_for,
    arg_max(kind, pause_s) as kind
from pauses
where pause_s is not null
group by run
order by longest_s desc, run;
