"""Finished runs leave the server for the archive: once, proved, and never without being in one of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "query"))
from archive_lab import Crash, crash_at
from archivelab import Home, answers, assert_answers_alike
from chronicle import Chronicle
from gatestory import told  # pyright: ignore[reportMissingImports] - beside the queries
from tests.postgres_server import Urls

from ledger.api import Ledger
from ledger.archive_errors import ArchiveNotNamed, NotForgotten
from ledger.cli.app import cli
from ledger.errors import QueryForbidden, QueryRefused
from ledger.shared_errors import StoreForbids
from ledger.sharedarchive import batches as batches_module
from ledger.sharedarchive import moving as moving_module
from ledger.sharedarchive.asking import open_shared_ledger, select_shared
from ledger.sharedarchive.layout import SharedArchive
from ledger.sharedarchive.moving import move_closed, plan_moves
from ledger.stamps import Stamp
from ledger.store.postgres import PostgresStore
from ledger.store.postgres.archival import Archival

pytestmark = [pytest.mark.duckdb, pytest.mark.needs("postgres")]

EVER = 1 << 62


def small(stamp: Stamp, text: str, *, ended: bool = True) -> Chronicle:
    """Return a run of one patch."""
    story = Chronicle(stamp, {"a": "0", "b": text})
    story.patch({"a": "1", "b": text})
    if ended:
        story.finish()
    return story


@pytest.fixture
def homes(tmp_path: Path, stamp: Stamp) -> list[Home]:
    """Two homes with an open and an ended run each; of both, one is called "port"."""
    gates = told(stamp)
    gates.finish()
    one = [("port", gates), ("open", small(stamp, "x", ended=False))]
    two = [("port", small(stamp, "y")), ("later", small(stamp, "z", ended=False))]
    return [Home(tmp_path / "one", stamp, "one", one), Home(tmp_path / "two", stamp, "two", two)]


@pytest.fixture
def urls(shared_urls: Urls, homes: list[Home], stamp: Stamp) -> Urls:
    """A server that has every run of the homes."""
    for home in homes:
        send(shared_urls.both, home, stamp)
    return shared_urls


def send(url: str, home: Home, stamp: Stamp) -> None:
    """Bring the server what it lacks of a home, as it is."""
    store = PostgresStore.connect(url, home=home.home, label=home.repository, stamp=stamp)
    bodies = [path.name for path in (home.store.root / "bodies").glob("*/*")]
    store.write_bodies([home.read_body(digest) for digest in bodies])
    for part in home.parts():
        head = store.head_of(part.run).v
        if head < len(part.events):
            store.append_copies([event.stored for event in part.events[head:]])
    store.close()


@pytest.fixture
def archiver(urls: Urls) -> str:
    """The address for a role that may read and archive."""
    return urls.archiver


@pytest.fixture
def shared(archiver: str) -> Iterator[Archival]:
    """The server, as one who may archive."""
    archival = Archival.connect(archiver)
    yield archival
    archival.close()


def events_there(url: str) -> dict[str, int]:
    """Return how many events of each run the server has."""
    with psycopg.connect(url) as connection:
        sql = "select r.home || r.run, count(*) from ledger.runs r join ledger.events using (run_key) group by 1"
        return dict(connection.execute(sql).fetchall())


def test_ended_runs_move_and_every_answer_stays(
    homes: list[Home], urls: Urls, shared: Archival, tmp_path: Path
) -> None:
    """Before, between and after, the server and the archive together say what the homes say; twice is once."""
    root = tmp_path / "archive"
    with open_shared_ledger(urls.reader, None) as connection:
        assert len(answers(connection, "from events")) == events_of(homes)
    planned = plan_moves(shared, root, EVER)
    assert sorted((each.repository, each.run) for each in planned) == [("one", "port"), ("two", "port")]
    assert not root.exists()
    (moved,) = move_closed(shared, root, EVER)
    assert moved.forgotten == moved.seal.events == sum(each.events for each in planned)
    assert {key[64:] for key in events_there(urls.reader)} == {"open", "later"}
    assert list(move_closed(shared, root, EVER)) == plan_moves(shared, root, EVER) == []
    with open_shared_ledger(urls.reader, root) as connection:
        assert_answers_alike(connection, homes)
    with pytest.raises(ArchiveNotNamed):
        open_shared_ledger(urls.reader, None)


def test_a_run_that_ends_later_follows(
    homes: list[Home], urls: Urls, shared: Archival, stamp: Stamp, tmp_path: Path
) -> None:
    """A run is moved when it has ended; what an ended one gets afterwards follows it, and the server checks the chain."""
    root = tmp_path / "archive"
    list(move_closed(shared, root, EVER))
    notes = small(stamp, "more")
    homes[0].store.append([_renamed(event, "port", stamp) for event in notes.events[1:2]])
    homes[1].store.append([_renamed(event, "later", stamp) for event in notes.events[2:]])
    for home in homes:
        send(urls.both, home, stamp)
    with open_shared_ledger(urls.reader, root) as connection:
        assert len(answers(connection, "from events")) == events_of(homes)
    (moved,) = move_closed(shared, root, EVER)
    assert moved.seal.runs == len(homes)
    assert {key[64:] for key in events_there(urls.reader)} == {"open"}
    with open_shared_ledger(urls.reader, root) as connection:
        assert_answers_alike(connection, homes)


def _renamed(event: Any, run: str, stamp: Stamp) -> Any:
    from msgspec.structs import replace

    from ledger.run import identify

    return replace(event, **identify(run, stamp), v=0, prev="")


def events_of(homes: list[Home]) -> int:
    return sum(len(part.events) for home in homes for part in home.parts())


def test_a_death_between_seal_and_server_is_finished(
    homes: list[Home], urls: Urls, shared: Archival, tmp_path: Path
) -> None:
    """Wherever archiving dies, each event is answered once; the next time finishes it."""
    root, before = tmp_path / "archive", events_there(urls.reader)
    step, died = 0, True
    while died:
        step += 5  # every step of a batch is another test's: here it is what the server makes of it
        for persisted in (False, True):
            with crash_at(step, persisted=persisted, module=batches_module):
                try:
                    list(move_closed(shared, root, EVER))
                except Crash:
                    died = True
                else:
                    died = False
            if not list(root.glob("seals/*.seal")):
                assert events_there(urls.reader) == before, step
                continue
            with open_shared_ledger(urls.reader, root) as connection:
                assert len(answers(connection, "from events")) == events_of(homes), step
    assert step > len(("format", "files", "seal"))

    with open_shared_ledger(urls.reader, root) as connection:
        assert_answers_alike(connection, homes)


def test_sealed_but_not_forgotten_is_forgotten_next_time(
    homes: list[Home], urls: Urls, shared: Archival, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have the events then: they are answered once, and no second batch is made of them."""
    root = tmp_path / "archive"
    before = events_there(urls.reader)

    def dying(*_: object) -> int:
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(moving_module, "_forget", dying)
        with pytest.raises(Crash):
            list(move_closed(shared, root, EVER))
    assert events_there(urls.reader) == before
    with open_shared_ledger(urls.reader, root) as connection:
        assert_answers_alike(connection, homes)
    assert list(move_closed(shared, root, EVER)) == []
    assert len(SharedArchive.open(root).seals) == 1
    assert {key[64:] for key in events_there(urls.reader)} == {"open", "later"}


