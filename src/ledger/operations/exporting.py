"""Exporting: whole runs as one file, and the marks that say which runs exist somewhere else too."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from msgspec import Struct

from ledger.bundles import FORMAT, Dropped, Manifest, RunEntry, bases_of, named_bodies, write_bundle
from ledger.errors import DamagedLedger
from ledger.events import LEDGER_RUN, AnyEvent, BodyDropped, UnknownEvent, event_digest
from ledger.frames import Frame
from ledger.heads import RunHead
from ledger.reference_errors import UnknownReference
from ledger.store.disk import sync_data, sync_directory, write_cached
from ledger.store.local import LocalStore
from ledger.transfer_errors import FileInTheWay

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


class Exported(Struct, frozen=True):
    """What an export holds: its runs with their last versions, and how many bodies."""

    runs: tuple[tuple[str, int], ...]
    bodies: int
    dropped: int


class _Copy(NamedTuple):
    """One run on its way out: its stored events, what they are, and the bodies they name.

    ``required`` are those of them that events of a known kind name.
    """

    lines: list[bytes]
    events: list[AnyEvent]
    bodies: set[str]
    required: set[str]


def export_runs(
    store: LocalStore, runs: Sequence[str], target: Path | IO[bytes], *, force: bool = False
) -> Exported:
    """Write runs as one file, and mark that they exist somewhere else too.

    Args:
        store: The ledger.
        runs: Names of runs.
        target: The file's path, where it appears whole and durable; or an open file, only written to.
        force: Replace the file where it exists.

    Raises:
        UnknownReference: There is no run of a name.
        FileInTheWay: ``target`` exists. It was left as it is.
        DamagedLedger: An event or a body is not what was written. No file was made.
        OSError: The file cannot be written. None was made.
    """
    heads = store.heads()
    for name in runs:
        if name not in heads or not heads[name].base_tree:
            raise UnknownReference(name, f"there is no run {name}")
    if isinstance(target, Path) and not force and target.exists():
        raise FileInTheWay(target)
    source, copies, drops = _collect(store, runs)
    entries = tuple(_entry(store, name, copy, drops) for name, copy in copies.items())
    digests = sorted(digest for copy in copies.values() for digest in copy.bodies)
    digests = list(dict.fromkeys(digests))
    manifest = Manifest(FORMAT, source, entries)

    def write(file: IO[bytes]) -> None:
        bodies = ((digest, store.read_body(digest)) for digest in digests)
        write_bundle(file, manifest, [copy.lines for copy in copies.values()], bodies)

    if isinstance(target, Path):
        publish_file(target, write, force=force)
    else:
        with tempfile.TemporaryFile() as file:
            write(file)
            file.seek(0)
            shutil.copyfileobj(file, target)
    for entry in entries:
        # A mark, not truth: without it `status` says once more that the run exists nowhere else.
        write_cached(store.root / "exported" / entry.digest, b"")
    missing = {digest for entry in entries for each in entry.dropped for digest in each.bodies}
    return Exported(tuple((entry.run, entry.events) for entry in entries), len(digests), len(missing))


def list_unexported(store: LocalStore, heads: Mapping[str, RunHead]) -> tuple[str, ...]:
    """Return the finished runs that exist in this ledger alone, as far as it knows."""
    finished = [head for head in heads.values() if head.base_tree and not head.open and not head.imported]
    try:
        marked = frozenset(os.listdir(store.root / "exported"))
    except FileNotFoundError:
        marked = frozenset[str]()
    return tuple(head.run for head in finished if head.digest not in marked)


def _collect(store: LocalStore, names: Collection[str]) -> tuple[str, dict[str, _Copy], list[BodyDropped]]:
    """Return the hash of the first frame, each run, and what was dropped of any run."""
    copies = {name: _Copy([], [], set(), set()) for name in names}
    drops: list[BodyDropped] = []
    first = store.segments.first_link()
    for frame in store.frames():
        event = _event(frame)
        if event.run in copies:
            copy, stored = copies[event.run], bytes(frame.e)
            copy.lines.append(stored)
            copy.events.append(event)
            named = named_bodies(event, stored)
            copy.bodies.update(named)
            if not isinstance(event, UnknownEvent):
                copy.required.update(named)
        elif event.run == LEDGER_RUN and isinstance(event, BodyDropped):
            drops.append(event)
    return "" if first is None else first.hash, copies, drops


def _event(frame: Frame) -> AnyEvent:
    try:
        return frame.event
    except ValueError as error:
        raise DamagedLedger(f"position {frame.s}", f"not an event: {error}") from error


def _entry(store: LocalStore, run: str, copy: _Copy, drops: Sequence[BodyDropped]) -> RunEntry:
    """Return what the manifest says of a run; of ``copy.bodies`` those stay that can be read."""
    missing = {digest for digest in copy.bodies if not store.bodies.path(digest).is_file()}
    gone = [
        Dropped(drop.of, lost, drop.reason)
        for drop in drops
        if (lost := tuple(digest for digest in drop.bodies if digest in missing))
    ]
    for digest in missing.difference(*(each.bodies for each in gone)) & copy.required:
        store.read_body(digest)
    copy.bodies.difference_update(missing)
    copy.bodies.update(
        each.reason for each in gone if each.reason and store.bodies.path(each.reason).is_file()
    )
    return RunEntry(run, len(copy.lines), event_digest(copy.lines[-1]), bases_of(copy.events), tuple(gone))


def publish_file(target: Path, write: Callable[[IO[bytes]], object], *, force: bool) -> None:
    """Let a file appear, whole and durable; a crash leaves a hidden sibling at most.

    Raises:
        FileInTheWay: It exists, and is not to be replaced. It was left as it is.
        OSError: It cannot be written. None was made.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}.{os.urandom(4).hex()}")
    fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with os.fdopen(fd, "wb") as file:
            write(file)
            file.flush()
            sync_data(file.fileno())
        if force:
            temporary.rename(target)
        else:
            rename_beside(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(target.parent)


def rename_beside(temporary: Path, target: Path) -> None:
    """Give a file its name unless there is one of that name, which somebody may make in this moment.

    Raises:
        FileInTheWay: There is one. It was left as it is; ``temporary`` is still there.
        OSError: The file cannot have the name.
    """
    try:
        target.hardlink_to(temporary)
    except FileExistsError:
        raise FileInTheWay(target) from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without links, as on a memory stick.
        if target.exists():
            raise FileInTheWay(target) from None
        temporary.rename(target)
