-- The shared ledger: runs of many homes, their events byte for byte, and bodies by digest.
-- A writer reaches it through functions alone, which check every event's chain under the lock on its run's head.

do $$
declare
    name text;
begin
    foreach name in array array['ledger_writer', 'ledger_reader', 'ledger_retention'] loop
        begin
            execute format('create role %I nologin', name);
        exception when duplicate_object or unique_violation then
            null;  -- Roles are the whole server's: another database of it has a ledger too.
        end;
    end loop;
end
$$;

create table ledger.homes (
    home text primary key check (home ~ '^[0-9a-f]{64}$'),  -- hash of the first frame of one local ledger
    label text not null default ''
);

-- The head of each run. Its row lock makes the run's appends serial.
create table ledger.runs (
    run_key bigint generated always as identity primary key,
    home text not null references ledger.homes,
    run text not null,
    v bigint not null,
    digest bytea not null,
    xid xid8 not null,  -- of the last append: those of one run ascend, which is what followers rely on
    unique (home, run)
) with (fillfactor = 50);  -- A head is updated in place: room for it keeps the indexes as they are.

create sequence ledger.event_seq;

-- No foreign key to runs: append alone writes here, and a check for each event costs what the insert does.
create table ledger.events (
    run_key bigint not null,
    v bigint not null,
    id uuid not null,
    prev bytea not null,
    digest bytea not null,
    xid xid8 not null default pg_current_xact_id(),
    seq bigint not null default nextval('ledger.event_seq'),
    kind text not null,
    at_ns bigint not null,
    stored bytea not null,  -- the bytes that the digest covers
    primary key (run_key, v),
    unique (run_key, id)
) partition by hash (run_key);

create index events_in_commit_order on ledger.events (xid, seq);

do $$
begin
    for part in 0..7 loop
        execute format(
            'create table ledger.events_%s partition of ledger.events for values with (modulus 8, remainder %s)',
            part, part
        );
    end loop;
end
$$;

create table ledger.bodies (
    digest bytea primary key,
    data bytea not null
);

-- What is written stays: for every role, the owner too. Only the functions of retention run as its role.

create function ledger.refuse_change() returns trigger
language plpgsql as $$
begin
    if current_user = 'ledger_retention' and tg_op = 'DELETE' then
        return old;
    end if;
    raise exception '% of ledger.% is refused: what is recorded stays', lower(tg_op), tg_table_name
        using errcode = 'insufficient_privilege';
end
$$;

create trigger stays before update or delete on ledger.events
    for each row execute function ledger.refuse_change();
create trigger stays before update or delete on ledger.bodies
    for each row execute function ledger.refuse_change();
create trigger stays before delete on ledger.runs
    for each row execute function ledger.refuse_change();
-- Not a trigger with a condition: that is parsed anew with every append.
create trigger keeps_its_name before update of run_key, home, run on ledger.runs
    for each row execute function ledger.refuse_change();
create trigger stays before delete on ledger.homes
    for each row execute function ledger.refuse_change();

do $$
declare
    part regclass;
begin
    for part in
        select oid from pg_class where relnamespace = 'ledger'::regnamespace and relkind in ('r', 'p')
    loop
        execute format(
            'create trigger not_emptied before truncate on %s execute function ledger.refuse_change()', part
        );
    end loop;
end
$$;

-- What a writer may call.

create function ledger.register(p_home text, p_label text) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
    insert into ledger.homes as h (home, label) values (p_home, p_label)
    on conflict (home) do update set label = excluded.label where h.label <> excluded.label
$$;

create function ledger.head(p_home text, p_run text, out v bigint, out digest bytea)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select r.v, r.digest from ledger.runs r where r.home = p_home and r.run = p_run
$$;