def test_the_server_forgets_nothing_else(urls: Urls, archiver: str, shared: Archival) -> None:
    """Not an open run, not another digest, not too few events, not for a writer or a reader, and by no delete."""
    runs = {(run.label, run.run): run for run, _ in shared.live()}
    ended, going_on = runs["one", "port"], runs["one", "open"]
    before = events_there(urls.reader)
    seal = "ab" * 32
    for run, v, digest in (
        (going_on, going_on.v, going_on.digest),
        (ended, ended.v, going_on.digest),
        (ended, ended.v - 1, ended.digest),
        (ended, ended.v + 1, ended.digest),
    ):
        with pytest.raises(NotForgotten):
            shared.forget(run, v, digest, "/archive", seal)
    with pytest.raises(NotForgotten):
        shared.forget(ended, ended.v, ended.digest, "/archive", "no seal")
    for url in (urls.reader, urls.writer, urls.both, urls.owner):
        with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select ledger.forget_archived(1, 1, '', 1, '', '')")
    other = Archival.connect(urls.both)
    with pytest.raises(StoreForbids):
        other.forget(ended, ended.v, ended.digest, "/archive", seal)
    other.close()
    with psycopg.connect(urls.owner) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("set role ledger_retention")
    for url in (urls.owner, archiver):
        for table in ("events", "runs"):
            with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"delete from ledger.{table}")
    assert events_there(urls.reader) == before
    assert shared.forget(ended, ended.v, ended.digest, "/archive", seal) == ended.v
    assert shared.forget(ended, ended.v, ended.digest, "/archive", seal) == 0
    with psycopg.connect(urls.owner) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("delete from ledger.archived")


