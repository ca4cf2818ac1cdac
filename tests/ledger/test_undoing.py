"""Undo and redo on a real repository: work tree, index and log go where an editor's two stacks say."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from book import IDENTITY, Book, File, assert_state, damage, recorded_trees
from gatebook import edited

from ledger.api import Ledger
from ledger.errors import DriftInTheWay, DroppedBody, NoRun, PhaseForbids
from ledger.events import PatchApplied, PatchRolledBack
from ledger.operations.rollback import roll_back
from ledger.travel_errors import NothingToRedo, NothingToUndo, NotUndoable
from patches.model import MODE_EXECUTABLE, MODE_SYMLINK
from patches.worktree_errors import DirtyPath, InTheWay

BASE = {b"a": File(b"a\n" * 9), b"b": File(b"b\n"), b"d/c": File(b"c\n")}
Files = dict[bytes, File]


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Book:
    for name, value in IDENTITY.items():
        monkeypatch.setenv(name, value)
    return Book(tmp_path / "repo", BASE)


@pytest.fixture
def ledger(book: Book) -> Iterator[Ledger]:
    with Ledger.open(book.root) as opened:
        yield opened


def change(book: Book, ledger: Ledger, edit: dict[bytes, File | None]) -> str:
    """Apply a patch that makes an edit of what lies in the work tree; return its event."""
    before = {path: file for path, file in book.work_files().items() if path != b"ledger.toml"}
    patch = book.diff(book.write_tree(before), book.write_tree(edited(before, edit)))
    return ledger.apply(patch).event


def reject(ledger: Ledger, count: int) -> str:
    """Roll the newest states back, as a gate does; return the event."""
    workspace = ledger._workspace
    with workspace.locked():
        log = workspace.require()
        history = workspace.history(log)
        return roll_back(workspace, log, history, history.live[-count - 1], with_drift=True).event


class Play:
    """A random run; ``before`` and ``after`` are an editor's stacks of what the files were."""

    def __init__(self, book: Book, ledger: Ledger, seed: int) -> None:
        self.book, self.ledger, self.rng = book, ledger, random.Random(seed)
        ledger.run("play")
        self.before: list[Files] = []
        self.after: list[Files] = []
        self.files: Files = dict(BASE)
        self.states = 0
        """How many live states there are past the base, and on each stack how many there were."""
        self.were: list[int] = []
        self.will_be: list[int] = []

    def step(self) -> None:
        actions = [self.apply, self.apply, self.edit, self.restore, self.reject]
        actions += [self.undo, self.undo, self.undo, self.redo, self.redo, self.redo]
        self.rng.choice(actions)()
        assert self.book.work_files() == self.files
        self.book.assert_followed(self.book.write_tree(self.files))
        history = self.ledger.history()
        assert len(history.live) == 1 + self.states
        assert len(history.timeline.undoable) == len(self.before)
        assert len(history.timeline.redoable) == len(self.after)

    def _draw(self) -> dict[bytes, File | None]:
        text = b"".join(b"%d\n" % self.rng.randrange(3) for _ in range(self.rng.randrange(1, 6)))
        file = self.rng.choice(
            [File(text), File(text, MODE_EXECUTABLE), File(b"a", MODE_SYMLINK), File(b"\0" + text), None]
        )
        return {self.rng.choice([b"a", b"b", b"d", b"d/c", b"new", b"e/f"]): file}

    def _changed(self, files: Files, states: int) -> None:
        self.before.append(self.files)
        self.were.append(self.states)
        self.after, self.will_be = [], []
        self.files, self.states = files, states

    def apply(self) -> None:
        edit = self._draw()
        after = edited(self.files, edit)
        if after and after != self.files:
            change(self.book, self.ledger, edit)
            self._changed(after, self.states + 1)

    def edit(self) -> None:
        after = edited(self.files, self._draw())
        if after and after != self.files:
            for path in self.files.keys() - after.keys():
                self.book.put(path, None)
            for path in after:
                if self.files.get(path) != after[path]:
                    self.book.put(path, after[path])
            self.ledger.record()
            self._changed(after, self.states + 1)

    def restore(self) -> None:
        trees = recorded_trees(self.ledger, self.ledger.current_run().name)
        v = self.rng.choice(sorted(trees))
        restored = self.ledger.restore(str(v))
        assert restored.tree == trees[v]
        assert restored.already == (trees[v] == self.book.write_tree(self.files))
        if not restored.already:
            self._changed(self.book.work_files(), self.states + 1)

    def reject(self) -> None:
        live = self.ledger.history().live
        if len(live) < 2:
            return
        count = self.rng.randrange(1, len(live))
        reject(self.ledger, count)
        assert self.book.line("write-tree") == live[-count - 1].tree
        self._changed(self.book.work_files(), self.states - count)

    def undo(self) -> None:
        count = self.rng.choice([1, 1, 2, 3])
        if len(self.before) < count:
            with pytest.raises(NothingToUndo):
                self.ledger.undo(count, with_drift=True)
            return
        line = self.ledger.history().timeline.undoable
        if self.rng.random() < 0.3:
            self.ledger.undo(through=str(line[-count].v), with_drift=True)
        else:
            self.ledger.undo(count, with_drift=True)
        for _ in range(count):
            self.after.append(self.files)
            self.will_be.append(self.states)
            self.files, self.states = self.before.pop(), self.were.pop()

    def redo(self) -> None:
        count = self.rng.choice([1, 1, 2, 3])
        if len(self.after) < count:
            with pytest.raises(NothingToRedo):
                self.ledger.redo(count, with_drift=True)
            return
        self.ledger.redo(count, with_drift=True)
        for _ in range(count):
            self.before.append(self.files)
            self.were.append(self.states)
            self.files, self.states = self.after.pop(), self.will_be.pop()


