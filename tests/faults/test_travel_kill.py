"""Every byte accounted for: going back and forth, and being killed at it, in a work tree that is in use.

Before each step the user edits, adds, stages and ignores files, makes some read-only and keeps some open; then
a command goes elsewhere and may be killed. Whatever content lay in the work tree is there afterwards, or the log
had recorded it, or records it now, with the object in Git. What was the user's own is where it was.
"""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "ledger"))
from book import Book, File, assert_state, damage, recorded_trees  # pyright: ignore[reportMissingImports]
from gatebook import die_at, edited  # pyright: ignore[reportMissingImports]
from scene import start_command

from ledger.api import Ledger
from ledger.events import RunStarted, TreeEvent
from ledger.projections.refs import RunRef
from ledger.state import parse_listing
from ledger.store.local import LocalStore
from patches.gitindex import IndexFile
from patches.model import MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK, MODE_SYMLINK
from patches.publication import Publication
from patches.worktree import WorkTree

pytestmark = pytest.mark.campaign

PATHS = [b"a", b"b.txt", b"d", b"d/x", b"d/e/y", b"n/new", b"caf\xe9"]
LOOSE = [b"loose", b"d/mine", b"n/mine", b"x.ignored", b"d/y.ignored", b"b.txt", b"d", b"n/new"]
BASE = {
    b".gitignore": File(b"*.ignored\n"),
    b"a": File(b"a\n" * 5),
    b"d/x": File(b"x\n"),
    b"keep": File(b"k\n"),
}
PROTECTED = 7
KILLED = (-9, 9)
CRASHES: list[tuple[type, str]] = [
    *[(LocalStore, "append")] * 4, *[(Publication, "_place")] * 2, *[(Publication, "_remove")] * 2,
    (WorkTree, "stage"), (WorkTree, "publish"), (IndexFile, "replace"), (RunRef, "project"), (RunRef, "_publish"),
]  # fmt: skip
Files = Mapping[bytes, File]


class Step(NamedTuple):
    """A command, and the tree that the candidate has after it; "" where that is not known before."""

    words: list[str]
    tree: str = ""


class InUse:
    """Files of a work tree that somebody has open: some read, one written to while a command runs.

    Reading goes on in what was opened, whatever happens to the name; writing must reach the name's content.
    """

    def __init__(self, book: Book, files: Files, writing: bytes | None) -> None:
        self._open = {
            path: os.open(book.path(path), os.O_RDONLY)
            for path, file in files.items()
            if file.mode in (MODE_FILE, MODE_EXECUTABLE)
        }
        self._files, self._writing = files, writing
        self.written = b""
        self._fd = -1 if writing is None else os.open(book.path(writing), os.O_WRONLY | os.O_APPEND)
        self._over = Event()

    @contextmanager
    def going_on(self) -> Iterator[None]:
        thread = Thread(target=self._write)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _write(self) -> None:
        while self._fd >= 0:
            self.written += b"%d\n" % len(self.written)
            os.write(self._fd, self.written[self.written[:-1].rfind(b"\n") + 1 :])
            if self._over.wait(0.002):
                break

    def close(self) -> None:
        """Check that what was opened says what it said."""
        for path, fd in self._open.items():
            with os.fdopen(fd, "rb") as file:
                assert file.read()[: len(self._files[path].data)] == self._files[path].data, path
        if self._fd >= 0:
            os.close(self._fd)


