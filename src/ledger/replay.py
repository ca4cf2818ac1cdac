"""Replay: from a run's base through the stored patch bytes, each tree checked (P4).

Nothing of the recorded results is used on the way: only the base tree, the bodies and the
options that the events recorded.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import mkdtemp

from msgspec import Struct

from ledger.errors import DirectoryInUse, ReplayMismatch, UnknownKind
from ledger.events import (
    AnyEvent,
    ApplyOptions,
    PatchRolledBack,
    RunRebased,
    RunStarted,
    TreeEvent,
    UnknownEvent,
    tree_after,
)
from ledger.store.interface import Store
from patches.apply import apply_patch
from patches.model import MODE_EXECUTABLE, MODE_GITLINK, MODE_SYMLINK
from patches.objects import Objects
from patches.parse import parse_patch
from patches.tree import Tree


class Step(Struct, frozen=True):
    """One replayed event: its reference, kind, and the tree that replay gives (and the event records)."""

    event: str
    kind: str
    tree: str
    files: int


def replay(
    events: Iterable[AnyEvent], store: Store, objects: Objects, until_v: int
) -> Iterator[tuple[Step, Tree]]:
    """Yield every tree-changing event of a run up to ``until_v`` with the tree after it.

    Args:
        events: The run's events from its first, in order.
        store: Gives the patch bytes.
        objects: Gives the base tree. New objects stay in its memory.
        until_v: The last version to replay.

    Raises:
        ReplayMismatch: A patch gives another tree than its event recorded.
        UnknownKind: An event changes the tree in a way that this version does not understand.
        DamagedLedger: A body is missing or damaged.
    """
    states: dict[int, str] = {}
    tree: Tree | None = None
    for event in events:
        if event.v > until_v:
            return
        if isinstance(event, UnknownEvent) and event.result_tree is not None:
            raise UnknownKind(event.reference, event.kind)
        if not isinstance(event, TreeEvent):
            continue
        tree, files = _replay_event(event, tree, states, store, objects)
        got = states[event.v] = tree.write().hex()
        if (recorded := tree_after(event)) != got:
            raise ReplayMismatch(event.reference, str(recorded), got)
        yield Step(event.reference, event.kind, got, files), tree


def _replay_event(
    event: TreeEvent, tree: Tree | None, states: dict[int, str], store: Store, objects: Objects
) -> tuple[Tree, int]:
    """Return the tree after one event, made from what came before, and the number of files that changed."""
    if isinstance(event, RunStarted):
        return Tree(objects, bytes.fromhex(event.base_tree)), 0
    if isinstance(event, RunRebased):
        return Tree(objects, bytes.fromhex(event.result_tree)), len(event.files)
    if isinstance(event, PatchRolledBack):
        return Tree(objects, bytes.fromhex(states[event.to_v])), len(event.files)
    if event.options != ApplyOptions():
        raise UnknownKind(event.reference, f"{event.kind} with {event.options}")
    assert tree is not None, "a run begins with its base"
    return tree, len(apply_patch(tree, parse_patch(store.read_body(event.patch))))


def write_tree_into(tree: Tree, objects: Objects, directory: Path) -> int:
    """Write a tree's files as Git stores them (no filters) and return their number.

    The directory appears whole, by rename; a crash leaves a hidden sibling at most.

    Raises:
        DirectoryInUse: It exists and is not empty. Nothing was written.
    """
    directory = directory.absolute()
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise DirectoryInUse(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        count = _write_files(tree, objects, scratch)
        scratch.chmod(0o777 & ~_umask())
        scratch.rename(directory)
    except BaseException:
        shutil.rmtree(scratch)
        raise
    return count


def _write_files(tree: Tree, objects: Objects, root: Path) -> int:
    count = 0
    for path, entry in tree.entries():
        count += 1
        target = os.path.join(os.fsencode(root), path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if entry.mode == MODE_GITLINK:
            os.mkdir(target)
        elif entry.mode == MODE_SYMLINK:
            os.symlink(objects.read_blob(entry.oid), target)
        else:
            mode = 0o777 if entry.mode == MODE_EXECUTABLE else 0o666
            with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(objects.read_blob(entry.oid))
    return count


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
