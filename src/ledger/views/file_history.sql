-- A name lasts from the event that gave it to the next rename; before that, the file had the name before. Names are
-- compared as hexadecimal bytes: what is below a directory begins with its name and a slash (2F).
create macro file_history(run_name, file_path) as table
with recursive change as (
    select c.*, p.path, hex(p.raw) as name, o.path as old_path, hex(o.raw) as old_name
    from (
        select * from columns.file_change where run = run_name
        union all
        select * from columns.turn_file where run = run_name
    ) as c
    join columns.path as p on p.path_id = c.path_id
    left join columns.path as o on o.path_id = c.old_path_id
), named as (
    select hex(file_path) as name, 2147483647 as until_v
    union all
    select c.old_name, c.v
    from named as n
    join change as c on c.name = n.name and c.v < n.until_v and c.operation = 'rename'
    qualify row_number() over (order by c.v desc, c.ordinal) = 1
), span as (
    select name, name || '2F' as below, until_v, coalesce(lead(until_v) over (order by until_v desc), 0) as from_v
    from named
)
select
    c.v,
    e.run || ':' || c.v as event,
    make_timestamp(e.at_ns // 1000) as recorded_at,
    e.kind,
    c.operation,
    c.path,
    c.old_path,
    c.added,
    c.removed,
    format('{:06o}', c.old_mode) as old_mode,
    format('{:06o}', c.mode) as mode,
    lower(hex(c.old_oid)) as old_oid,
    lower(hex(c.oid)) as oid
from span as s
join change as c on c.v >= s.from_v and c.v < s.until_v and (
    c.name = s.name or starts_with(c.name, s.below)
    or (c.operation = 'rename' and (c.old_name = s.name or starts_with(c.old_name, s.below)))
)
join columns.event as e on e.run = run_name and e.v = c.v
order by c.v desc, c.ordinal;
comment on macro table file_history is 'Every event of a run that changed a file, the newest first, what was taken back included; the file is followed under the names that it had before, as `ledger log PATH` does.
run_name: Name of the run
file_path: Its newest name from the top of the repository, as text or as bytes; a directory stands for all below it
v: Version of the event
event: Reference of the event
recorded_at: When (UTC)
kind: `patch.applied`, `patch.rolled_back` or `run.rebased`
operation: `add`, `modify`, `delete`, `rename` or `copy`
path: Path after it; of a deletion, before it
old_path: Path before it, of a rename or a copy; NULL: the same
added: Text lines added (lines)
removed: Text lines removed (lines)
old_mode: Git mode before; NULL: there was no file (octal)
mode: Git mode after; NULL: there is no file (octal)
old_oid: Git blob before; NULL: there was no file (hexadecimal)
oid: Git blob after; NULL: there is no file (hexadecimal)';