create function ledger.digests(p_home text, p_run text, p_first bigint, p_last bigint)
returns table (v bigint, seq bigint, digest bytea)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select e.v, e.seq, e.digest from ledger.runs r join ledger.events e using (run_key)
    where r.home = p_home and r.run = p_run and e.v between p_first and p_last order by e.v
$$;

-- Who knows the ids of events may see them: what a retry has to compare.
create function ledger.events_of_ids(p_home text, p_run text, p_ids uuid[])
returns table (seq bigint, stored bytea)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select e.seq, e.stored from ledger.runs r join ledger.events e using (run_key)
    where r.home = p_home and r.run = p_run and e.id = any (p_ids) order by e.v
$$;

create function ledger.run_of_id(p_home text, p_id uuid, out run text, out v bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select r.run, e.v from ledger.runs r join ledger.events e using (run_key)
    where r.home = p_home and e.id = p_id limit 1
$$;

create function ledger.put_bodies(p_data bytea[]) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
    -- In order, so that two who put the same ones wait for each other in turn, never in a circle.
    insert into ledger.bodies (digest, data)
    select distinct on (1) sha256(data), data from unnest(p_data) as given (data) order by 1
    on conflict do nothing
$$;

create function ledger.has_bodies(p_digests bytea[]) returns setof bytea
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select b.digest from ledger.bodies b where b.digest = any (p_digests)
$$;

-- Kind, id, run, v, prev and time of a stored event: from its beginning as every version has written it; what
-- begins otherwise is read as JSON, which is slower and refuses an escaped NUL anywhere in it.
create function ledger.event_fields(p_stored bytea) returns text[]
language plpgsql immutable as $$
declare
    part text[] := string_to_array(convert_from(substring(p_stored from 1 for 320), 'LATIN1'), '"');
    fields json;
begin
    if part[1:3] || part[5:7] || part[9:11] || part[13:14] || part[16:17] || part[19:20]
        = '{"{",kind,:,",",id,:,",",run,:,",",v,prev,:,",",at_ns}' and strpos(part[4], '\') = 0
    then
        return array[part[4], part[8], part[12], trim(both ':,' from part[15]), part[18],
            trim(both ':,}' from part[21])];
    end if;
    fields := convert_from(p_stored, 'UTF8')::json;
    return array[
        fields ->> 'kind', fields ->> 'id', fields ->> 'run', fields ->> 'v', fields ->> 'prev', fields ->> 'at_ns'
    ];
end
$$;

-- Append stored events of one run, in order, all or none.
-- state: 'appended'; 'present', all of them are there; 'moved', they do not begin at the head; 'diverged', another
-- event has the version of one. head_v and head_digest are of the run as it is afterwards; seqs of what was appended.
-- Raises LG001 where they do not follow one another, serialization_failure where a later try may succeed.
create function ledger.append(
    p_home text, p_run text, p_stored bytea[],
    out state text, out head_v bigint, out head_digest bytea, out seqs bigint[]
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    head ledger.runs%rowtype;
    exists_already boolean;
    fields text[];
    event bytea;
    first_v bigint;
    at_v bigint;
    at_digest bytea;
    known int := 0;
    ids uuid[] := '{}';
    prevs bytea[] := '{}';
    digests bytea[] := '{}';
    kinds text[] := '{}';
    times bigint[] := '{}';
begin
    -- The lock comes before this transaction's id is given, so that those of one run ascend in its order.
    select * into head from ledger.runs r where r.home = p_home and r.run = p_run for no key update;
    exists_already := found;
    if not exists_already then
        head.v := 0;
        head.digest := decode(repeat('00', 32), 'hex');
    end if;
    foreach event in array p_stored loop
        fields := ledger.event_fields(event);
        if fields[3] is distinct from p_run then
            raise exception 'an event of run % is no event of run %', fields[3], p_run using errcode = 'LG001';
        end if;
        if first_v is null then
            first_v := fields[4]::bigint;
            at_v := first_v - 1;
            at_digest := decode(fields[5], 'hex');
        end if;
        if fields[4]::bigint is distinct from at_v + 1 or decode(fields[5], 'hex') is distinct from at_digest then
            raise exception 'event % of run % does not follow the one before it', fields[4], p_run
                using errcode = 'LG001';
        end if;
        at_v := at_v + 1;
        prevs := prevs || at_digest;
        at_digest := sha256('\x6c65646765722d6576656e742f310a'::bytea || event);  -- 'ledger-event/1', line feed
        digests := digests || at_digest;
        ids := ids || fields[2]::uuid;
        kinds := kinds || fields[1];
        times := times || fields[6]::bigint;
    end loop;

    head_v := head.v;
    head_digest := head.digest;
    if first_v > head.v + 1 then
        state := 'moved';
        return;
    end if;
    if first_v <= head.v then
        known := least(at_v, head.v) - first_v + 1;
        if (
            select count(*) from unnest(digests[1:known]) with ordinality as given (digest, n)
            join ledger.events e on e.v = first_v + n - 1 and e.digest = given.digest
            where e.run_key = head.run_key and e.v between first_v and first_v + known - 1
        ) <> known then
            state := 'diverged';
            return;
        end if;
        if at_v <= head.v then
            state := 'present';
            return;
        end if;
    end if;
    if prevs[known + 1] <> head.digest then
        raise exception 'event % of run % does not follow the one before it', head.v + 1, p_run
            using errcode = 'LG001';
    end if;
    if exists_already then
        if pg_current_xact_id() < head.xid then
            raise exception 'run % was appended to by a later transaction', p_run
                using errcode = 'serialization_failure';
        end if;
        update ledger.runs r set v = at_v, digest = at_digest, xid = pg_current_xact_id()
        where r.run_key = head.run_key;
    else
        insert into ledger.runs (home, run, v, digest, xid)
        values (p_home, p_run, at_v, at_digest, pg_current_xact_id())
        on conflict (home, run) do nothing returning run_key into head.run_key;
        if not found then
            raise exception 'run % has begun meanwhile', p_run using errcode = 'serialization_failure';
        end if;
    end if;
    with given as (
        select * from unnest(
            ids[known + 1:], prevs[known + 1:], digests[known + 1:], kinds[known + 1:], times[known + 1:],
            p_stored[known + 1:]
        ) with ordinality as given (id, prev, digest, kind, at_ns, stored, n)
    ), inserted as (
        insert into ledger.events as e (run_key, v, id, prev, digest, kind, at_ns, stored)
        select head.run_key, first_v + known + n - 1, id, prev, digest, kind, at_ns, stored
        from given order by n
        returning e.v, e.seq
    )
    select array_agg(i.seq order by i.v) into seqs from inserted i;
    state := 'appended';
    head_v := at_v;
    head_digest := at_digest;
    -- A notification makes commits serial on the whole server, so it is sent only where somebody waits for one.
    if not (pg_try_advisory_lock(4919132707) and pg_advisory_unlock(4919132707)) then
        notify ledger;
    end if;
end
$$;

-- The short ways for what is nearly always the case: canonical bytes that go on from the head of a run. They do no
-- more than that, in few statements, as PL/pgSQL prepares each expression anew in every transaction. Where it is not
-- the case they write nothing and return null, or raise LG002, and the caller asks ledger.append.

create function ledger.append_one(p_home text, p_run text, p_stored bytea) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    beginning text := convert_from(substring(p_stored from 1 for 320), 'LATIN1');
    head record;
    number bigint;
begin
    select r.run_key, r.v, r.digest, r.xid,
        '{"kind":"' || split_part(beginning, '"', 4) || '","id":"' || split_part(beginning, '"', 8) || '","run":"'
            || p_run || '","v":' || r.v + 1 || ',"prev":"' || encode(r.digest, 'hex') || '","at_ns":' as expected,
        sha256('\x6c65646765722d6576656e742f310a'::bytea || p_stored) as next_digest
    into head
    from ledger.runs r where r.home = p_home and r.run = p_run for no key update;
    if found and starts_with(beginning, head.expected) and strpos(head.expected, '\') = 0
        and pg_current_xact_id() >= head.xid
    then
        update ledger.runs r set v = head.v + 1, digest = head.next_digest, xid = pg_current_xact_id()
        where r.run_key = head.run_key;
        insert into ledger.events (run_key, v, id, prev, digest, kind, at_ns, stored)
        values (head.run_key, head.v + 1, split_part(beginning, '"', 8)::uuid, head.digest, head.next_digest,
            split_part(beginning, '"', 4),
            split_part(split_part(substr(beginning, length(head.expected) + 1), ',', 1), '}', 1)::bigint, p_stored)
        returning seq into number;
        if not (pg_try_advisory_lock(4919132707) and pg_advisory_unlock(4919132707)) then
            notify ledger;
        end if;
    end if;
    return number;
end
$$;

create function ledger.append_many(p_home text, p_run text, p_first_v bigint, p_stored bytea[]) returns bigint[]
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan as $$
declare
    head record;
    numbers bigint[];
begin
    select r.run_key, r.v, r.digest, r.xid into head
    from ledger.runs r where r.home = p_home and r.run = p_run for no key update;
    if not found or head.v + 1 <> p_first_v or pg_current_xact_id() < head.xid then
        return null;
    end if;
    with given as (
        select n, stored, sha256('\x6c65646765722d6576656e742f310a'::bytea || stored) as digest,
            convert_from(substring(stored from 1 for 320), 'LATIN1') as beginning
        from unnest(p_stored) with ordinality as given (stored, n)
    ), chained as (
        select *, lag(digest, 1, head.digest) over (order by n) as prev,
            split_part(beginning, '"', 4) as kind, split_part(beginning, '"', 8) as id
        from given
    ), checked as materialized (
        select *,
            '{"kind":"' || kind || '","id":"' || id || '","run":"' || p_run || '","v":' || head.v + n || ',"prev":"'
                || encode(prev, 'hex') || '","at_ns":' as expected
        from chained
    ), inserted as (
        insert into ledger.events as e (run_key, v, id, prev, digest, kind, at_ns, stored)
        select head.run_key, head.v + n, id::uuid, prev, digest, kind,
            split_part(split_part(substr(beginning, length(expected) + 1), ',', 1), '}', 1)::bigint, stored
        from checked where starts_with(beginning, expected) and strpos(kind, '\') = 0 order by n
        returning e.v, e.seq, e.digest
    ), moved as (
        update ledger.runs r set v = i.v, digest = i.digest, xid = pg_current_xact_id()
        from inserted i where r.run_key = head.run_key and i.v = head.v + cardinality(p_stored)
    )
    select array_agg(i.seq order by i.v) into numbers from inserted i;
    if cardinality(numbers) is distinct from cardinality(p_stored) then
        raise exception 'not all of them are canonical and follow one another' using errcode = 'LG002';
    end if;
    if not (pg_try_advisory_lock(4919132707) and pg_advisory_unlock(4919132707)) then
        notify ledger;
    end if;
    return numbers;
end
$$;

-- Roles: a writer calls those functions and touches no table, a reader selects, retention deletes.

grant usage on schema ledger to ledger_writer, ledger_reader, ledger_retention;
revoke all on all functions in schema ledger from public;
grant execute on function
    ledger.register, ledger.head, ledger.digests, ledger.events_of_ids, ledger.run_of_id,
    ledger.put_bodies, ledger.has_bodies, ledger.append, ledger.append_one, ledger.append_many
to ledger_writer;
grant select on all tables in schema ledger to ledger_reader;
grant select on ledger.migrations to ledger_writer;
grant select, delete on ledger.events, ledger.runs, ledger.bodies to ledger_retention;
