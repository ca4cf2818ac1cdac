"""What the server of a shared ledger holds to by itself: roles, chains, locks, versions of its schema."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from tests.postgres_server import Server, Urls

from ledger.errors import NotACopy
from ledger.events import NO_DIGEST, PatchRefused, RunStarted, body_digest, event_digest
from ledger.shared_errors import (
    InvalidStoreAddress,
    NewerStore,
    NotMigrated,
    StoreBusy,
    StoreForbids,
    StoreUnreachable,
)
from ledger.stamps import Stamp
from ledger.store.postgres import PostgresStore, TailCursor
from ledger.store.postgres.connection import shown
from ledger.store.postgres.schema import latest
from ledger.transfer_errors import DivergedRun

pytestmark = pytest.mark.needs("postgres")
Started = Callable[[str], RunStarted]
Refused = Callable[[str], PatchRefused]
HOME = "ab" * 32


@pytest.fixture
def connect(stamp: Stamp) -> Iterator[Callable[..., PostgresStore]]:
    """Connects, and closes at the end what it has opened."""
    opened: list[PostgresStore] = []

    def connect(url: str, home: str = HOME, **words: Any) -> PostgresStore:
        opened.append(PostgresStore.connect(url, home=home, stamp=stamp, **words))
        return opened[-1]

    yield connect
    for store in opened:
        store.close()


@pytest.fixture
def filled(
    shared_urls: Urls, connect: Callable[..., PostgresStore], started: Started, refused: Refused
) -> Urls:
    """A database with a run of three events and a body."""
    store = connect(shared_urls.both)
    store.append([started("port"), refused("port"), refused("port")], 1)
    store.write_body(b"text")
    return shared_urls


def attempt(url: str, statement: str) -> str | None:
    """Return the SQLSTATE with which a statement fails, None where it is done."""
    with psycopg.connect(url, autocommit=True) as connection:
        try:
            connection.execute(statement.encode())
        except psycopg.Error as error:
            return error.sqlstate
    return None


TABLES = ("homes", "runs", "events", "events_0", "bodies", "migrations")
CHANGES = {
    "events": "kind = 'x'",
    "events_3": "stored = ''",
    "bodies": "data = ''",
    "runs": "run = 'x'",
    "homes": "label = 'x'",
}
DENIED = "42501"


@pytest.mark.parametrize("table", TABLES)
def test_a_writer_touches_no_table(filled: Urls, table: str) -> None:
    """A writer's role may neither change nor delete nor empty anything, nor insert past the function's checks."""
    for statement in (
        f"update ledger.{table} set {CHANGES.get(table, 'xmin = xmin')}"
        if table in CHANGES
        else f"delete from ledger.{table} where true",
        f"delete from ledger.{table}",
        f"truncate ledger.{table} cascade",
        f"insert into ledger.{table} default values",
        f"drop table ledger.{table}",
        f"alter table ledger.{table} disable trigger all",
    ):
        assert attempt(filled.writer, statement) == DENIED, statement


@pytest.mark.parametrize("table", TABLES)
def test_a_reader_changes_nothing(filled: Urls, table: str) -> None:
    """A reader's role sees every table and may write to none."""
    assert attempt(filled.reader, f"select * from ledger.{table}") is None
    for statement in (
        f"delete from ledger.{table}",
        f"truncate ledger.{table} cascade",
        f"insert into ledger.{table} default values",
    ):
        assert attempt(filled.reader, statement) == DENIED, statement


def test_a_reader_may_call_nothing_that_writes(
    filled: Urls, connect: Callable[..., PostgresStore], refused: Refused
) -> None:
    """Appending and storing bodies are refused to it, as errors with an exit code and a hint."""
    reader = connect(filled.reader)
    assert [frame.event.v for frame in reader.of_run("port")] == [1, 2, 3]
    with pytest.raises(StoreForbids, match="permission denied"):
        reader.append([refused("port")], 4)
    with pytest.raises(StoreForbids):
        reader.write_body(b"other")


def test_a_writer_reads_only_what_it_needs(
    filled: Urls, connect: Callable[..., PostgresStore], refused: Refused
) -> None:
    """It appends, stores bodies, asks for heads and for digests of bodies; contents are a reader's."""
    writer = connect(filled.writer)
    assert writer.head_of("port").v == 3
    assert writer.append([refused("port")], 4)[-1].event.v == 4
    assert writer.has_bodies([body_digest(b"text"), "0" * 64]) == {body_digest(b"text")}
    for read in (lambda: writer.read_body(body_digest(b"text")), lambda: list(writer.of_run("port"))):
        with pytest.raises(StoreForbids):
            read()


