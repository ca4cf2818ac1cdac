-- The archive: which events of which runs were moved to files, and the one way in which they may leave the server.

create table ledger.archived (
    run_key bigint primary key,
    v bigint not null,  -- the events up to this one are in the archive, and no longer here
    digest bytea not null,  -- that of the event at v: the next one here names it as the one before
    archive text not null,  -- where it was when they were moved
    seal text not null,  -- SHA-256 of the seal of their batch
    archived_at timestamptz not null default now()
);

create trigger stays before delete on ledger.archived
    for each row execute function ledger.refuse_change();
create trigger goes_on before update on ledger.archived
    for each row when (new.v <= old.v or new.run_key <> old.run_key) execute function ledger.refuse_change();
create trigger not_emptied before truncate on ledger.archived execute function ledger.refuse_change();

do $$
begin
    create role ledger_archiver nologin;
exception when duplicate_object or unique_violation then
    null;
end
$$;

-- Remove the events of a finished run that a sealed batch has: from where the last one ended up to p_v.
-- Refused unless the run has ended, p_events are here without a gap, and the last of them has the sealed digest.
-- Returns how many went: 0 where they had gone before.
create function ledger.forget_archived(
    p_run_key bigint, p_v bigint, p_digest bytea, p_events bigint, p_archive text, p_seal text
) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    before ledger.archived%rowtype;
    found_events bigint;
    found_digest bytea;
begin
    select * into before from ledger.archived a where a.run_key = p_run_key;
    if found and before.v >= p_v then
        return 0;
    end if;
    select count(*), (array_agg(e.digest) filter (where e.v = p_v))[1] into found_events, found_digest
    from ledger.events e where e.run_key = p_run_key and e.v <= p_v;
    if found_digest is distinct from p_digest or found_events <> p_events
        or found_events <> p_v - coalesce(before.v, 0)
    then
        raise exception 'what is sealed of run % up to event % is not what is here', p_run_key, p_v
            using errcode = 'LG003';
    end if;
    if before.v is null and not exists (
        select from ledger.events e where e.run_key = p_run_key and e.v <= p_v and e.kind like 'run.finished/%'
    ) then
        raise exception 'run % has not ended', p_run_key using errcode = 'LG003';
    end if;
    if p_seal !~ '^[0-9a-f]{64}$' then
        raise exception 'no batch is sealed as %', p_seal using errcode = 'LG003';
    end if;
    insert into ledger.archived as a (run_key, v, digest, archive, seal)
    values (p_run_key, p_v, p_digest, p_archive, p_seal)
    on conflict (run_key) do update
    set v = excluded.v, digest = excluded.digest, archive = excluded.archive, seal = excluded.seal,
        archived_at = excluded.archived_at;
    delete from ledger.events e where e.run_key = p_run_key and e.v <= p_v;
    return found_events;
end
$$;

grant select, insert, update on ledger.archived to ledger_retention;
revoke all on function ledger.forget_archived from public;
grant usage on schema ledger to ledger_archiver;
grant execute on function ledger.forget_archived to ledger_archiver;

-- Who gives a function away has to be a member of the role that gets it, but nobody is to stay one.
grant create on schema ledger to ledger_retention;
do $$
declare
    is_member boolean := pg_has_role(current_user, 'ledger_retention', 'member');
begin
    if not is_member then
        execute format('grant ledger_retention to %I', current_user);
    end if;
    alter function ledger.forget_archived owner to ledger_retention;
    if not is_member then
        execute format('revoke ledger_retention from %I', current_user);
    end if;
end
$$;
revoke create on schema ledger from ledger_retention;
grant select on ledger.archived to ledger_reader, ledger_archiver;
grant ledger_reader to ledger_archiver;
