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
comment on view errors is 'One row for each error that was captured.';
comment on column errors.run is 'Name of the run';
comment on column errors.v is 'Version of the event';
comment on column errors.event is 'Reference of the event';
comment on column errors.captured_at is 'When (UTC)';
comment on column errors.step is 'Step of the work that it happened in';
comment on column errors.question is 'Event of the question that it belongs to: itself, or the first error of its kind';
comment on column errors.message is 'SHA-256 of its text: `ledger show EVENT` prints it (hexadecimal)';
comment on column errors.context is 'SHA-256 of what was going on; NULL: not said (hexadecimal)';
comment on column errors.cause is 'Who met it: `person`, `step`, `gate`, `patch`, `crash` or `import`';
comment on column errors.source is 'Event that failed; NULL: none is named';
comment on column errors.after is 'Event that came before it; NULL: none is named';
comment on column errors.exit_code is 'Exit code of the step; NULL: it was no command';
comment on column errors.output is 'SHA-256 of what the step printed; NULL: nothing is kept (hexadecimal)';
comment on column errors.origin is 'File that it was imported from; NULL: it was not';

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
comment on view questions is 'One row for each question: how often its error was met, and what became of it.';
comment on column questions.run is 'Name of the run';
comment on column questions.v is 'Version of the first error';
comment on column questions.event is 'Reference of the first error';
comment on column questions.step is 'Step of the work that it happened in';
comment on column questions.open is 'Whether it has no answer yet';
comment on column questions.errors is 'Times that the error was captured (count)';
comment on column questions.asked_at is 'When it was captured first (UTC)';
comment on column questions.closed_at is 'When it was answered or retired; NULL: it is open (UTC)';
comment on column questions.closed_by is 'Event that did so; NULL: it is open';
comment on column questions.outcome is '`answered` or `retired`; NULL: it is open';
comment on column questions.cause is 'Who met the error, as in `errors`';
comment on column questions.source is 'Event that failed; NULL: none is named';
comment on column questions.after is 'Event that came before it; NULL: none is named';
comment on column questions.message is 'SHA-256 of the error''s text (hexadecimal)';
comment on column questions.answer is 'SHA-256 of the answer; NULL: there is none (hexadecimal)';
