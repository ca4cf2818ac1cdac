-- The base with each change since, the last one a path. A path that is gone has a row without mode and oid.
create macro state_at(run_name, version) as table
select
    case mode when 33188 then '100644' when 33261 then '100755' else format('{:06o}', mode) end as mode,
    lower(hex(oid)) as oid,
    p.path,
    p.raw as path_bytes
from (
    select path_id, arg_max_null(mode, v) as mode, arg_max_null(oid, v) as oid
    from (
        select b.path_id, 0 as v, b.mode, b.oid
        from columns.base_file as b
        where b.tree = (
            select unhex(data ->> '$.base_tree')
            from columns.event
            where run = run_name and kind = 'run.started' and v <= version
        )
        union all
        select path_id, v, mode, oid
        from columns.path_change
        where run = run_name and v <= version
    )
    group by path_id
)
join columns.path as p using (path_id)
where mode is not null
order by p.raw;
comment on macro table state_at is 'Every file of a run''s candidate at a version: its base with each change since, less what was rolled back.
run_name: Name of the run
version: Version of an event
mode: Git mode (octal)
oid: Git blob, or commit of a submodule (hexadecimal)
path: Path from the top of the repository, made printable
path_bytes: The same as its bytes; rows are sorted by it';

create macro candidate_at(run_name, version) as table
from state_at(run_name, version);
comment on macro table candidate_at is 'The same as `state_at`, by the name of what it is: the candidate, accepted or not.
run_name: Name of the run
version: Version of an event
mode: Git mode (octal)
oid: Git blob, or commit of a submodule (hexadecimal)
path: Path from the top of the repository, made printable
path_bytes: The same as its bytes; rows are sorted by it';

create macro diff_at(run_name, old_version, new_version) as table
select
    case when a.oid is null then 'add' when b.oid is null then 'delete' else 'modify' end as operation,
    coalesce(b.path, a.path) as path,
    path_bytes,
    a.mode as old_mode,
    b.mode,
    a.oid as old_oid,
    b.oid
from state_at(run_name, old_version) as a
full join state_at(run_name, new_version) as b using (path_bytes)
where (a.mode, a.oid) is distinct from (b.mode, b.oid)
order by path_bytes;
comment on macro table diff_at is 'Every path that differs between the candidates of two versions; a rename is a deletion and an addition.
run_name: Name of the run
old_version: Version of the one event
new_version: Version of the other, later or earlier
operation: `add`, `modify` (content, mode or type) or `delete`, on the way from the one to the other
path: Path from the top of the repository, made printable
path_bytes: The same as its bytes; rows are sorted by it
old_mode: Git mode before; NULL: there was no file (octal)
mode: Git mode after; NULL: there is no file (octal)
old_oid: Git blob before; NULL: there was no file (hexadecimal)
oid: Git blob after; NULL: there is no file (hexadecimal)';