@pytest.mark.campaign
def test_any_run_is_undone_and_redone_as_an_editor_does(
    tmp_path: Path, identity: dict[str, str], rounds: Callable[[int, int], int]
) -> None:
    """After every step files, index and states are the stacks'; at the end every recorded state is Git's."""
    for seed in range(rounds(4, 400)):
        book = Book(tmp_path / f"repo{seed}", BASE)
        with Ledger.open(book.root) as ledger:
            play = Play(book, ledger, seed)
            for _ in range(25):
                play.step()
            run = ledger.current_run().name
            for v, tree in recorded_trees(ledger, run).items():
                assert_state(ledger, book, run, v, tree)
            assert damage(ledger) == []


def test_undo_and_redo_of_each_kind_of_operation(book: Book, ledger: Ledger) -> None:
    """A patch, a move, a restore and a rollback by a gate: undone one by one, and redone to the very tree."""
    change(book, ledger, {b"a": File(b"one\n")})
    ledger.move([b"b"], b"moved")
    rejected = reject(ledger, 2)
    ledger.restore("3")
    trees = [ledger.tree(), *(ledger.undo().tree for _ in range(4))]
    assert trees[1:] == [ledger.tree(v) for v in (rejected, "4", "3", "1")]
    with pytest.raises(NothingToUndo):
        ledger.undo()
    assert [ledger.redo().tree for _ in range(4)] == trees[3::-1]
    with pytest.raises(NothingToRedo):
        ledger.redo()
    book.assert_followed(trees[0])
    assert damage(ledger) == []


def test_what_a_gate_rolled_back_comes_back_patch_by_patch(book: Book, ledger: Ledger) -> None:
    """Each is a state of its own again, with its source, its patch and its files, and names the first one."""
    first = [change(book, ledger, {b"a": File(b"one\n")}), change(book, ledger, {b"n": File(b"new\n")})]
    reject(ledger, 2)
    ledger.undo()
    events = [event for event in ledger.events() if isinstance(event, PatchApplied)]
    assert [event.cause for event in events] == ["diff", "diff", "undo", "undo"]
    for old, new in zip(events[:2], events[2:], strict=True):
        assert (new.patch, new.files, new.source, new.of) == (old.patch, old.files, old.source, old.v)
        assert (new.base_tree, new.result_tree) == (old.base_tree, old.result_tree)
    assert [event.reference for event in events[:2]] == first
    assert len(ledger.history().live) == 3


def test_a_change_after_an_undo_ends_what_could_be_redone(book: Book, ledger: Ledger) -> None:
    """As in an editor. What was undone is in the log all the same."""
    event = change(book, ledger, {b"a": File(b"one\n")})
    ledger.undo()
    change(book, ledger, {b"b": File(b"other\n")})
    with pytest.raises(NothingToRedo):
        ledger.redo()
    assert ledger.apply_again(event).tree == book.write_tree(
        {**BASE, b"a": File(b"one\n"), b"b": File(b"other\n")}
    )


def test_one_undo_of_several_is_one_group_and_one_change(book: Book, ledger: Ledger) -> None:
    """The events are appended at once; a path that is changed and changed back is not touched."""
    change(book, ledger, {b"a": File(b"one\n")})
    change(book, ledger, {b"a": BASE[b"a"], b"b": File(b"two\n")})
    position = ledger.store.position()
    book.put(b"a", File(b"mine\n"))
    undone = ledger.undo(2)
    assert [change.path for change in undone.files] == [b"b"]
    assert undone.back == "ledger redo 2"
    assert book.work_files() == {**BASE, b"a": File(b"mine\n")}
    frames = [frame for frame in ledger.store.frames() if frame.s > position]
    assert [(frame.event.kind, frame.n) for frame in frames] == [
        ("patch.rolled_back/1", 1),
        ("patch.rolled_back/1", 0),
    ]


