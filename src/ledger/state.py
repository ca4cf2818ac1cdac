"""The fold: a run's events to the exact tree at each of them. The reference that SQL is held to.

Nothing here reads Git: the base listing and the events alone give the state, and `tree_oid`
computes Git's name for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hashlib import sha1

from msgspec import Struct

from ledger.errors import UnknownKind
from ledger.events import AnyEvent, RunStarted, TreeEvent, UnknownEvent, tree_after
from ledger.filerecords import changes_paths
from patches.model import MODE_TREE, Entry, Oid


class State(Struct, frozen=True):
    """The candidate at one event: every file's entry by path, and the tree oid that the event recorded."""

    run: str
    v: int
    recorded_tree: str
    files: Mapping[bytes, Entry]


def fold_state(events: Iterable[AnyEvent], read_body: Callable[[str], bytes], until_v: int) -> State | None:
    """Return the candidate state of one run at version ``until_v``.

    Args:
        events: The run's events from its first, in order.
        read_body: Gives the base listing.
        until_v: The last version to fold.

    Returns:
        None where there is no `RunStarted` by then.

    Raises:
        UnknownKind: An event changes the tree in a way that this version does not understand.
    """
    files: dict[bytes, Entry] = {}
    run, v, tree = "", 0, ""
    for event in events:
        if event.v > until_v:
            break
        if isinstance(event, UnknownEvent) and event.result_tree is not None:
            raise UnknownKind(event.reference, event.kind)
        if isinstance(event, RunStarted):
            files = parse_listing(read_body(event.listing))
        elif isinstance(event, TreeEvent):
            for path, entry in changes_paths(event.files).items():
                if entry is None:
                    files.pop(path, None)
                else:
                    files[path] = entry
        run, v, tree = event.run, event.v, tree_after(event) or tree
    return State(run, v, tree, files) if tree else None


def parse_listing(listing: bytes) -> dict[bytes, Entry]:
    """Return the entries of a base listing (the output format of ``git ls-tree -r -z``)."""
    entries: dict[bytes, Entry] = {}
    for line in listing.split(b"\0")[:-1]:
        facts, _, path = line.partition(b"\t")
        mode, _, oid = facts.split(b" ")
        entries[path] = Entry(int(mode, 8), bytes.fromhex(oid.decode("ascii")))
    return entries


def tree_oid(files: Mapping[bytes, Entry]) -> Oid:
    """Return the oid of the Git tree that holds exactly ``files``.

    See: ``gitformat-pack(5)`` for tree entries; a directory sorts as if its name ended in "/".
    """
    children: dict[bytes, dict[bytes, Entry]] = {}
    entries: list[tuple[bytes, int, bytes, Oid]] = []
    for path, entry in files.items():
        name, slash, rest = path.partition(b"/")
        if slash:
            children.setdefault(name, {})[rest] = entry
        else:
            entries.append((name, entry.mode, name, entry.oid))
    for name, inner in children.items():
        entries.append((name + b"/", MODE_TREE, name, tree_oid(inner)))
    body = b"".join(b"%o %b\0%b" % (mode, name, oid) for _, mode, name, oid in sorted(entries))
    return sha1(b"tree %d\0" % len(body) + body, usedforsecurity=False).digest()
