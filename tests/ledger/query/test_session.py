"""A SQL session sees the ledger and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from chronicle import Chronicle

from ledger.events import PatchRefused, RetentionApplied, RetiredRun, RunStarted
from ledger.query import cache as cache_module
from ledger.query.session import Session, open_session
from ledger.run import identify
from ledger.stamps import Stamp
from ledger.store.local import LocalStore

pytestmark = pytest.mark.duckdb

Started = Callable[[str], RunStarted]
Refused = Callable[[str], PatchRefused]


@pytest.fixture
def filled(store: LocalStore, started: Started, refused: Refused) -> LocalStore:
    """A store with one run of two events."""
    store.write_body(b"")
    store.append([started("port"), refused("port")], 1)
    return store


@pytest.mark.parametrize(
    "statement",
    [
        "copy events to 'out.csv'",
        "copy (select 1) to '/dev/stdout'",
        "select * from read_csv('secret.txt')",
        "select * from read_text('secret.txt')",
        "select * from read_blob('secret.txt')",
        "select * from glob('*')",
        "select * from 'secret.txt'",
        "attach 'other.duckdb'",
        "export database 'out'",
        "import database 'out'",
        "install httpfs",
        "load httpfs",
        "set enable_external_access = true",
        "set lock_configuration = false",
        "set threads = 1",
        "pragma enable_external_access",
        "select getenv('HOME')",
    ],
)
def test_sql_cannot_leave_the_ledger(filled: LocalStore, statement: str) -> None:
    """Files, extensions, the environment and the settings are out of reach, and nothing appears."""
    Path("secret.txt").write_text("secret\n", encoding="utf-8")
    session = open_session(filled)
    with pytest.raises(duckdb.Error):
        session.execute(statement).fetchall()
    assert sorted(path.name for path in Path().iterdir()) == ["secret.txt"]
    assert session.execute("select count(*) from events").fetchone() == (2,)


def test_what_sql_creates_is_in_memory(filled: LocalStore, root: Path) -> None:
    """Scratch tables are allowed and end with the session; the ledger's files stay as they are."""
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    session = open_session(filled)
    session.execute("create table mine as select * from events")
    assert session.execute("select count(*) from mine").fetchone() == (2,)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    assert ("mine",) not in open_session(filled).execute("show tables").fetchall()


def test_the_views_answer_on_an_empty_ledger(store: LocalStore) -> None:
    """A ledger without an event has every view and every table macro, and no rows."""
    session = open_session(store)
    views = [name for (name,) in session.execute("show tables").fetchall()]
    assert {"events", "runs", "patches", "patch_files", "policies", "gates", "phases", "tickets"} <= set(
        views
    )
    states = [f"{name}('none', 1)" for name in ("state_at", "live_states", "accepted_at")]
    for source in (*views, *states, "accepted_under('none', 'release')"):
        assert session.execute(f"select count(*) from {source}").fetchone() == (0,)


def test_an_event_is_a_row(filled: LocalStore) -> None:
    """The columns say what the event says, times in UTC and hashes in hexadecimal."""
    frame = list(filled.frames())[-1]
    row = (
        open_session(filled)
        .execute(
            "select event, kind, kind_version, actor_kind, hash, data ->> 'error' from events where v = 2"
        )
        .fetchone()
    )
    assert row == ("port:2", "patch.refused", 1, "agent", frame.h, "HunkMismatch")


def test_times_compare_with_now(filled: LocalStore) -> None:
    """`now()` and an event's time are in the same zone, whatever the machine's is."""
    query = "select count(*) from events where recorded_at < now() - interval 1 hour"
    assert open_session(filled).execute(query).fetchone() == (2,)


def test_refused_patches_are_counted(filled: LocalStore) -> None:
    """A refusal is a patch with an outcome, and changes no tree."""
    row = (
        open_session(filled)
        .execute("select patches, refused, candidate_tree = base_tree from runs")
        .fetchone()
    )
    assert row == (0, 1, True)
    outcome = open_session(filled).execute("select event, outcome, error, files from patches").fetchall()
    assert outcome == [("port:2", "refused", "HunkMismatch", 0)]


def test_a_session_catches_up_with_what_is_appended(
    root: Path, stamp: Stamp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Event after event, and many at once, it sees what a session sees that is opened now."""
    story = Chronicle(stamp, {"a": "0", "d/b": "0"})
    store = LocalStore.open(root, stamp, create=True)
    story.write_to(store, "first")
    session = Session(store)
    opened = session.connection
    for number, tail_rows in enumerate((20_000, 20_000, 30, 20_000)):
        monkeypatch.setattr(cache_module, "TAIL_ROWS", tail_rows)
        story.patch({**story.files, f"new{number}": "1"})
        story.write_to(store, f"run{number}")
        session.catch_up()
        assert (session.connection is opened) == (tail_rows == 20_000)
        opened = session.connection
        now = open_session(LocalStore.open(root, stamp))
        for question in (
            "from events order by all",
            "from patch_files order by all",
            f"from state_at('run{number}', 9)",
        ):
            assert session.connection.execute(question).fetchall() == now.execute(question).fetchall()


def test_whoever_breaks_a_session_gets_a_new_one(root: Path, stamp: Stamp) -> None:
    """What is asked may drop a table, or leave a transaction that failed."""
    story = Chronicle(stamp, {"a": "0"})
    store = LocalStore.open(root, stamp, create=True)
    story.write_to(store, "first")
    session = Session(store)
    session.connection.execute("drop table tail.event cascade")
    story.write_to(store, "second")
    session.catch_up()
    assert session.connection.execute("select count(*) from events").fetchall() == [(2,)]


def test_a_session_forgets_what_was_taken_away(root: Path, stamp: Stamp) -> None:
    """After a retention nothing is answered from rows that were loaded before it."""
    story = Chronicle(stamp, {"a": "0"})
    store = LocalStore.open(root, stamp, create=True)
    story.write_to(store, "first")
    session = Session(store)
    opened = session.connection
    head = store.heads()["first"]
    gone = RetiredRun("first", head.v, head.digest, head.at_ns)
    store.append([RetentionApplied(**identify("ledger", stamp), before_ns=1, runs=(gone,))])
    session.catch_up()
    assert session.connection is not opened
