"""The history of one file: the events that changed it, and the event that each of its lines comes from.

Renames are followed by what the events recorded of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ledger.events import AnyEvent, RunStarted, TreeEvent
from ledger.filerecords import FileRecord, parse_path
from ledger.history import History
from ledger.reference_errors import NoSuchPath
from ledger.state import State
from patches.blame import attribute_lines
from patches.model import MODE_GITLINK, Entry, Oid


class Touched(NamedTuple):
    """An event and what it did to the file: several records where the path is a directory."""

    event: TreeEvent
    files: tuple[FileRecord, ...]


class BlamedLine(NamedTuple):
    """A line of a file, without its line feed, the event that it comes from, and the phase at that time."""

    number: int
    event: TreeEvent
    phase: str
    text: bytes


def trace(newest_first: Iterable[AnyEvent], path: bytes) -> Iterator[Touched]:
    """Yield the events that changed a file or anything below a directory, the newest first.

    Args:
        newest_first: A run's events, backward from the one after which the path has this name.
        path: The file, followed under the names that it had before; or a directory, under this name alone.
    """
    for event in newest_first:
        if not isinstance(event, TreeEvent) or isinstance(event, RunStarted):
            continue
        files = tuple(file for file in event.files if _touches(file, path))
        if files:
            yield Touched(event, files)
            path = _name_before(files, path)


def _touches(file: FileRecord, path: bytes) -> bool:
    names = [parse_path(file.path)]
    if file.operation == "rename" and file.old_path is not None:
        names.append(parse_path(file.old_path))
    return any(name == path or name.startswith(path + b"/") for name in names)


def _name_before(files: Iterable[FileRecord], path: bytes) -> bytes:
    for file in files:
        if file.operation == "rename" and file.old_path is not None and parse_path(file.path) == path:
            return parse_path(file.old_path)
    return path


def entry_of(state: State, path: bytes) -> Entry:
    """Return a file's entry in a state.

    Raises:
        NoSuchPath: The state has no file there; the error names files of the same name elsewhere.
    """
    entry = state.files.get(path)
    if entry is None:
        name = path.rpartition(b"/")[2]
        elsewhere = [other for other in state.files if other.rpartition(b"/")[2] == name]
        directory = any(other.startswith(path + b"/") for other in state.files)
        raise NoSuchPath(f"{state.run}:{state.v}", path, sorted(elsewhere), directory=directory)
    return entry


def blame(
    events: Iterable[AnyEvent], state: State, path: bytes, read_blob: Callable[[Oid], bytes]
) -> list[BlamedLine]:
    """Return each line of a file with the event that it comes from.

    What was taken back counts for nothing: a line that a rollback brought again is of the event that made it.
    A line of the base is of the event that began the run, or rebased it.

    Args:
        events: The run's events from its first to the state's version.
        state: The candidate by then.
        path: The file.
        read_blob: Gives the content of the file's versions.

    Raises:
        NoSuchPath: The state has no file there.
        MissingObject: The repository has not every version of the file any more.
        BlameFailed: The git program is not there, or broke down.
    """
    oid = entry_of(state, path).oid
    history, made, phases = History(), dict[int, TreeEvent](), dict[int, str]()
    for event in events:
        history.take(event)
        if isinstance(event, TreeEvent):
            made[event.v], phases[event.v] = event, history.phase
    versions = list(_versions(history, path, oid, made))[::-1]
    if state.files[path].mode == MODE_GITLINK:
        contents = (oid.hex().encode() for _, oid in versions)
    else:
        contents = (read_blob(oid) for _, oid in versions)
    return [
        BlamedLine(number, versions[index][0], phases[versions[index][0].v], text)
        for number, (index, text) in enumerate(attribute_lines(contents), 1)
    ]


def _versions(
    history: History, path: bytes, oid: Oid, made: dict[int, TreeEvent]
) -> Iterator[tuple[TreeEvent, Oid]]:
    """Yield each live event that changed a file and the file's oid after it, the newest first."""
    for at in reversed(history.live[1:]):
        event = made[at.v]
        assert not isinstance(event, RunStarted), "a run begins once"
        for file in event.files:
            if file.operation != "delete" and parse_path(file.path) == path:
                yield event, oid
                if file.operation in ("add", "copy") or file.old is None:
                    return
                oid = file.old.oid
                path = path if file.old_path is None else parse_path(file.old_path)
                break
    yield made[history.live[0].v], oid
