-- The rows of each table, made of what `ledger.query.bulk` has staged: `staged_event`, every event's own columns by its
-- position `s`; `staged_rest`, what is beside the common ones as JSON. Object ids are hexadecimal still.

-- table octal
create or replace temp macro octal(digits) as case digits
    when '100644' then 33188
    when '100755' then 33261
    when '120000' then 40960
    when '160000' then 57344
    else list_reduce(list_transform(string_split(digits, ''), lambda digit: digit::integer), lambda x, y: 8 * x + y)
end;

-- table staged_change
create or replace temp table staged_change as
select
    s, run, v, kind, ordinal, f.operation, f.path as text, f.old_path as old_text,
    if(f.old_mode is null or f.old_oid is null, null, f.old_mode) as old_mode_text,
    if(f.old_mode is null or f.old_oid is null, null, f.old_oid) as old_oid,
    if(f.mode is null or f.oid is null, null, f.mode) as mode_text,
    if(f.mode is null or f.oid is null, null, f.oid) as oid,
    coalesce(f.added, 0) as added,
    coalesce(f.removed, 0) as removed
from (
    select s, run, v, kind, unnest(files) as f, generate_subscripts(files, 1) as ordinal
    from staged_event
    where files is not null
);

-- table staged_path
create or replace temp table staged_path as
with mine as (
    select
        text,
        if(
            regexp_full_match(text, '\{"b64":"[^"]*"\}'),
            from_base64(regexp_extract(text, '"b64":"([^"]*)"', 1)),
            encode(text)
        ) as raw
    from (
        select text from staged_change
        union
        select old_text from staged_change where old_text is not null
    )
)
select
    text,
    raw,
    known.path_id is null as fresh,
    coalesce(
        known.path_id,
        (select coalesce(max(path_id), 0) from known_path)
            + dense_rank() over (partition by known.path_id is null order by raw)
    )::integer as path_id
from mine
left join known_path as known using (raw);

-- table event
select
    e.s as position, e.run, e.v, e.id, split_part(e.kind, '/', 1) as kind,
    split_part(e.kind, '/', 2)::integer as kind_version, e.at_ns, coalesce(e.actor.kind, 'unknown') as actor_kind,
    coalesce(e.actor.name, '') as actor_name, coalesce(e.actor.session, '') as actor_session, e.h as hash, r.data
from staged_event as e
join staged_rest as r using (s);

-- table state
select
    run, v, split_part(kind, '/', 1) as kind, if(kind = 'run.started/1', base_tree, result_tree) as tree,
    if(kind = 'patch.rolled_back/1', to_v, null) as to_v
from staged_event
where kind in ('run.started/1', 'run.rebased/1', 'patch.applied/1', 'patch.rolled_back/1');

-- table patch
select
    run, v, if(kind = 'patch.applied/1', 'applied', 'refused') as outcome,
    if(kind = 'patch.applied/1', cause, 'diff') as cause, base_tree,
    if(kind = 'patch.applied/1', result_tree, null) as result_tree, patch as body,
    patch_size_bytes as size_bytes, coalesce(source, '') as source,
    if(kind = 'patch.refused/1', error, null) as error
from staged_event
where kind in ('patch.applied/1', 'patch.refused/1');

-- table file_change
select
    c.run, c.v, c.ordinal, p.path_id, o.path_id as old_path_id, c.operation, octal(c.old_mode_text) as old_mode, c.old_oid,
    octal(c.mode_text) as mode, c.oid, c.added, c.removed
from staged_change as c
join staged_path as p on p.text = c.text
left join staged_path as o on o.text = c.old_text
where c.kind = 'patch.applied/1';

-- table turn_file
select
    c.run, c.v, c.ordinal, p.path_id, o.path_id as old_path_id, c.operation, octal(c.old_mode_text) as old_mode, c.old_oid,
    octal(c.mode_text) as mode, c.oid, c.added, c.removed
from staged_change as c
join staged_path as p on p.text = c.text
left join staged_path as o on o.text = c.old_text
where c.kind in ('patch.rolled_back/1', 'run.rebased/1');

-- table path_change
select run, v, path_id, arg_max_null(mode, place) as mode, arg_max_null(oid, place) as oid
from (
    -- A deletion never hides what another file of the same patch puts at the path.
    select c.run, c.v, p.path_id, octal(c.mode_text) as mode, c.oid, if(c.oid is null, 0, c.ordinal) as place
    from staged_change as c
    join staged_path as p on p.text = c.text
    union all
    select c.run, c.v, o.path_id, null, null, 0
    from staged_change as c
    join staged_path as o on o.text = c.old_text
    where c.operation = 'rename'
)
group by run, v, path_id;

-- table measurement
select
    e.run, e.v, e.gate, e.tree, e.state_v, e.definition,
    array_to_string(
        list_transform(
            list_sort(map_entries((r.data -> '$.tools')::map(varchar, varchar))), lambda tool: tool.key || '=' || tool.value
        ),
        ' '
    ) as environment,
    array_to_string(list_transform(e.commands, lambda words: array_to_string(words, ' ')), ' && ') as command,
    e.place, (r.data -> '$.exit_codes')::varchar as exit_codes, e.started_at_ns, e.duration_ns, e.examined, e.unit,
    (r.data -> '$.problems')::varchar as problems, (r.data -> '$.baseline' ->> '$.examined')::double as baseline_examined,
    e.baseline_v, e.verdict, (r.data -> '$.reasons')::varchar as reasons, e.profile, e.report, e.output
from staged_event as e
join staged_rest as r using (s)
where e.kind = 'gate.measured/1';

-- table metric
select run, v, m.key as name, m.value as value, baseline[m.key] as baseline
from (
    select
        e.run, e.v, unnest(map_entries((r.data -> '$.metrics')::map(varchar, double))) as m,
        (r.data -> '$.baseline')::map(varchar, double) as baseline
    from staged_event as e
    join staged_rest as r using (s)
    where e.kind = 'gate.measured/1'
);
