create view patch_files as
select
    c.run,
    c.v,
    c.run || ':' || c.v as event,
    n.path,
    o.path as old_path,
    c.operation,
    c.added,
    c.removed,
    format('{:06o}', c.old_mode) as old_mode,
    format('{:06o}', c.mode) as mode,
    lower(hex(c.old_oid)) as old_oid,
    lower(hex(c.oid)) as oid
from columns.file_change as c
join columns.path as n on n.path_id = c.path_id
left join columns.path as o on o.path_id = c.old_path_id;
comment on view patch_files is 'One row for each file of each applied patch.';
comment on column patch_files.run is 'Name of the run';
comment on column patch_files.v is 'Version of the patch';
comment on column patch_files.event is 'Reference of the patch';
comment on column patch_files.path is 'Path after it, from the top of the repository; of a deletion, before it';
comment on column patch_files.old_path is 'Path before it, of a rename or a copy; NULL: the same';
comment on column patch_files.operation is '`add`, `modify`, `delete`, `rename` or `copy`';
comment on column patch_files.added is 'Text lines added; 0 for binary content (lines)';
comment on column patch_files.removed is 'Text lines removed; 0 for binary content (lines)';
comment on column patch_files.old_mode is 'Git mode before; NULL: there was no file (octal)';
comment on column patch_files.mode is 'Git mode after; NULL: there is no file (octal)';
comment on column patch_files.old_oid is 'Git blob before; NULL: there was no file (hexadecimal)';
comment on column patch_files.oid is 'Git blob after; NULL: there is no file (hexadecimal)';
