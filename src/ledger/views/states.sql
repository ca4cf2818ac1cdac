-- Every file of a run's candidate at a version: its base with each change since, the last one a path.
-- A path that is gone has a row without mode and oid; arg_max skips NULLs, so both travel in a struct.
create macro state_at(run_name, version) as table
select
    format('{:06o}', last.mode) as mode,
    lower(hex(last.oid)) as oid,
    p.path,
    p.raw as path_bytes
from (
    select path_id, arg_max({'mode': mode, 'oid': oid}, v) as last
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
where last.mode is not null
order by p.raw;