@pytest.mark.parametrize(("table", "change"), CHANGES.items())
def test_triggers_refuse_the_owner_too(filled: Urls, table: str, change: str) -> None:
    """What is recorded stays, whoever asks; a label alone may change."""
    if table != "homes":
        assert attempt(filled.owner, f"update ledger.{table} set {change}") in (DENIED, None)
    with psycopg.connect(filled.owner) as connection:
        for statement in (f"delete from ledger.{table}", f"update ledger.{table} set {change}"):
            count = connection.execute(f"select count(*) from ledger.{table}".encode()).fetchone()
            if count == (0,) or (table, statement[:6]) == ("homes", "update"):
                continue
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="what is recorded stays"):
                connection.execute(statement.encode())
            connection.rollback()
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="what is recorded stays"):
            connection.execute(f"truncate ledger.{table} cascade".encode())


def test_retention_alone_may_delete(filled: Urls) -> None:
    """The role that archiving uses deletes; it may not change."""
    assert attempt(filled.owner, "grant ledger_retention to ledger_owner") is None
    assert attempt(filled.owner, "set role ledger_retention; update ledger.bodies set data = ''") == DENIED
    assert attempt(filled.owner, "set role ledger_retention; delete from ledger.events") is None


# The chain is checked by the server itself.


def forged(event: RunStarted, **fields: bytes) -> bytes:
    """Return an event as bytes, with fields as they should not be."""
    said = {
        "kind": b'"x/1"', "id": b'"%b"' % event.id.encode(), "run": b'"port"', "v": b"4",
        "prev": b'"' + b"0" * 64 + b'"', "at_ns": b"1", "actor": b"{}",
    } | fields  # fmt: skip
    return b"{" + b",".join(b'"%b":%b' % (name.encode(), value) for name, value in said.items()) + b"}"


@pytest.mark.parametrize("call", ["append_one", "append_many", "append"])
@pytest.mark.parametrize("fault", ["prev", "v", "run", "json", "fields"])
def test_the_server_takes_no_event_that_does_not_follow(
    filled: Urls, started: Started, call: str, fault: str
) -> None:
    """Whoever calls its functions by hand gets nothing in that breaks a chain."""
    with psycopg.connect(filled.both, autocommit=True) as connection:
        row = connection.execute("select digest from ledger.head(%s, 'port')", [HOME]).fetchone()
        assert row is not None
        prev = b'"%b"' % row[0].hex().encode()
        bad = {"prev": {}, "v": {"prev": prev, "v": b"6"}, "run": {"prev": prev, "run": b'"sort"'}}
        data = forged(started("port"), **bad.get(fault, {"prev": prev}))
        data = {"json": data[:-1] + b"!", "fields": b'{"v":4}'}.get(fault, data)
        if fault == "json":
            data = data.replace(b'"kind"', b' "kind"')
        words: dict[str, tuple[str, list[Any]]] = {
            "append_one": ("(%s, 'port', %s)", [HOME, data]),
            "append_many": ("(%s, 'port', 4, %s::bytea[])", [HOME, [data]]),
            "append": ("(%s, 'port', %s::bytea[])", [HOME, [data]]),
        }
        statement, asked = words[call]
        try:
            answer = connection.execute(f"select ledger.{call}{statement}".encode(), asked).fetchone()
        except psycopg.DatabaseError:
            answer = None
        assert answer is None or answer[0] is None or answer[0][0] != "appended"
        assert connection.execute("select count(*) from ledger.events").fetchone() == (3,)
        assert connection.execute("select v from ledger.head(%s, 'port')", [HOME]).fetchone() == (3,)


def test_other_ways_to_write_an_event_are_taken_too(
    filled: Urls, connect: Callable[..., PostgresStore], started: Started
) -> None:
    """An event with spaces, or with its fields in another order, is what its JSON says."""
    store = connect(filled.both)
    for _ in range(2):
        head = store.head_of("port")
        fields = {"prev": b'"%b"' % head.digest.encode(), "v": b"%d" % (head.v + 1), "title": b'"\xc3\xa9"'}
        data = forged(started("port"), **fields).replace(b'{"kind"', b'{ "kind"')
        store.append_copies([data])
        assert bytes([*store.of_run("port")][-1].e) == data
    with psycopg.connect(filled.owner) as connection:
        rows = connection.execute("select v, digest, prev from ledger.events order by v").fetchall()
    stored = [bytes(frame.e) for frame in store.of_run("port")]
    assert [(v, digest.hex()) for v, digest, _ in rows] == [
        (n, event_digest(d)) for n, d in enumerate(stored, 1)
    ]
    assert [prev.hex() for _, _, prev in rows] == [NO_DIGEST, *map(event_digest, stored[:-1])]


