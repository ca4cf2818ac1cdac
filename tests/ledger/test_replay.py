"""Replay from any event of any run: the same trees as from the base, and as Git has them."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from book import Book, File, read_files

from ledger.api import Ledger
from ledger.events import PatchRolledBack, RunRebased, RunStarted, TreeEvent, tree_after
from patches.scratchobjects import ScratchObjects

NAMES = [b"a", b"d/b", b"d/c", b"e/f/g"]


def happen(book: Book, ledger: Ledger, chooser: random.Random) -> None:
    """Let something happen to the open run: a patch, an edit by hand, a rollback, a rebase."""
    head = ledger.status().run
    assert head is not None
    files = {path: File(ledger.cat(path)) for path in ledger.state().files}
    what = chooser.random()
    if what < 0.2 and len(ledger.history().live) > 1:
        ledger.undo(with_drift=True)
    elif what < 0.3:
        base = book.line(
            "commit-tree",
            "-m",
            "moved",
            "-p",
            "HEAD",
            book.write_tree({**files, b"base": File(b"%d\n" % chooser.randrange(99))}),
        )
        book.git("reset", "--quiet", "--hard", base)
        ledger.rebase()
    else:
        path = chooser.choice(NAMES)
        content = b"".join(b"%d\n" % chooser.randrange(5) for _ in range(chooser.randrange(1, 30)))
        if what < 0.45:
            book.put(path, File(content))
            ledger.record()
        else:
            after = {**files, path: File(content)}
            if chooser.random() < 0.2 and path in files:
                del after[path]
            if patch := book.diff(head.tree, book.write_tree(after)):
                ledger.apply(patch)


@pytest.mark.campaign
def test_from_any_event_come_the_same_trees(tmp_path: Path, rounds: Callable[[int, int], int]) -> None:
    """What follows it is what follows it in a replay from the base; only what leads back past it is unproved."""
    for seed in range(rounds(3, 200)):
        chooser = random.Random(seed)
        book = Book(tmp_path / f"repo{seed}", {b"a": File(b"1\n"), b"d/b": File(b"2\n")})
        with Ledger.open(book.root) as ledger:
            run = ledger.run("any", name="any")
            for _ in range(12):
                happen(book, ledger, chooser)
            events = [event for event in ledger.events() if isinstance(event, TreeEvent)]
            whole = list(ledger.replay())
            assert [step.event for step in whole] == [event.reference for event in events]
            for at, event in enumerate(events):
                begun, *rest = ledger.replay(start=event.reference, into=tmp_path / f"{seed}-{at}")
                assert begun == msgspec.structs.replace(whole[at], proved=False)
                for step, same, later in zip(rest, whole[at + 1 :], events[at + 1 :], strict=True):
                    back = isinstance(later, PatchRolledBack) and later.to_v < event.v
                    assert step == msgspec.structs.replace(same, proved=not back), seed
                assert read_files(tmp_path / f"{seed}-{at}") == book.work_files(), seed
            assert run.name == "any"


def test_memory_has_no_part_in_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no room at all for new objects, and none of them in the repository, the trees are the same."""
    book = Book(tmp_path / "repo", {b"a": File(b"1\n")})
    with Ledger.open(book.root) as ledger:
        ledger.run("any", name="any")
        for seed in range(15):
            happen(book, ledger, random.Random(seed))
        whole = list(ledger.replay())
        # The bases are given: the first, and those that it was rebased onto.
        kept: set[str] = set()
        for event in ledger.events():
            if isinstance(event, RunStarted | RunRebased):
                tree = str(tree_after(event))
                kept |= {tree, *book.line("ls-tree", "-r", "-t", "--object-only", tree).split()}
    for path in (book.root / ".git/objects").glob("??/*"):
        oid = path.parent.name + path.name
        if oid not in kept and book.line("cat-file", "-t", oid) != "commit":
            path.unlink()
    original = ScratchObjects.__init__
    monkeypatch.setattr(ScratchObjects, "__init__", lambda self, repo: original(self, repo, fresh_bytes=0))
    with Ledger.open(book.root) as ledger:
        assert list(ledger.replay()) == whole
