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
comment on view events is 'One row for each event of the log, in the order of the log.';
comment on column events.position is 'Place in the ledger, from 1; the order of all events';
comment on column events.run is 'Name of the run; `ledger` for what concerns no run';
comment on column events.v is 'Version: place in the run, from 1';
comment on column events.event is 'Reference of the event, `<run>:<v>`, as every command takes it';
comment on column events.kind is 'What happened, such as `patch.applied`';
comment on column events.kind_version is 'Version of the kind''s fields, as written';
comment on column events.recorded_at is 'When the writer recorded it, by its clock (UTC)';
comment on column events.actor_kind is 'What kind of actor wrote it, as claimed by LEDGER_ACTOR: `person`, `agent` and so on';
comment on column events.actor_name is 'Name of the actor, as claimed';
comment on column events.actor_session is 'Session of the actor, as claimed';
comment on column events.id is 'Identity that the writer gave it, a UUID of version 7';
comment on column events.hash is 'SHA-256 of the frame, which covers every frame before it (hexadecimal)';
comment on column events.data is 'The fields of its kind, less those that have columns here; docs/format.md lists them';