def test_through_an_event(book: Book, ledger: Ledger) -> None:
    """That one and all since; one that was undone, changed nothing or is another run's is refused."""
    first = change(book, ledger, {b"a": File(b"one\n")})
    second = change(book, ledger, {b"a": File(b"two\n")})
    third = change(book, ledger, {b"a": File(b"three\n")})
    ledger.undo(through=second)
    assert book.work_files()[b"a"] == File(b"one\n")
    for event in (third, "1", "2", "@"):
        with pytest.raises(NotUndoable):
            ledger.undo(through=event)
    ledger.redo(2)
    # It is there again, under another version: its own still names it.
    ledger.undo(through=second)
    assert book.work_files()[b"a"] == File(b"one\n")
    ledger.finish()
    ledger.run("another")
    with pytest.raises(NoRun):
        ledger.undo(through=first)


def test_edits_by_hand_are_taken_away_only_where_that_is_asked_for(book: Book, ledger: Ledger) -> None:
    """Also where they came back by a redo, or by undoing a gate's rollback; the way back says what it takes."""
    book.put(b"a", File(b"mine\n"))
    ledger.record()
    with pytest.raises(DriftInTheWay):
        ledger.undo()
    assert ledger.undo(with_drift=True).back == "ledger redo"
    redone = ledger.redo()
    assert redone.back == "ledger undo --with-drift"
    with pytest.raises(DriftInTheWay):
        ledger.undo()
    assert book.work_files()[b"a"] == File(b"mine\n")
    reject(ledger, 1)
    assert ledger.undo().back == "ledger redo --with-drift"
    with pytest.raises(DriftInTheWay):
        ledger.redo()
    assert ledger.redo(with_drift=True).back == "ledger undo"
    rolled_back = [event for event in ledger.events() if isinstance(event, PatchRolledBack)]
    assert [event.with_drift for event in rolled_back] == [True, True, True]


@pytest.mark.parametrize("way", ["undo", "redo"])
def test_nothing_that_is_not_recorded_is_overwritten(book: Book, ledger: Ledger, way: str) -> None:
    """An edited file and an untracked one in the way stop it, and nothing is written."""
    change(book, ledger, {b"a": File(b"one\n"), b"d/c": None})
    if way == "redo":
        ledger.undo()
    go = ledger.undo if way == "undo" else ledger.redo
    events = len(list(ledger.events()))
    book.put(b"a", File(b"mine\n"))
    with pytest.raises(DirtyPath):
        go()
    book.put(b"a", File(b"one\n") if way == "undo" else BASE[b"a"])
    if way == "undo":
        book.put(b"d/c", File(b"mine\n"))
        with pytest.raises(InTheWay):
            go()
        assert book.work_files()[b"d/c"] == File(b"mine\n")
    assert len(list(ledger.events())) == events


def test_a_phase_without_patches_lets_none_be_taken_again(book: Book, ledger: Ledger) -> None:
    """An undo that only takes away goes on; what would apply a patch, or restore files, is refused."""
    (book.root / "ledger.toml").write_text("[phases]\npatches = ['P3']\n", "utf-8")
    ledger.run("port")
    ledger.enter_phase("P3")
    event = change(book, ledger, {b"a": File(b"one\n")})
    ledger.enter_phase("P4")
    assert ledger.undo().tree == book.line("rev-parse", "HEAD^{tree}")
    with pytest.raises(PhaseForbids):
        ledger.redo()
    with pytest.raises(PhaseForbids):
        ledger.restore(event)
    assert ledger.restore("1").already
    ledger.enter_phase("P3")
    assert ledger.redo().tree == ledger.tree(event)


def test_a_patch_that_was_dropped_is_not_taken_again(book: Book, ledger: Ledger) -> None:
    """Its bytes are gone for good: an undo of its rollback must not make them again from Git's objects."""
    event = change(book, ledger, {b"a": File(b"a secret\n")})
    ledger.undo()
    ledger.redact(event, names=["patch"])
    with pytest.raises(DroppedBody):
        ledger.redo()
    assert book.work_files() == BASE


def test_a_rebase_ends_the_timeline(book: Book, ledger: Ledger) -> None:
    """No undo leads back past it: HEAD is elsewhere. What survived it can be undone."""
    change(book, ledger, {b"a": File(b"one\n")})
    change(book, ledger, {b"n": File(b"new\n")})
    ledger.undo()
    tree = book.write_tree({**BASE, b"up": File(b"up\n")})
    commit = book.line("commit-tree", "-p", "HEAD", "-m", "up", tree)
    book.git("update-ref", "HEAD", commit)
    ledger.rebase()
    with pytest.raises(NothingToRedo):
        ledger.redo()
    assert ledger.undo().tree == tree
    with pytest.raises(NothingToUndo):
        ledger.undo()