class Walk:
    """A repository, its run, and what its user does between the commands."""

    def __init__(self, place: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.book = Book(place, BASE)
        with Ledger.open(place) as ledger:
            self.run = ledger.run("walk").name
        self.outcomes: Counter[str] = Counter()
        self.took_s = 0.25
        self.undone: list[str] = []
        self.redone: list[str] = []

    # What the user does

    def _file(self) -> File:
        text = b"".join(b"%d\n" % self.rng.randrange(100) for _ in range(self.rng.randrange(1, 6)))
        kinds = [MODE_FILE, MODE_FILE, MODE_EXECUTABLE, MODE_SYMLINK]
        mode = self.rng.choice(kinds)
        return (
            File(b"nowhere/" + text.strip().replace(b"\n", b"-"), mode)
            if mode == MODE_SYMLINK
            else File(text, mode)
        )

    def use(self) -> None:
        """Edit, add, delete, stage and close files to writing, without the ledger's knowledge."""
        for _ in range(self.rng.randrange(3)):
            edit = {self.rng.choice([*PATHS, *LOOSE]): self._file()}
            self._become(edited(self._files(), edit))
        if self.rng.random() < 0.3:
            self.book.git("add", "--all")
        for path, file in self._files().items():
            if file.mode == MODE_FILE and self.rng.random() < 0.2:
                self.book.path(path).chmod(0o444)

    def _become(self, files: Files) -> None:
        now = self._files()
        for path in now.keys() - files.keys():
            self.book.put(path, None)
        for path, file in files.items():
            if now.get(path) != file:
                self.book.put(path, file)

    def _files(self) -> dict[bytes, File]:
        found = self.book.work_files()
        return {path: file for path, file in found.items() if file.mode != MODE_GITLINK}

    # What the commands do

    def _draw(self, ledger: Ledger) -> Step:
        trees = recorded_trees(ledger, self.run)
        history = ledger.history()
        back, forth = len(history.timeline.undoable), len(history.timeline.redoable)
        choices = ["record", "restore", "restore", "paths", "apply"]
        choices += ["undo"] * (3 if back else 0) + ["redo"] * (4 if forth else 0)
        match self.rng.choice(choices):
            case "undo":
                count = self.rng.randint(1, min(back, 3))
                return Step(["undo", str(count), "--with-drift"], self.undone[-count])
            case "redo":
                count = self.rng.randint(1, min(forth, 3))
                return Step(["redo", str(count), "--with-drift"], self.redone[-count])
            case "restore":
                v = self.rng.choice(sorted(trees))
                return Step(["restore", str(v)], trees[v])
            case "paths":
                v, path = self.rng.choice(sorted(trees)), os.fsdecode(self.rng.choice(PATHS))
                return Step(["restore", str(v), path])
            case "apply":
                return self._patch(history.candidate.tree)
            case _:
                return Step(["record"])

    def _move(self, step: Step, before: str) -> None:
        """Take a step that took effect into the editor's two stacks, of trees to undo and to redo to."""
        name, count = step.words[0], int(step.words[1]) if step.words[0] in ("undo", "redo") else 0
        there, here = (self.undone, self.redone) if name == "undo" else (self.redone, self.undone)
        here.append(before)
        for _ in range(count - 1):
            here.append(there.pop())
        if count:
            there.pop()
        else:
            self.redone = []

    def _patch(self, tree: str) -> Step:
        files = {
            path: File(self.book.git("cat-file", "blob", entry.oid.hex()), entry.mode)
            for path, entry in self.book.listing(tree).items()
        }
        after = self.book.write_tree(edited(files, {self.rng.choice(PATHS): self._file()}))
        patch = self.book.root / ".git/next.diff"
        patch.write_bytes(self.book.diff(tree, after))
        return Step(["apply", str(patch)], after)

    def step(self) -> None:
        self.use()
        with Ledger.open(self.book.root) as ledger:
            before, count = ledger.tree(), len(list(ledger.events()))
            step = self._draw(ledger)
        files, mine = self._files(), self._own(before)
        gone = self.book.listing(before).keys() - files.keys()
        loose = sorted(path for path in mine if files[path].mode == MODE_FILE and self._writable(path))
        writing = self.rng.choice(loose) if loose and step.words != ["record"] else None
        in_use = InUse(self.book, files, writing)
        with in_use.going_on():
            status = os.waitstatus_to_exitcode(self._run(step))
        in_use.close()
        if writing is not None:
            grown = File(files[writing].data + in_use.written, files[writing].mode)
            files[writing] = mine[writing] = grown
        self.outcomes["killed" if status in KILLED else f"{step.words[0]} {status}"] += 1
        # Exit code 3: there is no such path, or a patch of nothing.
        assert status in (0, 3, PROTECTED, *KILLED), (step, status)
        self._assert_kept(files, mine)
        with Ledger.open(self.book.root) as ledger:
            ledger.enter_phase("P2")  # A writing command finishes what the kill left.
            after = ledger.tree()
            recorded = self._recorded(ledger)
            changed = sum(isinstance(event, TreeEvent) and event.v > count for event in ledger.events())
        self._assert_kept(files, mine, recorded)
        assert status != PROTECTED or (not changed and self._files() == files)
        assert after == ((step.tree or after) if changed else before)
        if changed:
            self._move(step, before)
        if step.words != ["record"]:
            self._assert_followed(after, mine, gone)

    def _run(self, step: Step) -> int:
        """Run a command to its end, to some moment, or to one of the steps past which a crash leaves a trace."""
        fate = self.rng.random()
        if fate < 0.25:
            return start_command(self.book.root, step.words)(None)
        if fate < 0.5:
            return start_command(self.book.root, step.words)(self.rng.uniform(0, self.took_s))
        at, nth, after = self.rng.choice(CRASHES), self.rng.choice([1, 1, 2]), self.rng.random() < 0.5
        return start_command(self.book.root, step.words, lambda: die_at(at, nth, after=after))(None)

    def _writable(self, path: bytes) -> bool:
        return bool(self.book.path(path).stat().st_mode & 0o200)

    def _own(self, tree: str) -> dict[bytes, File]:
        """Return what in the work tree is not the candidate's: the user's own."""
        listed = self.book.listing(tree)
        return {path: file for path, file in self._files().items() if listed.get(path) != self._entry(file)}

    def _entry(self, file: File) -> tuple[int, bytes]:
        return (file.mode, bytes.fromhex(str(self.book.repo.create_blob(file.data))))

    # What must hold

    def _recorded(self, ledger: Ledger) -> set[tuple[int, bytes]]:
        """Return the mode and oid of every file that an event of the log names, and whose object Git has."""
        found: set[tuple[int, bytes]] = set()
        for event in ledger.events():
            if isinstance(event, RunStarted):
                found |= {(e.mode, e.oid) for e in parse_listing(ledger.body(event.listing)).values()}
            elif isinstance(event, TreeEvent):
                found |= {(file.new.mode, file.new.oid) for file in event.files if file.new is not None}
        reached = self.book.git(
            "rev-list", "--objects", "--no-object-names", f"refs/ledger/{self.run}/events"
        )
        kept = set(reached.decode().split())
        return {(mode, oid) for mode, oid in found if oid.hex() in kept}

    def _assert_kept(self, files: Files, mine: Files, recorded: set[tuple[int, bytes]] | None = None) -> None:
        """What was the user's own lies where it lay; what else lay there does too, or is recorded."""
        now = self._files()
        for path, file in mine.items():
            assert now.get(path) == file, path
        if recorded is None:
            with Ledger.open(self.book.root) as ledger:
                recorded = self._recorded(ledger)
        for path, file in files.items():
            assert now.get(path) == file or self._entry(file) in recorded, path

    def _assert_followed(self, tree: str, mine: Files, gone: Set[bytes]) -> None:
        """What is not the user's own is the candidate's: what he had, and what he had taken away."""
        now, listed = self._files(), self.book.listing(tree)
        for path, entry in listed.items():
            beside = any(path.startswith(each + b"/") or each.startswith(path + b"/") for each in mine)
            if path not in mine and path not in gone and not beside:
                assert path in now, path
                assert self._entry(now[path]) == tuple(entry), path
        assert now.keys() - mine.keys() <= listed.keys()
        self.book.git("status", "--porcelain")


def test_nothing_that_a_user_had_is_lost(tmp_path: Path, rounds: Callable[[int, int], int]) -> None:
    """Random walks through restores, undos, redos, records and patches, most of them killed somewhere."""
    outcomes: Counter[str] = Counter()
    for seed in range(rounds(2, 300)):
        walk = Walk(tmp_path / f"repo{seed}", seed)
        for _ in range(16):
            walk.step()
        outcomes += walk.outcomes
        with Ledger.open(walk.book.root) as ledger:
            for v, tree in recorded_trees(ledger, walk.run).items():
                assert_state(ledger, walk.book, walk.run, v, tree)
            assert damage(ledger) == []
        assert list((walk.book.root / ".git").rglob("*.lock")) == []
        walk.book.git("fsck", "--strict", "--no-dangling")
    assert outcomes["killed"] > 3, outcomes
    assert sum(outcome.endswith(" 0") for outcome in outcomes) > 3, outcomes