def test_what_is_asked_writes_nothing(urls: Urls, shared: Archival, tmp_path: Path) -> None:
    """No statement reaches another file, or writes to one that it may read."""
    root = tmp_path / "archive"
    list(move_closed(shared, root, EVER))
    before = {path: path.read_bytes() for path in root.glob("**/*") if path.is_file()}
    file = next(path for path in before if path.suffix == ".parquet")
    outside = tmp_path / "outside.parquet"
    for sql in (
        f"copy (select 1) to '{file}' (use_tmp_file false)",
        f"explain analyze copy (select 1) to '{file}' (use_tmp_file false)",
        f"prepare x as copy (select 1) to '{file}' (use_tmp_file false); execute x",
        f"attach '{outside}' as x",
        f"export database '{tmp_path / 'all'}'",
        f"copy (select 1) to '{outside}'",
        f"from read_parquet('{file.parent}/*.parquet')",
        f"from read_text('{Path(__file__)}')",
        "set enable_external_access = true",
        "install httpfs",
    ):
        with pytest.raises((QueryForbidden, QueryRefused)) as caught:
            select_shared(None, root, sql)
        assert str(caught.value), sql
    assert before == {path: path.read_bytes() for path in root.glob("**/*") if path.is_file()}
    assert not outside.exists()


def test_the_commands_move_and_ask(
    homes: list[Home], urls: Urls, archiver: str, repo: Path, tmp_path: Path
) -> None:
    """`ledger archive --shared` lists, moves and proves; `ledger sql --shared` asks what is in either."""
    root = str(tmp_path / "archive")
    to = ["archive", "--shared", root, "--store", archiver, "--json"]
    runner = CliRunner()

    def run(*words: str) -> Any:
        done = runner.invoke(cli, [*words], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    planned = run(*to, "--dry-run")
    assert not (tmp_path / "archive").exists()
    assert run(*to, "--keep", "500000d") == []
    (moved,) = run(*to)
    assert moved["events"] == sum(each["events"] for each in planned)
    assert run("archive", "--shared", root, "--verify", "--json") == [moved]
    asked = "select repository, count(*) as events from events where run = $run group by all"
    port = next(part for part in homes[1].parts() if part.run == "port")
    words = ["sql", "--shared", asked, "--param", f"run={port.key}", "--archive", root, "--json"]
    expected = [{"repository": "two", "events": len(port.events)}]
    assert run(*words, "--store", urls.reader) == run(*words) == expected
    environment = {"LEDGER_STORE": urls.reader, "LEDGER_ARCHIVE": root}
    done = runner.invoke(cli, ["sql", "--shared", "from runs", "--json"], env=environment)
    every_run = json.loads(done.stdout)
    assert len(every_run) == sum(len(home.parts()) for home in homes)
    with Ledger.open(repo) as ledger:
        ledger.set_store(urls.reader)
    assert run("-C", str(repo), "sql", "--shared", "from runs", "--archive", root, "--json") == every_run
