"""What a reference names: versions, times, the accepted state, phases, patches and commits."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from book import Book, File

from ledger.api import Ledger
from ledger.events import tree_after
from ledger.moments import parse_moment, show_moment
from ledger.reference_errors import AmbiguousReference, UnknownReference
from ledger.stamps import Stamp

NOON_NS = 1_763_640_000_000_000_000  # 2025-11-20T12:00:00Z
MINUTE_NS = 60_000_000_000


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Book:
    monkeypatch.setenv("TZ", "UTC")
    return Book(tmp_path / "repo", {b"README": File(b"base\n")})


@pytest.fixture
def ledger(book: Book) -> Iterator[Ledger]:
    """A ledger whose clock goes on by a minute whenever somebody looks at it, from noon on."""
    ticks = itertools.count(NOON_NS, MINUTE_NS)
    with Ledger.open(book.root, stamp=Stamp(clock=lambda: next(ticks))) as opened:
        yield opened


def write(book: Book, ledger: Ledger, text: bytes) -> str:
    book.put(b"file", File(text))
    return ledger.record().event


@pytest.fixture
def told(book: Book, ledger: Ledger) -> list[str]:
    """The events of a run with three patches and three phases, P3 twice."""
    ledger.run("told", name="told")
    ledger.enter_phase("P1")
    write(book, ledger, b"one\n")
    ledger.enter_phase("P3")
    write(book, ledger, b"two\n")
    ledger.enter_phase("P4")
    write(book, ledger, b"three\n")
    ledger.enter_phase("P3")
    return [event.kind.partition("/")[0] for event in ledger.events()]


def test_patches_are_counted_from_both_ends(ledger: Ledger, told: list[str]) -> None:
    patches = [v for v, kind in enumerate(told, 1) if kind == "patch.applied"]
    assert [ledger.resolve(f"patch:{n}")[1] for n in (1, 2, 3)] == patches
    assert [ledger.resolve(f"told:patch:{n}")[1] for n in (-3, -2, -1)] == patches
    for nowhere in ("patch:0", "patch:4", "patch:-4"):
        with pytest.raises(UnknownReference, match="has 3 patches"):
            ledger.resolve(nowhere)


def test_a_phase_is_where_the_run_entered_it(ledger: Ledger, told: list[str]) -> None:
    entered = [v for v, kind in enumerate(told, 1) if kind == "phase.entered"]
    assert ledger.resolve("phase:P1") == ("told", entered[0])
    assert ledger.resolve("told:phase:P4") == ("told", entered[2])
    with pytest.raises(AmbiguousReference) as raised:
        ledger.resolve("phase:P3")
    assert raised.value.candidates == (f"told:{entered[1]}", f"told:{entered[3]}")
    with pytest.raises(UnknownReference, match="never in phase P6"):
        ledger.resolve("phase:P6")


def test_a_time_names_the_last_event_by_then(ledger: Ledger, told: list[str]) -> None:
    at_ns = [event.at_ns for event in ledger.events()]
    for v, moment in enumerate(at_ns, 1):
        assert ledger.resolve(f"@{{{show_moment(moment)}}}") == ("told", v)
        assert ledger.resolve(f"told:@{{{show_moment(moment + MINUTE_NS // 2)}}}") == ("told", v)
        assert ledger.resolve(f"@{{{show_moment(moment)[:16].replace('T', ' ')}}}") == ("told", v)
    assert ledger.resolve("@{now}") == ("told", len(told))
    with pytest.raises(UnknownReference, match=f"began later, at {show_moment(at_ns[0])}"):
        ledger.resolve("@{2025-11-20}")
    with pytest.raises(UnknownReference, match="not a time"):
        ledger.resolve("@{some day}")


@pytest.mark.parametrize(
    ("text", "ago_s"),
    [("5 seconds ago", 5), ("1 minute ago", 60), ("2 hours ago", 7200), ("3 days ago", 259_200),
     ("1 week ago", 604_800), ("now", 0)],
)  # fmt: skip
def test_how_long_ago(text: str, ago_s: int) -> None:
    assert parse_moment(text, NOON_NS) == NOON_NS - ago_s * 1_000_000_000


def test_a_time_with_a_zone_is_of_that_zone() -> None:
    assert parse_moment("2025-11-20T14:00:00+02:00", 0) == NOON_NS
    assert parse_moment("2025-11-20T12:00:00.000001Z", 0) == NOON_NS + 1000
    assert [parse_moment(text, 0) for text in ("", "noon", "2025-13-01", "0001-01-01T00:00+14:00")] == [
        None
    ] * 4


def test_green_is_the_accepted_state(ledger: Ledger, told: list[str]) -> None:
    assert told
    accepted = ledger.history().accepted
    assert ledger.resolve("green") == ("told", accepted.v)
    assert ledger.state("told:green").recorded_tree == accepted.tree


def test_a_commit_is_the_state_that_it_has(book: Book, ledger: Ledger) -> None:
    base = book.line("rev-parse", "HEAD")
    ledger.run("first", name="first")
    event = write(book, ledger, b"one\n")
    book.git("add", "file")
    book.git("commit", "-qm", "one")
    write(book, ledger, b"two\n")
    commit = book.line("rev-parse", "HEAD")
    for name in ("HEAD", "main", commit, commit[:7], "first:@-1"):
        run, v = ledger.resolve(name)
        if name != "first:@-1":
            assert f"{run}:{v}" == event
            assert tree_after(ledger.event(name)) == book.line("rev-parse", f"{name}^{{tree}}")
    assert ledger.resolve(base) == ("first", 1)
    assert ledger.resolve("HEAD~1") == ("first", 1)
    ledger.finish(abandon=True)
    book.git("reset", "-q", "--hard", commit)
    ledger.run("second", name="second")
    assert ledger.resolve(commit) == ("second", 1), "the current run's own state comes first"
    assert ledger.resolve(base) == ("first", 1), "it is in one run alone"


def test_a_commit_of_several_other_runs_is_ambiguous(book: Book, ledger: Ledger) -> None:
    base = book.line("rev-parse", "HEAD")
    for name in ("one", "two"):
        ledger.run(name, name=name)
        ledger.finish(abandon=True)
    book.git("commit", "-q", "--allow-empty", "-m", "more")
    ledger.run("three", name="three")
    with pytest.raises(AmbiguousReference) as raised:
        ledger.resolve(base)
    assert raised.value.candidates == ("one:1", "two:1")
    other = book.line("commit-tree", "-m", "unknown", book.line("rev-parse", "HEAD^{tree}"))
    with pytest.raises(UnknownReference, match="no run began from commit"):
        ledger.resolve(other)


def test_words_that_are_runs_too_are_ambiguous(book: Book, ledger: Ledger) -> None:
    for name in ("green", "patch", "other"):
        ledger.run(name, name=name)
        write(book, ledger, name.encode())
        if name != "other":
            ledger.finish(abandon=True)
            book.git("reset", "-q", "--hard")
            book.git("clean", "-fdq")
    for name, run in (("green", "green"), ("patch:1", "patch")):
        with pytest.raises(AmbiguousReference) as raised:
            ledger.resolve(name)
        assert raised.value.candidates == (f"other:{name}", f"{run}:@")
        assert ledger.resolve(f"other:{name}")[0] == "other"
        assert ledger.resolve(f"{run}:@")[0] == run


def test_ends_of_ranges_are_references_too(ledger: Ledger, told: list[str]) -> None:
    whole = ledger.resolve_range("")
    assert whole == ledger.resolve_range("told") == ("told", 0, len(told))
    third = ledger.resolve("patch:3")[1]
    assert ledger.resolve_range("phase:P1..patch:3") == ("told", ledger.resolve("phase:P1")[1], third)
    assert ledger.resolve_range("told:patch:2..@-1") == (
        "told",
        ledger.resolve("patch:2")[1],
        len(told) - 1,
    )
    assert ledger.resolve_range("..green") == ("told", 0, ledger.resolve("green")[1])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x y",
        "@-",
        "told:",
        ":3",
        "told:@{}",
        "patch:",
        "phase:P7",
        "-1",
        "é",
        "9" * 5000,
        "@-" + "9" * 5000,
        "patch:" + "9" * 5000,
    ],
)
def test_what_is_no_reference_says_what_is(ledger: Ledger, told: list[str], text: str) -> None:
    assert told
    with pytest.raises(UnknownReference, match=r"not a reference; write|not a time|no such commit"):
        ledger.resolve(text)


def test_only_a_time_looks_at_the_clock(book: Book) -> None:
    """A reference is no event: it takes nothing from the clock that stamps them."""
    asked: list[int] = []
    with Ledger.open(book.root, stamp=Stamp(clock=lambda: asked.append(1) or NOON_NS)) as ledger:
        ledger.run("told", name="told")
        asked.clear()
        for name in ("@", "told:1", "green", "HEAD"):
            ledger.resolve(name)
        assert not asked
        ledger.resolve("@{now}")
        assert asked == [1]
