-- One row for each file of each applied patch. Modes are Git's octal digits, oids hexadecimal.
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
