-- One row for each error that was captured; `question` is the event of the question that it belongs to.
create view errors as
select
    run,
    v,
    run || ':' || v as event,
    make_timestamp(at_ns // 1000) as captured_at,
    data ->> '$.step' as step,
    run || ':' || coalesce(data ->> '$.same_as', v::varchar) as question,
    data ->> '$.message' as message,
    data ->> '$.context' as context,
    coalesce(data ->> '$.cause', 'person') as cause,
    run || ':' || (data ->> '$.source_v') as source,
    run || ':' || (data ->> '$.after') as after,
    (data ->> '$.exit_code')::integer as exit_code,
    data ->> '$.output' as output,
    data ->> '$.origin' as origin
from columns.event
where kind = 'error.captured';

-- One row for each question: how often its error was met, and what became of it.
create view questions as
select
    o.run,
    o.v,
    o.event,
    o.step,
    c.v is null as open,
    (select count(*) from errors as e where e.question = o.event) as errors,
    o.captured_at as asked_at,
    make_timestamp(c.at_ns // 1000) as closed_at,
    c.run || ':' || c.v as closed_by,
    split_part(c.kind, '.', 2) as outcome,
    o.cause,
    o.source,
    o.after,
    o.message,
    c.data ->> '$.answer' as answer
from errors as o
left join columns.event as c
    on c.run = o.run and c.kind in ('question.answered', 'question.retired')
    and (c.data ->> '$.error_v')::integer = o.v
where o.question = o.event;
