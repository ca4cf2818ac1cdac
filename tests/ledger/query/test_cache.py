"""The columnar cache: any split of the log into files gives the same rows, and no reader is disturbed."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from ledger.events import ApplyOptions, PatchApplied, RunStarted
from ledger.filerecords import FileRecord, parse_path
from ledger.query import cache as cache_module
from ledger.query.cache import Cache
from ledger.query.session import open_session
from ledger.stamps import Stamp
from ledger.state import fold_state, tree_oid
from ledger.store.local import LocalStore
from patches.errors import show_path
from patches.model import Entry, FileChange

pytestmark = pytest.mark.duckdb


class History:
    """Runs of random changes to a small tree, appended through the real store."""

    def __init__(self, store: LocalStore, stamp: Stamp, seed: int = 1) -> None:
        self.store, self.stamp, self.random = store, stamp, random.Random(seed)
        self.files: dict[bytes, Entry] = {}
        self.trees: dict[str, list[str]] = {}

    def start(self, run: str) -> None:
        """Append a run's start on the present files."""
        listing = b"".join(
            b"%06o blob %b\t%b\0" % (entry.mode, entry.oid.hex().encode(), path)
            for path, entry in sorted(self.files.items())
        )
        at_ns = self.stamp.clock()
        tree = tree_oid(self.files).hex()
        event = RunStarted(
            id=self.stamp.new_id(at_ns),
            run=run,
            at_ns=at_ns,
            actor=self.stamp.actor,
            title=run,
            work_tree="",
            head=None,
            branch="main",
            base_tree=tree,
            listing=self.store.write_body(listing),
        )
        self.store.append([event], 1)
        self.trees[run] = [tree]

    def change(self, run: str) -> None:
        """Append one patch of up to three files."""
        changes: dict[bytes, FileChange] = {}
        for _ in range(self.random.randint(1, 3)):
            self._change_one(changes)
        base, result = self.trees[run][-1], tree_oid(self.files).hex()
        at_ns = self.stamp.clock()
        event = PatchApplied(
            id=self.stamp.new_id(at_ns),
            run=run,
            at_ns=at_ns,
            actor=self.stamp.actor,
            cause="diff",
            base_tree=base,
            result_tree=result,
            patch=self.store.write_body(b"patch"),
            patch_size_bytes=5,
            options=ApplyOptions(),
            files=tuple(FileRecord.of(change) for change in changes.values()),
        )
        self.store.append([event], len(self.trees[run]) + 1)
        self.trees[run].append(result)

    def _change_one(self, changes: dict[bytes, FileChange]) -> None:
        names = [b"d%d/f%d" % (i % 3, i) for i in range(9)] + [b"caf\xe9", "naïve".encode(), b"a|b"]
        path = self.random.choice(names)
        old = self.files.get(path)
        if path in changes:
            return
        if old is not None and self.random.random() < 0.4:
            del self.files[path]
            changes[path] = FileChange(path, "delete", old, None, None, 0, 1)
            return
        new = self.files[path] = Entry(0o100644, self.random.randbytes(20))
        changes[path] = FileChange(path, "modify" if old else "add", old, new, None, 1, 0)


@pytest.fixture
def history(store: LocalStore, stamp: Stamp) -> History:
    """A history with an empty first run."""
    made = History(store, stamp)
    made.start("alpha")
    return made


def shards(root: Path) -> list[str]:
    """Return the cache files, in the order of their positions."""
    found = (path.name for path in (root / "cache" / "columns").glob("*.duckdb"))
    return sorted(found, key=lambda name: int(name.split("-")[1]))


def cut(store: LocalStore) -> None:
    """Let a reader come by, who makes files of what it finds."""
    with duckdb.connect(":memory:") as connection:
        Cache(store).attach(connection)


def assert_states(history: History, run: str) -> None:
    """Assert that every state of a run is the same in SQL, in the fold and in its tree oid (P3)."""
    session = open_session(LocalStore.open(history.store.root, history.stamp))
    events = [frame.event for frame in history.store.frames() if frame.event.run == run]
    for v, tree in enumerate(history.trees[run], start=1):
        rows = session.execute("select path_bytes, mode, oid from state_at(?, ?)", [run, v]).fetchall()
        files = {path: Entry(int(mode, 8), bytes.fromhex(oid)) for path, mode, oid in rows}
        state = fold_state(events, history.store.read_body, v)
        assert state is not None
        assert files == state.files
        assert tree_oid(files).hex() == tree == state.recorded_tree
    session.close()


def test_sql_and_fold_agree_on_the_tail_alone(history: History) -> None:
    """Without any cache file the rows come from the log, and every state hashes to its tree."""
    for _ in range(30):
        history.change("alpha")
    assert_states(history, "alpha")
    assert not (history.store.root / "cache" / "columns").exists()


