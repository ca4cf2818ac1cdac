"""The work tree and index as a projection: what the events past the ref's version ask of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ledger.events import AnyEvent, RunStarted, TreeEvent
from ledger.filerecords import FileRecord, changes_paths, parse_path
from patches.model import Entry
from patches.touches import Touch


def touches(files: Sequence[FileRecord]) -> list[Touch]:
    """Return every path that one event changes, with what it held before and holds after."""
    before: dict[bytes, Entry | None] = {}
    for file in files:
        source = parse_path(file.path if file.old_path is None else file.old_path)
        if file.old is not None:
            before[source] = file.old
    after = changes_paths(files)
    return [Touch(path, before.get(path), entry) for path, entry in after.items()]


def pending_touches(events: Iterable[AnyEvent]) -> list[Touch]:
    """Return the net change of several events, of all their paths."""
    return net_touches(
        event.files for event in events if isinstance(event, TreeEvent) and not isinstance(event, RunStarted)
    )


def net_touches(steps: Iterable[Sequence[FileRecord]]) -> list[Touch]:
    """Return the net change of several steps: per path the first content before and the last after."""
    net: dict[bytes, Touch] = {}
    for files in steps:
        for touch in touches(files):
            first = net.get(touch.path)
            net[touch.path] = touch if first is None else Touch(touch.path, first.old, touch.new)
    return list(net.values())
