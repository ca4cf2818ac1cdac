-- Which errors come again, also after they were answered?
--
-- Grain:   one row for each question whose error was met more than once, or came after one that was closed; the
--          most frequent first.
-- Columns: run
--          question     event of the first error; `ledger show` has its text
--          step         step of the work that it happened in
--          errors       times that it was captured (count)
--          first_at, last_at   first and last time (UTC)
--          every_s      mean time from one to the next; NULL: it was met once (seconds)
--          open         whether it has no answer yet
--          again_after  the closed question whose error this is again; NULL: it is new
--          runs         runs in which this step had an error (count)
-- Params:  run          a run; not given: all of them
-- Events:  error.captured, question.answered, question.retired
select
    q.run,
    q.event as question,
    q.step,
    q.errors,
    min(e.captured_at) as first_at,
    max(e.captured_at) as last_at,
    round((epoch(last_at) - epoch(first_at)) / nullif(q.errors - 1, 0), 3) as every_s,
    q.open,
    q.after as again_after,
    (select count(distinct o.run) from errors as o where o.step = q.step) as runs
from questions as q
join errors as e on e.question = q.event
where ($run is null or q.run = $run) and (q.errors > 1 or q.after is not null)
group by q.run, q.v, q.event, q.step, q.errors, q.open, q.after
order by q.errors desc, q.run, q.v;