@pytest.mark.parametrize("tail_rows", [1, 10, 37])
def test_files_of_any_size_give_the_same_states(
    history: History, monkeypatch: pytest.MonkeyPatch, tail_rows: int
) -> None:
    """Runs that lie across several files, with path ids that continue from one to the next."""
    monkeypatch.setattr(cache_module, "TAIL_ROWS", tail_rows)
    for turn in range(6):
        if turn == 2:
            history.start("beta")
        for _ in range(turn + 1):
            history.change("beta" if turn >= 2 else "alpha")
        cut(history.store)
    assert shards(history.store.root)
    assert_states(history, "alpha")
    assert_states(history, "beta")


def test_files_of_two_lineages_of_path_ids_never_meet(
    history: History, stamp: Stamp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two readers cut the log into files differently, and a later file follows only one of them."""
    monkeypatch.setattr(cache_module, "TAIL_ROWS", 0)
    columns = history.store.root / "cache" / "columns"
    history.files |= {b"base/%d" % i: Entry(0o100644, bytes([i]) * 20) for i in range(5)}
    history.start("beta")
    cut(history.store)
    history.change("beta")  # Its paths come after the base's here, and before them in one file of both.
    cut(history.store)
    until = history.store.position()
    monkeypatch.setattr(cache_module, "MERGE_RATIO", 0)
    for _ in range(9):
        history.change("beta")
    cut(history.store)
    later = {path.name: path.read_bytes() for path in columns.iterdir() if f"-{until + 1}-" in path.name}
    assert later
    for path in columns.iterdir():
        path.unlink()
    cut(LocalStore.open(history.store.root, stamp).as_of(until))
    for name, data in later.items():
        (columns / name).write_bytes(data)
    assert_states(history, "beta")
    rows = open_session(history.store).execute("select path from patch_files where run = 'beta' order by all")
    events = [frame.event for frame in history.store.frames()]
    files = [
        show_path(parse_path(file.path))
        for event in events
        if isinstance(event, PatchApplied) and event.run == "beta"
        for file in event.files
    ]
    assert [path for (path,) in rows.fetchall()] == sorted(files)


def test_small_files_are_merged(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of files grows with the logarithm of the log, and they follow one another gaplessly."""
    monkeypatch.setattr(cache_module, "TAIL_ROWS", 5)
    for _ in range(24):
        history.change("alpha")
        cut(history.store)
    names = shards(history.store.root)
    assert 1 <= len(names) <= 4
    firsts = [int(name.split("-")[1]) for name in names]
    lasts = [int(name.split("-")[2]) for name in names]
    assert firsts == [1, *(last + 1 for last in lasts[:-1])]


def test_a_cache_of_another_log_is_not_believed(
    history: History, stamp: Stamp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cache files name the hash of the log's frame that they end with; others are passed over."""
    monkeypatch.setattr(cache_module, "TAIL_ROWS", 1)
    for _ in range(5):
        history.change("alpha")
    cut(history.store)
    other = History(LocalStore.open(history.store.root.parent / "other", stamp, create=True), stamp, seed=2)
    other.start("alpha")
    for _ in range(5):
        other.change("alpha")
    columns = other.store.root / "cache" / "columns"
    columns.mkdir(parents=True)
    for name in shards(history.store.root):
        (columns / name).write_bytes((history.store.root / "cache" / "columns" / name).read_bytes())
    assert_states(other, "alpha")


def test_a_damaged_cache_file_is_passed_over(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that DuckDB cannot open costs time, never an answer."""
    monkeypatch.setattr(cache_module, "TAIL_ROWS", 1)
    for _ in range(5):
        history.change("alpha")
    cut(history.store)
    for name in shards(history.store.root):
        (history.store.root / "cache" / "columns" / name).write_bytes(b"not a database")
    assert_states(history, "alpha")


HOLDER = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
connection.execute("begin; create table mine (i int)")
print("holding", flush=True)
sys.stdin.read()
"""


def test_a_shell_that_holds_the_cache_blocks_nobody(
    history: History, started: Callable[[str], RunStarted], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process has a cache file open for writing: readers answer and writers append (P8)."""
    monkeypatch.setattr(cache_module, "TAIL_ROWS", 1)
    for _ in range(5):
        history.change("alpha")
    cut(history.store)
    held = history.store.root / "cache" / "columns" / shards(history.store.root)[0]
    arguments = [sys.executable, "-c", HOLDER, str(held)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"holding\n"
        history.change("alpha")
        assert_states(history, "alpha")
        holder.communicate(b"")


def test_an_open_session_keeps_its_rows(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader in the middle of its work sees the log as it was, however the files are merged meanwhile."""
    monkeypatch.setattr(cache_module, "TAIL_ROWS", 5)
    for _ in range(10):
        history.change("alpha")
    session = open_session(history.store)
    count = "select count(*) from events"
    before = session.execute(count).fetchone()
    for _ in range(8):
        history.change("alpha")
        cut(LocalStore.open(history.store.root, history.stamp))
    assert session.execute(count).fetchone() == before == (11,)


def test_a_cache_that_cannot_be_written_is_no_fault(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no cache file can be made, the rows come from the log each time."""
    monkeypatch.setattr(cache_module, "TAIL_ROWS", 1)
    history.change("alpha")
    (history.store.root / "cache" / "columns").write_bytes(b"in the way")
    assert_states(history, "alpha")
