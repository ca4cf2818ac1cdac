"""Generated histories with edits by hand, refusals, commits and several runs in between, against Git."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

sys.path.insert(0, str(Path(__file__).parent))
from book import Book, File, assert_state, damage, on_disk, recorded_trees

from ledger.api import Ledger
from ledger.events import CommitSeen, ErrorCaptured, PatchRefused
from patches.errors import PatchError
from patches.model import MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK, MODE_SYMLINK
from patches.worktree_errors import WorkTreeRefusal

PATHS = [
    b"a", b"b.txt", b"d", b"d/x", b"d/y.txt", b"d/e/z", b"d-", b"caf\xe9", b'q"\t', "é/ü".encode(), b"sp ace",
]  # fmt: skip
LINES = [b"one", b"two", b"three", b"", b"caf\xe9", b"@@ -1 +1 @@", b"-- ", b"diff --git a/a b/a", b"\\ No"]

texts = st.builds(
    lambda lines, end, last: end.join(lines) + (end if last else b""),
    st.lists(st.sampled_from(LINES), max_size=14),
    st.sampled_from([b"\n", b"\n", b"\r\n"]),
    st.booleans(),
)
contents = st.one_of(
    texts, texts, st.sampled_from([b"", b"\0\1\2" * 40, b"\0\1\2" * 39 + b"\xff", b"\xff\n"])
)
links = st.sampled_from([b"a", b"../out", b"nowhere/\xff", b"d/x"])
by_hand = st.one_of(
    st.builds(File, contents, st.sampled_from([MODE_FILE, MODE_FILE, MODE_EXECUTABLE])),
    st.builds(File, links, st.just(MODE_SYMLINK)),
)
modules = st.builds(lambda n: File(b"%040x" % n, MODE_GITLINK), st.integers(1, 3))
paths = st.sampled_from(PATHS)


def edits(values: st.SearchStrategy[File]) -> st.SearchStrategy[dict[bytes, File | None]]:
    return st.dictionaries(paths, st.one_of(values, values, st.none()), min_size=1, max_size=4)


def edited(files: dict[bytes, File], edit: dict[bytes, File | None]) -> dict[bytes, File]:
    """Return ``files`` after an edit; a file takes the place of a directory, and the other way round."""
    after = dict(files)
    for path, file in edit.items():
        after.pop(path, None)
        if file is not None:
            for other in list(after):
                if other.startswith(path + b"/") or path.startswith(other + b"/"):
                    del after[other]
            after[path] = file
    return after


class History(RuleBasedStateMachine):
    """One repository; ``files`` is what its candidate must be."""

    def __init__(self) -> None:
        super().__init__()
        self.scratch = Path(tempfile.mkdtemp(prefix="history-"))
        self.files: dict[bytes, File] = {}
        self.runs: set[str] = set()
        self.last_patch = b""
        self.unseen = False
        self.serial = 0

    @initialize(base=edits(by_hand))
    def begin(self, base: dict[bytes, File | None]) -> None:
        self.files = edited({}, base)
        self.book = Book(self.scratch / "repo", self.files)
        self.ledger = Ledger.open(self.book.root)

    def teardown(self) -> None:
        """At the end every state of every run is asked back."""
        with contextlib.suppress(AttributeError):
            for run in sorted(self.runs):
                for v, tree in recorded_trees(self.ledger, run).items():
                    assert_state(self.ledger, self.book, run, v, tree)
            if self.runs:
                if not self.open_run:
                    self.ledger.run("restores the refs of the others")
                self.ledger.finish()
                assert damage(self.ledger) == []
            self.ledger.close()
        shutil.rmtree(self.scratch)

    @property
    def open_run(self) -> str:
        return next((head.run for head in self.ledger.runs() if head.open), "") if self.runs else ""

    @property
    def tree(self) -> str:
        return self.book.write_tree(self.files)

    def _wrote(self, tree: str, files: dict[bytes, File]) -> None:
        assert tree == self.book.write_tree(files)
        self.files = files
        self.runs |= {head.run for head in self.ledger.runs()}
        if self.unseen:
            seen = [event for event in self.ledger.events(self.open_run) if isinstance(event, CommitSeen)]
            assert seen[-1].commit == self.book.line("rev-parse", "HEAD")
            self.unseen = False

    @rule(edit=edits(st.one_of(by_hand, by_hand, modules)))
    def apply(self, edit: dict[bytes, File | None]) -> None:
        after = edited(self.files, edit)
        patch = self.book.diff(self.tree, self.book.write_tree(after))
        if patch:
            applied = self.ledger.apply(patch)
            assert not applied.already
            assert applied.left_alone == ()
            self._wrote(applied.tree, after)
            self.last_patch = patch

    @rule()
    @precondition(lambda self: self.last_patch)
    def apply_again(self) -> None:
        before = self.ledger.runs()
        self.last_patch, patch = b"", self.last_patch
        if self.open_run and not self.unseen:
            applied = self.ledger.apply(patch)
            assert applied.already
            assert self.ledger.runs() == before

    @rule(edit=edits(by_hand), staged=st.booleans())
    def edit_and_record(self, edit: dict[bytes, File | None], staged: bool) -> None:
        after = self._edit_by_hand(edit)
        if staged:
            self.book.git("add", "--all")
        self._wrote(self.ledger.record().tree, after)
        self.last_patch = b""

    def _edit_by_hand(self, edit: dict[bytes, File | None]) -> dict[bytes, File]:
        """Edit files as a person does and return what the candidate is once that is recorded."""
        modules = [path + b"/" for path, file in self.files.items() if file.mode == MODE_GITLINK]
        # Git does not look into the directory of a submodule.
        edit = {path: file for path, file in edit.items() if not path.startswith(tuple(modules))}
        after = edited(self.files, edit)
        for path in self.files:
            if path not in after:
                self.book.put(path, None)
        for path, file in after.items():
            if self.files.get(path) != file:
                self.book.put(path, file)
        return after

    @rule(edit=edits(by_hand))
    @precondition(lambda self: self.open_run)
    def commit_by_hand_and_record(self, edit: dict[bytes, File | None]) -> None:
        after = self._edit_by_hand(edit)
        self.book.git("add", "--all")
        self.book.git("commit", "--quiet", "--allow-empty", "-m", "by hand")
        self.unseen = True
        self._wrote(self.ledger.record().tree, after)
        self.last_patch = b""

    @rule(path=paths)
    def refuse(self, path: bytes) -> None:
        self.serial += 1
        other = edited(self.files, {path: File(b"nobody has this %d\n" % self.serial)})
        wanted = edited(other, {path: File(b"and nobody gets this\n")})
        patch = self.book.diff(self.book.write_tree(other), self.book.write_tree(wanted))
        run = self.open_run
        if self.unseen:
            return
        count = len(list(self.ledger.events(run))) if run else 0
        with pytest.raises(PatchError):
            self.ledger.apply(patch)
        if run:
            events = list(self.ledger.events(run))
            assert len(events) == count + 2
            refused, asked = events[-2:]
            assert isinstance(refused, PatchRefused)
            assert isinstance(asked, ErrorCaptured)
            assert asked.source_v == refused.v
        assert self.open_run == run

    @rule(path=paths, data=contents)
    def dirty_is_protected(self, path: bytes, data: bytes) -> None:
        self.serial += 1
        target = self.book.path(path)
        if any(other.startswith(path + b"/") or path.startswith(other + b"/") for other in self.files):
            return
        after = edited(self.files, {path: File(b"from a patch %d\n" % self.serial)})
        patch = self.book.diff(self.tree, self.book.write_tree(after))
        mine = data + b"mine"
        self.book.put(path, File(mine))
        before = self.ledger.runs() if self.runs else []
        with pytest.raises(WorkTreeRefusal):
            self.ledger.apply(patch)
        assert target.read_bytes() == mine
        assert [head.tree for head in before] == (
            [head.tree for head in self.ledger.runs()] if self.runs else []
        )
        self.unseen = False
        self.book.put(path, self.files.get(path))

    @rule()
    @precondition(lambda self: self.open_run)
    def commit(self) -> None:
        self.book.git("commit", "--quiet", "--allow-empty", "-m", "candidate")
        self.unseen = True

    @rule()
    @precondition(lambda self: self.open_run)
    def finish(self) -> None:
        run = self.open_run
        self.ledger.finish()
        self.unseen = False
        assert self.open_run == ""
        assert next(head.tree for head in self.ledger.runs() if head.run == run) == self.tree
        # The next run starts on HEAD; what was not committed is drift there.
        self._wrote(self.ledger.record().tree, self.files)

    @rule(what=st.sampled_from(["process", "cache", "ref", "staging"]))
    @precondition(lambda self: self.runs)
    def lose(self, what: str) -> None:
        """Whatever can be made again may go at any time."""
        if what == "ref":
            for run in self.runs:
                self.book.git("update-ref", "-d", f"refs/ledger/{run}/events")
        elif what != "process":
            shutil.rmtree(self.ledger.path / what, ignore_errors=True)
        self.ledger.close()
        self.ledger = Ledger.open(self.book.root)

    @invariant()
    def index_and_work_tree_follow(self) -> None:
        if hasattr(self, "book"):
            self.book.assert_followed(self.tree)
            assert self.book.work_files() == on_disk(self.files)


@pytest.mark.campaign
def test_any_history_comes_back_exactly() -> None:
    """Whatever happens in a repository, every recorded state is Git's, by replay, by fold and by SQL."""
    examples = max(10, settings().max_examples // 5)
    # Shrinking a history of real git commands takes minutes; the printed one is short enough.
    run_state_machine_as_test(
        History,
        settings=settings(
            max_examples=examples,
            stateful_step_count=20,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            report_multiple_bugs=False,
        ),
    )