def test_the_same_copies_again_are_passed_over(
    shared_urls: Urls, connect: Callable[..., PostgresStore], started: Started, refused: Refused
) -> None:
    """What is there is not sent twice; what goes on from it is added; another event at a version is refused."""
    source = connect(shared_urls.both, "cd" * 32)
    source.append([started("port"), *(refused("port") for _ in range(5))], 1)
    copies = [bytes(frame.e) for frame in source.of_run("port")]
    store = connect(shared_urls.both)
    for part in (copies[:3], copies[:3], copies[1:5], copies[5:], copies, copies[2:4]):
        frames = store.append_copies(part)
        assert [bytes(frame.e) for frame in frames] == part
    assert [bytes(frame.e) for frame in store.of_run("port")] == copies
    other = connect(shared_urls.both, "ef" * 32)
    other.append([started("port"), refused("port")], 1)
    with pytest.raises(DivergedRun) as caught:
        store.append_copies([bytes(frame.e) for frame in other.of_run("port")])
    assert caught.value.v == 1
    with pytest.raises(NotACopy, match="version 6"):
        store.append_copies([copies[-1].replace(b'"v":6', b'"v":9')])
    assert {run.home: run.v for run in store.every_run()} == {"cd" * 32: 6, HOME: 6, "ef" * 32: 2}


def test_homes_are_apart(shared_urls: Urls, connect: Callable[..., PostgresStore], started: Started) -> None:
    """Two ledgers may have a run of the same name, and a label each."""
    one = connect(shared_urls.both, "cd" * 32, label="one")
    one.append([started("port")], 1)
    two = connect(shared_urls.both, "ef" * 32, label="two")
    two.append([started("port")], 1)
    assert [(home.home[:2], home.label) for home in one.homes()] == [("cd", "one"), ("ef", "two")]
    ids = [next(iter(store.of_run("port"))).event.id for store in (one.at_home("ef" * 32), two)]
    assert ids[0] == ids[1] != next(iter(one.of_run("port"))).event.id
    assert [(found.home[:2], found.v) for batch in one.tail() for found in batch.events] == [
        ("cd", 1),
        ("ef", 1),
    ]


# Order for followers.


def test_the_lock_comes_before_the_transaction_id(filled: Urls, server_url: str) -> None:
    """A writer that waits for a run's lock has no transaction id yet, so those of a run ascend in its order."""
    holder = psycopg.connect(filled.owner)
    holder.execute("select * from ledger.runs for no key update")
    data = b"{}"
    waiter = psycopg.connect(filled.writer, autocommit=True)
    pid = waiter.info.backend_pid

    def wait() -> None:
        waiter.execute("select ledger.append_one(%s, 'port', %s)", [HOME, data])

    thread = threading.Thread(target=wait)
    thread.start()
    with psycopg.connect(server_url, autocommit=True) as watcher:
        row = None
        while row is None or row[0] != "Lock":
            row = watcher.execute(
                "select wait_event_type, backend_xid::text from pg_stat_activity where pid = %s", [pid]
            ).fetchone()
    assert row == ("Lock", None)
    holder.rollback()
    thread.join()
    holder.close()
    waiter.close()


@pytest.fixture
def server_url(postgres: Server) -> str:
    """The server as its superuser sees it."""
    return postgres.url("postgres")


def test_a_transaction_with_an_earlier_id_appends_nothing(
    filled: Urls, connect: Callable[..., PostgresStore], refused: Refused
) -> None:
    """Whoever got its id before another appended is told to try again: its events would come too late."""
    with psycopg.connect(filled.both) as early:
        early.execute("select pg_current_xact_id()")
        store = connect(filled.both)
        frame = store.append([refused("port")], 4)[-1]
        again = bytes(frame.e).replace(b'"v":4', b'"v":5').replace(frame.p.encode(), frame.h.encode())
        with pytest.raises(psycopg.errors.SerializationFailure):
            early.execute("select ledger.append(%s, 'port', %s::bytea[])", [HOME, [again]])


