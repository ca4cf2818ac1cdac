-- One row for each event of the log. `recorded_at` is UTC; `data` holds the fields of its kind.
create view events as
select
    position,
    run,
    v,
    run || ':' || v as event,
    kind,
    kind_version,
    make_timestamp(at_ns // 1000) as recorded_at,
    actor_kind,
    actor_name,
    actor_session,
    id,
    lower(hex(hash)) as hash,
    data
from columns.event;
