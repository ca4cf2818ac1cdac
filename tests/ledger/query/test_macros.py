"""The macros, each against the fold of the same events, or against git."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1]))
from book import Book, File
from chronicle import Chronicle, rule
from stories import chronicles

from ledger.api import Ledger
from ledger.events import TreeEvent, tree_after
from ledger.filehistory import trace
from ledger.filerecords import FileRecord, encode_path, parse_path
from ledger.history import History
from ledger.policies import Policy
from ledger.query.session import open_session
from ledger.stamps import Stamp
from ledger.state import fold_state
from ledger.store.local import LocalStore
from patches.errors import show_path
from patches.model import Entry

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

pytestmark = pytest.mark.duckdb

EXAMPLES = max(15, settings().max_examples // 4)


@contextmanager
def session_of(chronicle: Chronicle) -> Iterator[DuckDBPyConnection]:
    """Give SQL over a ledger that holds one run."""
    root = Path(tempfile.mkdtemp(prefix="macros-"))
    try:
        store = LocalStore.open(root / "ledger", chronicle.stamp, create=True)
        chronicle.write_to(store)
        with open_session(store) as session:
            yield session
        store.close()
    finally:
        shutil.rmtree(root)


def files_at(chronicle: Chronicle, v: int) -> dict[bytes, Entry]:
    state = fold_state(chronicle.events, chronicle.bodies.__getitem__, v)  # type: ignore[arg-type]
    assert state is not None
    return dict(state.files)


# ── candidate_at, diff_at ────────────────────────────────────────────────────────────────────────


@given(chronicles, st.randoms(use_true_random=False))
@settings(max_examples=EXAMPLES)
def test_states_and_what_is_between_them_are_those_of_the_fold(chronicle: Chronicle, random: Random) -> None:
    """At random pairs of versions, forward and backward, across rollbacks and rebases."""
    with session_of(chronicle) as session:
        for _ in range(4):
            old, new = random.randint(1, chronicle.v), random.randint(1, chronicle.v)
            before, after = files_at(chronicle, old), files_at(chronicle, new)
            rows = session.execute(
                "select path_bytes, mode, oid from candidate_at('port', ?)", [new]
            ).fetchall()
            assert {path: Entry(int(mode, 8), bytes.fromhex(oid)) for path, mode, oid in rows} == after
            changed = session.execute(
                "select path_bytes, old_mode, old_oid, mode, oid, operation from diff_at('port', ?, ?)",
                [old, new],
            ).fetchall()
            assert changed == sorted(between(before, after))


def between(old: dict[bytes, Entry], new: dict[bytes, Entry]) -> Iterator[tuple[Any, ...]]:
    for path in old.keys() | new.keys():
        was, now = old.get(path), new.get(path)
        if was != now:
            operation = "add" if was is None else "delete" if now is None else "modify"
            yield (path, *shown(was), *shown(now), operation)


def shown(entry: Entry | None) -> tuple[str | None, str | None]:
    return (None, None) if entry is None else (f"{entry.mode:06o}", entry.oid.hex())


# ── gate_status_at ───────────────────────────────────────────────────────────────────────────────


def by_fold(chronicle: Chronicle, v: int) -> list[tuple[Any, ...]]:
    """Return each gate of the policy in force: mode, standing, flakiness, and what was recorded last."""
    history = History.of(chronicle.events, v)  # type: ignore[arg-type]
    if history.policy is None:
        return []
    tree = history.candidate.tree
    found: list[tuple[Any, ...]] = []
    for name, gate in sorted(history.policy.gates.items()):
        measured = [m for each in history.trees for m in history.measurements(each, name)]
        newest = max(measured, key=lambda m: (m.tree == tree, m.v), default=None)
        said: tuple[Any, ...] = (None, None, None, None)
        if newest is not None:
            said = (newest.verdict, newest.tree != tree, f"port:{newest.v}", f"port:{newest.state_v}")
        standing, flaky = history.standing(tree, name, gate), history.is_flaky(tree, name, gate)
        found.append((name, gate.mode, standing, flaky, *said))
    return found


@given(chronicles)
@settings(max_examples=EXAMPLES)
def test_gates_stand_as_the_fold_says(chronicle: Chronicle) -> None:
    """At every version: under the policy in force, on that candidate, by what was measured by then."""
    with session_of(chronicle) as session:
        for v in range(1, chronicle.v + 1):
            rows = session.execute("from gate_status_at('port', ?)", [v]).fetchall()
            assert rows == by_fold(chronicle, v)
        at_last = session.execute("from gate_status_at('port', 2147483647)").fetchall()
        assert at_last == by_fold(chronicle, chronicle.v)


def test_how_a_gate_stands(stamp: Stamp) -> None:
    """Another environment counts anew, another tree makes a verdict stale, another definition says nothing."""
    gate, other = rule(), rule(command="other")
    chronicle = Chronicle(stamp, {"a": "0", "b": "0"})
    found: dict[str, Any] = {"metrics": {"findings": 1.0}, "verdict": "fail"}
    gates = {"lint": gate, "old": rule("off"), "types": gate}
    chronicle.set_policy({"release": Policy(gates=gates)}, "release")
    failed = chronicle.measure("lint", gate, **found, tools={"check": "1"})
    passed = chronicle.measure("lint", gate, tools={"check": "2"})
    flaky = chronicle.measure("lint", gate, **found, tools={"check": "2"})
    patch = chronicle.patch({"a": "1", "b": "0"})
    again = chronicle.measure("lint", other)
    expected = {
        2: (None, False, None, None, None),
        failed: ("fail", False, "fail", False, "port:3"),
        passed: ("pass", False, "pass", False, "port:4"),
        flaky: ("fail", True, "fail", False, "port:5"),
        patch: (None, False, "fail", True, "port:5"),
        again: (None, False, "pass", False, f"port:{again}"),
    }
    with session_of(chronicle) as session:
        for v, standing in expected.items():
            rows = session.execute("from gate_status_at('port', ?)", [v]).fetchall()
            assert rows == by_fold(chronicle, v)
            assert rows[0][2:7] == standing
            assert [(row[0], row[1], row[4]) for row in rows[1:]] == [
                ("old", "off", None),
                ("types", "strict", None),
            ]
        assert session.execute("from gate_status_at('port', 1)").fetchall() == []


# ── file_history ─────────────────────────────────────────────────────────────────────────────────

paths = st.sampled_from([b"a", b"b", b"d", b"d/a", b"d/b", b"dd", b"caf\xe9", "d/ß".encode()])


@st.composite
def records(draw: st.DrawFn) -> FileRecord:
    """Draw what an event says of one path; it need not fit what was said before."""
    operation: Any = draw(
        st.sampled_from(["add", "modify", "modify", "delete", "rename", "rename", "rename", "copy"])
    )
    path, old = encode_path(draw(paths)), encode_path(draw(paths))
    old_path = old if operation in ("rename", "copy") else None
    before: dict[str, Any] = {"old_mode": "100644", "old_oid": "11" * 20} if operation != "add" else {}
    after: dict[str, Any] = {"mode": "100755", "oid": "22" * 20} if operation != "delete" else {}
    return FileRecord(path=path, operation=operation, old_path=old_path, added=1, **before, **after)


happenings = st.lists(
    st.tuples(
        st.sampled_from(["patch", "patch", "patch", "roll back", "rebase"]), st.lists(records(), max_size=3)
    ),
    max_size=9,
)


def told(happened: list[tuple[str, list[FileRecord]]], stamp: Stamp) -> Chronicle:
    """Return a run whose events say of files what was drawn."""
    from msgspec.structs import replace

    chronicle = Chronicle(stamp, {"a": "0"})
    for kind, files in happened:
        if kind == "patch":
            chronicle.patch(chronicle.files)
        elif kind == "roll back":
            chronicle.roll_back(chronicle.live[0].v)
        else:
            chronicle.rebase(chronicle.files)
        event = chronicle.events[-1]
        chronicle.events[-1] = replace(event, files=tuple(files))
    return chronicle


def by_trace(chronicle: Chronicle, path: bytes) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for touched in trace(reversed(chronicle.events), path):  # type: ignore[arg-type]
        for file in touched.files:
            old_path = None if file.old_path is None else show_path(parse_path(file.old_path))
            said = (file.operation, show_path(parse_path(file.path)), old_path, file.added, file.removed)
            oids = (file.old_mode, file.mode, file.old_oid, file.oid)
            found.append((touched.event.v, touched.event.kind.partition("/")[0], *said, *oids))
    return found


@given(happenings)
@settings(max_examples=EXAMPLES)
def test_a_file_is_followed_as_the_trace_does(happened: list[tuple[str, list[FileRecord]]]) -> None:
    """Through chains and swaps of names, rollbacks and rebases; directories; names that are no text."""
    counter = iter(range(10**9))
    chronicle = told(
        happened, Stamp(clock=lambda: next(counter), entropy=lambda size: next(counter).to_bytes(size))
    )
    with session_of(chronicle) as session:
        for path in (b"a", b"d", b"d/a", b"caf\xe9", b"nowhere"):
            rows = session.execute(
                "select * exclude (event, recorded_at) from file_history('port', ?)", [path]
            )
            assert rows.fetchall() == by_trace(chronicle, path)
        text = session.execute("select v from file_history('port', 'd/ß')").fetchall()
        assert text == [(row[0],) for row in by_trace(chronicle, "d/ß".encode())]


# ── a real repository ────────────────────────────────────────────────────────────────────────────


def wander(book: Book, ledger: Ledger, random: Random) -> None:
    """Make a run of edits, renames, deletions and changes of mode, some of them taken back."""
    names = [b"a", b"dir/b", b"dir/c", b"caf\xc3\xa9"]
    for step in range(9):
        old, new = random.choice(names), random.choice(names)
        there = book.path(old).is_file()
        match random.choice(["edit", "edit", "move", "delete", "mode", "undo"]):
            case "move" if there and old != new:
                data = book.path(old).read_bytes()
                book.put(old, None)
                book.put(new, File(data))
            case "delete" if there:
                book.put(old, None)
            case "mode" if there:
                book.put(old, File(book.path(old).read_bytes(), 0o100755))
            case "undo" if len(ledger.history().live) > 1:
                ledger.undo(with_drift=True)
                continue
            case _:
                book.put(old, File(b"".join(b"line %d of %d\n" % (n, step) for n in range(8))))
        ledger.record()


@pytest.mark.parametrize("seed", range(4))
def test_real_histories(tmp_path: Path, seed: int) -> None:
    """What is between two events is what `git diff-tree` says; a file's history is that of `ledger log`."""
    book = Book(tmp_path / "repo", {b"a": File(b"a\n" * 9), b"dir/b": File(b"b\n" * 9)})
    with Ledger.open(book.root) as ledger:
        ledger.run("told", name="told")
        wander(book, ledger, Random(seed))
        trees = {event.v: tree_after(event) for event in ledger.events() if isinstance(event, TreeEvent)}
        for old, new in zip(trees, [*trees][2:] + [*trees][:2], strict=True):
            said = book.git("diff-tree", "-r", "-z", "--no-renames", str(trees[old]), str(trees[new]))
            rows = ledger.sql("from diff_at('told', $old, $new)", {"old": old, "new": new}).fetchall()
            assert sorted(rows) == sorted(raw_rows(said))
        for path in (b"a", b"dir/b", b"dir", b"caf\xc3\xa9"):
            named = [touched.event.reference for touched in trace(ledger.events_backward(), path)]
            rows = ledger.sql(
                "select distinct event, v from file_history('told', $path) order by v desc", {"path": path}
            )
            assert [event for event, _ in rows.fetchall()] == named


def raw_rows(said: bytes) -> Iterator[tuple[Any, ...]]:
    """Yield what ``git diff-tree -z`` prints, as `diff_at` has it."""
    words = said.split(b"\0")[:-1]
    for facts, path in zip(words[::2], words[1::2], strict=True):
        old_mode, mode, old_oid, oid, status = facts.decode().removeprefix(":").split(" ")
        operation = {"A": "add", "D": "delete"}.get(status, "modify")
        old = (None, None) if status == "A" else (old_mode, old_oid)
        new = (None, None) if status == "D" else (mode, oid)
        yield operation, show_path(path), path, old[0], new[0], old[1], new[1]
