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
from typing import Protocol

from msgspec import Struct

from ledger.errors import DirectoryInUse, DroppedBody, ReplayMismatch, UnknownKind
from ledger.events import (
    AnyEvent,
    PatchApplied,
    PatchRolledBack,
    RunRebased,
    RunStarted,
    TreeEvent,
    UnknownEvent,
    tree_after,
)
from ledger.filerecords import changes_paths
from patches.apply import apply_patch
from patches.errors import show_path
from patches.model import MODE_EXECUTABLE, MODE_GITLINK, MODE_SYMLINK
from patches.objects import Objects
from patches.options import LENIENT
from patches.parse import parse_patch
from patches.tree import Tree


class Step(Struct, frozen=True):
    """One replayed event: its reference, kind, and the tree that replay gives (and the event records).

    ``proved`` is False where no patch bytes lead to the tree: the patch was dropped, and it is made of the
    blobs that the event names, which hash to it; or it is taken as it was recorded, since the replay began
    there or later.
    """

    event: str
    kind: str
    tree: str
    files: int
    proved: bool = True


class BodySource(Protocol):
    """What gives the patches: a store, or a file that is not in one yet."""

    def read_body(self, digest: str) -> bytes:
        """See `Store.read_body`."""
        ...


def replay(
    events: Iterable[AnyEvent], store: BodySource, objects: Objects, until_v: int, *, from_v: int = 0
) -> Iterator[tuple[Step, Tree]]:
    """Yield every tree-changing event of a run up to ``until_v`` with the tree after it.

    Args:
        events: The run's events from its first, in order.
        store: Gives the patch bytes.
        objects: Gives the base tree. New objects stay in its memory.
        until_v: The last version to replay.
        from_v: The version to begin at. The tree of its state is taken as it was recorded, and is the first
            that is yielded; so is that of a state before it that a rollback goes back to. By default the
            run's base.

    Raises:
        ReplayMismatch: A patch gives another tree than its event recorded.
        UnknownKind: An event changes the tree in a way that this version does not understand.
        DroppedBody: A patch was dropped, and the repository has not every blob that it led to.
        MissingObject: The repository has not the tree to begin at any more.
        DamagedLedger: A body is missing or damaged.
    """
    states: dict[int, str] = {}
    begun: TreeEvent | None = None
    tree: Tree | None = None
    for event in events:
        if event.v > until_v:
            break
        if isinstance(event, UnknownEvent) and event.result_tree is not None:
            raise UnknownKind(event.reference, event.kind)
        if not isinstance(event, TreeEvent):
            continue
        if event.v <= from_v:
            begun, states[event.v] = event, str(tree_after(event))
            continue
        if tree is None and begun is not None:
            step, tree = _begin(begun, objects)
            yield step, tree
        tree, proved = _replay_event(event, tree, states, store, objects)
        got = states[event.v] = tree.write().hex()
        if (recorded := tree_after(event)) != got:
            raise ReplayMismatch(event.reference, str(recorded), got)
        if isinstance(event, PatchRolledBack) and begun is not None and event.to_v < begun.v:
            proved = False
        yield Step(event.reference, event.kind, got, _count_files(event), proved), tree
    if tree is None and begun is not None:
        yield _begin(begun, objects)


def _begin(event: TreeEvent, objects: Objects) -> tuple[Step, Tree]:
    """Return the step and tree that a replay begins with, as recorded."""
    tree = str(tree_after(event))
    step = Step(event.reference, event.kind, tree, _count_files(event), proved=False)
    return step, Tree(objects, bytes.fromhex(tree))


def _count_files(event: TreeEvent) -> int:
    return 0 if isinstance(event, RunStarted) else len(event.files)


def _replay_event(
    event: TreeEvent, tree: Tree | None, states: dict[int, str], store: BodySource, objects: Objects
) -> tuple[Tree, bool]:
    """Return the tree after one event, made from what came before, and whether patch bytes prove it."""
    if isinstance(event, RunStarted):
        return Tree(objects, bytes.fromhex(event.base_tree)), True
    if isinstance(event, RunRebased):
        return Tree(objects, bytes.fromhex(event.result_tree)), True
    if isinstance(event, PatchRolledBack):
        return Tree(objects, bytes.fromhex(states[event.to_v])), True
    if not event.options.replayable:
        raise UnknownKind(event.reference, f"{event.kind} with {event.options}")
    assert tree is not None, "a run begins with its base"
    try:
        patch = parse_patch(store.read_body(event.patch), LENIENT)
    except DroppedBody as error:
        _apply_records(event, tree, objects, error)
        return tree, False
    # What was recorded before something doubtful was refused went where Git puts it; the tree is checked.
    apply_patch(tree, patch, LENIENT)
    return tree, True


def _apply_records(event: PatchApplied, tree: Tree, objects: Objects, error: DroppedBody) -> None:
    """Bring a tree to what an event records of each path, its patch being gone."""
    entries = changes_paths(event.files)
    for path, entry in entries.items():
        if entry is not None and entry.mode != MODE_GITLINK and not objects.has_blob(entry.oid):
            error.add_note(
                f"{event.reference}: the repository has no blob {entry.oid.hex()} ({show_path(path)})"
            )
            raise error
    tree.update(entries)


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
