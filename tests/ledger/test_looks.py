"""Looks at a work tree: whatever changes is seen, and stillness is never claimed that is not there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from book import Book, File

from ledger.looks import Look, Looker, Stillness
from ledger.repository import Repository
from patches.model import MODE_EXECUTABLE, MODE_SYMLINK

BASE = {b"a": File(b"one\n"), b"dir/b": File(b"two\n"), b".gitignore": File(b"*.log\n")}


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "repo", BASE)


@pytest.fixture
def looker(book: Book) -> Iterator[Looker]:
    looker = Looker(Repository.open(book.root))
    yield looker
    looker.close()


def test_every_kind_of_change_is_seen(book: Book, looker: Looker) -> None:
    """Content of the same size, mode, kind, name, deletion, staging, a commit; each in any bytes of a name."""
    seen = looker.look()
    assert seen.facts == {}

    def changed() -> bool:
        nonlocal seen
        before, seen = seen, looker.look()
        again = looker.look()
        assert not again.unlike(seen)
        return seen.unlike(before)

    assert not changed()
    for path, file in (
        (b"a", File(b"ONE\n")),
        (b"a", File(b"two\n")),
        (b"a", File(b"two\n", MODE_EXECUTABLE)),
        (b"a", File(b"dir", MODE_SYMLINK)),
        (b"a", None),
        (b"caf\xe9 /new\nname", File(b"x")),
        (b"caf\xe9 /new\nname", File(b"y")),
        (b"dir", File(b"a file now")),
    ):
        book.put(path, file)
        assert changed(), (path, file)
    book.git("add", "--all")
    assert changed()
    book.git("commit", "--quiet", "-m", "all")
    assert changed()
    assert seen.facts == {}


def test_what_is_nobodys_business_is_not(book: Book, looker: Looker) -> None:
    """Ignored files, empty directories, times alone; the index is not written."""
    index = (book.root / ".git/index").read_bytes()
    seen = looker.look()
    book.put(b"x.log", File(b"ignored"))
    (book.root / "empty").mkdir()
    os.utime(book.path(b"a"), ns=(1, 1))
    assert not looker.look().unlike(seen)
    assert (book.root / ".git/index").read_bytes() == index


def test_a_repository_inside_is_its_commit(book: Book, looker: Looker) -> None:
    """Another commit in it is a change, another file in it is none."""
    inner = Book(book.root / "inner", {b"x": File(b"1")})
    seen = looker.look()
    inner.put(b"x", File(b"2"))
    assert not looker.look().unlike(seen)
    inner.git("commit", "--quiet", "--all", "-m", "2")
    assert looker.look().unlike(seen)


def test_a_git_command_at_work_is_seen(book: Book, looker: Looker) -> None:
    """Who holds the index is about to change something."""
    assert not looker.look().locked
    (book.root / ".git/index.lock").touch()
    assert looker.look().locked


STEPS = st.lists(
    st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.floats(0.001, 3.0), st.booleans()), max_size=30
)


@given(steps=STEPS, skew_s=st.floats(-1e4, 1e4), period_s=st.floats(0.05, 2.0))
def test_stillness_is_never_claimed_too_early(
    steps: list[tuple[bytes, float, bool]], skew_s: float, period_s: float
) -> None:
    """Against the true times of changes: where ctimes are those of the clock, and where they are anybody's."""
    changes: list[tuple[float, bytes, bool]] = []
    at_s = 0.0
    for path, after_s, there in steps:
        at_s += after_s
        changes.append((at_s, path, there))
    for skewed in (0.0, skew_s):
        stillness = Stillness(trusts_ctime=not skewed)
        now_s, epoch_s, last_s = 0.0, 1e6, 0.0
        before: dict[bytes, tuple[object, ...]] = {}
        while now_s < at_s + 3 * period_s:
            facts: dict[bytes, tuple[object, ...]] = {}
            for when_s, path, there in changes:
                if when_s <= now_s:
                    facts.pop(path, None)
                    if there:
                        facts[path] = (round((epoch_s + skewed + when_s) * 1e9),)
            # What came and went between two looks has left nothing to record.
            seen = [path for path in facts.keys() | before.keys() if facts.get(path) != before.get(path)]
            last_s = max([last_s, *(w for w, path, _ in changes if w <= now_s and path in seen)])
            before = facts
            stillness.see(Look(facts, b"", locked=False), now_s, now_s, round((epoch_s + now_s) * 1e9))
            assert -1e-3 <= stillness.quiet_s(now_s) <= now_s - last_s + 1e-3
            moving = stillness.moving(now_s, 1.0)
            for path in facts:
                changed_s = max(when_s for when_s, p, _ in changes if p == path and when_s <= now_s)
                assert path in moving or now_s - changed_s >= 1.0 - 1e-3
            now_s += period_s
        assert stillness.quiet_s(now_s + 100) >= 100


def test_a_lock_and_another_head_are_no_stillness() -> None:
    """As long as Git holds the index, and from the moment on when HEAD moved."""
    stillness = Stillness()
    for number, (head, locked) in enumerate([(b"1", False), (b"1", False), (b"1", True), (b"2", False)]):
        stillness.see(Look({}, head, locked), number, number, 0)
        assert stillness.quiet_s(number) == (1 if number == 1 else 0)


@pytest.mark.parametrize("step_s", [3600.0, -3600.0, 2.0, 0.0])
def test_a_clock_that_is_set_makes_nothing_still(step_s: float) -> None:
    """A change of just now stays one of just now; the next one is told by the new clock."""
    stillness = Stillness()
    stillness.see(Look({}, b"", locked=False), 10.0, 10.0, round(1000e9))
    wall_s = 1002.0 + step_s
    written_ns = round(1001.9e9)
    stillness.see(Look({b"a": (written_ns,)}, b"", locked=False), 12.0, 12.0, round(wall_s * 1e9))
    assert stillness.quiet_s(12.0) == pytest.approx(0.0 if step_s else 0.1, abs=1e-6)
    written_ns = round((wall_s + 1.5) * 1e9)
    stillness.see(Look({b"a": (written_ns,)}, b"", locked=False), 14.0, 14.0, round((wall_s + 2) * 1e9))
    assert stillness.quiet_s(14.0) == pytest.approx(0.5, abs=1e-6)