def test_a_follower_is_woken(filled: Urls, connect: Callable[..., PostgresStore], refused: Refused) -> None:
    """A follower that waits gets an event when it comes, and ends when none comes."""
    follower, writer = connect(filled.reader), connect(filled.both)
    cursor = TailCursor()
    for batch in follower.tail(wait_s=0):
        cursor = batch.cursor
    timer = threading.Timer(0.2, lambda: writer.append([refused("port")], 4))
    timer.start()
    batches = follower.tail(cursor, wait_s=20)
    assert [found.v for found in next(batches).events] == [4]
    timer.join()
    assert list(follower.tail(next(iter(follower.tail())).cursor, wait_s=0.01)) == []


# Connections.


def test_a_password_is_in_no_message(
    shared_urls: Urls, stamp: Stamp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in what is shown of an address, nor in what is said of one that is none or leads nowhere."""
    secret = secrets.token_hex(8)
    host = shared_urls.both.partition("host=")[2]
    url = f"postgresql://ada:{secret}@/nowhere?host={host}"
    assert shown(url) == f"postgresql://ada@{host}/nowhere"
    for wrong in (url, f"postgresql://ada:{secret}/x@host:{secret}/db", f"host=x password='{secret}"):
        with pytest.raises((StoreUnreachable, InvalidStoreAddress)) as caught:
            PostgresStore.connect(wrong, home=HOME, stamp=stamp, patience_s=0)
        assert secret not in f"{caught.value!r} {caught.value}"
        assert caught.value.__suppress_context__ or secret not in repr(caught.value.__cause__)


def test_a_connection_that_was_cut_is_opened_again(
    filled: Urls, connect: Callable[..., PostgresStore], refused: Refused, server_url: str
) -> None:
    """The next append goes on, at the right version, once."""
    store = connect(filled.both)
    store.append([refused("port")], 4)
    with psycopg.connect(server_url, autocommit=True) as killer:
        killer.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'ledger'"
        )
    assert store.append([refused("port")], 5)[-1].event.v == 5
    assert [frame.event.v for frame in store.of_run("port")] == [1, 2, 3, 4, 5]


def test_a_replica_is_left_for_a_server_that_writes(
    filled: Urls, connect: Callable[..., PostgresStore], refused: Refused, server_url: str
) -> None:
    """After a failover a session is read-only: it is given up, and the next connection asked."""
    store = connect(filled.both, patience_s=20)
    database = filled.owner.partition("@/")[2].partition("?")[0]

    def read_only(value: str) -> None:
        with psycopg.connect(server_url, autocommit=True) as admin:
            admin.execute(f"alter database {database} set default_transaction_read_only = {value}".encode())

    read_only("on")
    store.close()  # The next connection finds a replica.
    back = threading.Timer(0.3, read_only, ["off"])
    back.start()
    assert store.append([refused("port")], 4)[-1].event.v == 4
    back.join()


def test_a_lock_that_is_not_given_free_is_busy(
    filled: Urls, connect: Callable[..., PostgresStore], refused: Refused
) -> None:
    """Another's transaction that stays open is no reason to wait for ever."""
    store = connect(filled.both, patience_s=0)
    store.head_of("port")
    store._connection.get().execute("set lock_timeout = '50ms'")
    with psycopg.connect(filled.owner) as holder:
        holder.execute("select * from ledger.runs for no key update")
        with pytest.raises(StoreBusy, match="lock"):
            store.append([refused("port")], 4)
    assert store.append([refused("port")], 4)[-1].event.v == 4


def test_a_server_that_is_gone_is_unreachable(stamp: Stamp, tmp_path: Any) -> None:
    """The first connection is tried once: whoever works offline does not wait."""
    with pytest.raises(StoreUnreachable):
        PostgresStore.connect(f"postgresql://u@/db?host={tmp_path}", home=HOME, stamp=stamp)


# The schema.


def test_the_schema_is_of_a_version(
    shared_urls: Urls, postgres: Server, connect: Callable[..., PostgresStore], server_url: str
) -> None:
    """Migrating again does nothing; a later schema is an error, and so is none."""
    assert PostgresStore.migrate(shared_urls.owner) == []
    with psycopg.connect(shared_urls.owner, autocommit=True) as owner:
        owner.execute("insert into ledger.migrations (version, name) values (%s, 'later')", [latest() + 1])
    for act in (lambda: connect(shared_urls.both), lambda: PostgresStore.migrate(shared_urls.owner)):
        with pytest.raises(NewerStore) as caught:
            act()
        assert (caught.value.found, caught.value.known) == (latest() + 1, latest())
    with pytest.raises(NotMigrated, match="no shared ledger"):
        connect(postgres.url("postgres"))
