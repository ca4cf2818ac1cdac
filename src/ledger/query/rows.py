"""Rows: frames of the log to the typed rows of the cache's tables. Pure: nothing is read or written.

Rows travel to DuckDB as one JSON document a table, which it turns into columns itself; a
parameterised INSERT a row would take milliseconds each. Object ids travel as hexadecimal and
become 20-byte blobs; paths travel as indexes into `Rows.paths`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

import msgspec

from ledger.events import (
    AnyEvent,
    PatchApplied,
    PatchRefused,
    RunStarted,
    changes_paths,
    parse_path,
)
from ledger.frames import Frame
from ledger.state import parse_listing
from patches.errors import show_path
from patches.model import Entry

Row: TypeAlias = list[object]

_COMMON = ("kind", "id", "run", "v", "prev", "at_ns", "actor", "files")


class Table(NamedTuple):
    """A table's columns: name → (type in the JSON, SQL expression that makes the stored value)."""

    name: str
    columns: Mapping[str, tuple[str, str]]


def _plain(kind: str, *names: str) -> dict[str, tuple[str, str]]:
    return {name: (kind, name) for name in names}


def _oids(*names: str) -> dict[str, tuple[str, str]]:
    return {name: ("VARCHAR", f"unhex({name})") for name in names}


EVENT = Table(
    "event",
    _plain("BIGINT", "position")
    | _plain("VARCHAR", "run")
    | _plain("INTEGER", "v")
    | _plain("UUID", "id")
    | _plain("VARCHAR", "kind")
    | _plain("INTEGER", "kind_version")
    | _plain("BIGINT", "at_ns")
    | _plain("VARCHAR", "actor_kind", "actor_name", "actor_session")
    | _oids("hash")
    | _plain("JSON", "data"),
)
PATCH = Table(
    "patch",
    _plain("VARCHAR", "run")
    | _plain("INTEGER", "v")
    | _plain("VARCHAR", "outcome", "cause")
    | _oids("base_tree", "result_tree", "body")
    | _plain("BIGINT", "size_bytes")
    | _plain("VARCHAR", "source", "error"),
)
FILE_CHANGE = Table(
    "file_change",
    _plain("VARCHAR", "run")
    | _plain("INTEGER", "v", "ordinal", "path_id", "old_path_id")
    | _plain("VARCHAR", "operation")
    | _plain("INTEGER", "old_mode")
    | _oids("old_oid")
    | _plain("INTEGER", "mode")
    | _oids("oid")
    | _plain("INTEGER", "added", "removed"),
)
PATH_CHANGE = Table(
    "path_change",
    _plain("VARCHAR", "run") | _plain("INTEGER", "v", "path_id", "mode") | _oids("oid"),
)
BASE_FILE = Table(
    "base_file",
    _oids("tree") | _plain("INTEGER", "path_id", "mode") | _oids("oid"),
)
TABLES = (EVENT, PATCH, FILE_CHANGE, PATH_CHANGE, BASE_FILE)
PATH_COLUMNS = ("path_id", "old_path_id")


class Rows:
    """The rows of some consecutive frames."""

    def __init__(self) -> None:
        self.tables: dict[str, list[Row]] = {table.name: [] for table in TABLES}
        self.paths: dict[bytes, int] = {}
        self.base_trees: dict[str, str] = {}
        """Base tree → digest of its listing, for every run that starts in these frames."""

    def __len__(self) -> int:
        return sum(map(len, self.tables.values()))

    def add_frame(self, frame: Frame) -> None:
        """Add the rows of one frame, its base listing excepted."""
        event = frame.event
        self.tables["event"].append(_event_row(frame, event))
        if isinstance(event, RunStarted):
            self.base_trees[event.base_tree] = event.listing
        elif isinstance(event, PatchApplied):
            self._add_applied(event)
        elif isinstance(event, PatchRefused):
            row: Row = [event.run, event.v, "refused", "diff", event.base_tree, None]
            row += [event.patch, event.patch_size_bytes, event.source, event.error]
            self.tables["patch"].append(row)

    def add_listing(self, tree: str, listing: bytes) -> None:
        """Add the files of a base tree."""
        rows = self.tables["base_file"]
        for path, entry in parse_listing(listing).items():
            rows.append([tree, self._path(path), entry.mode, entry.oid.hex()])

    def _add_applied(self, event: PatchApplied) -> None:
        row: Row = [event.run, event.v, "applied", event.cause, event.base_tree, event.result_tree]
        row += [event.patch, event.patch_size_bytes, event.source, None]
        self.tables["patch"].append(row)
        for ordinal, file in enumerate(event.files, start=1):
            old_path = None if file.old_path is None else self._path(parse_path(file.old_path))
            row = [event.run, event.v, ordinal, self._path(parse_path(file.path)), old_path]
            row += [file.operation, *_columns(file.old), *_columns(file.new), file.added, file.removed]
            self.tables["file_change"].append(row)
        for path, entry in changes_paths(event.files).items():
            self.tables["path_change"].append([event.run, event.v, self._path(path), *_columns(entry)])

    def _path(self, path: bytes) -> int:
        return self.paths.setdefault(path, len(self.paths))

    def document(self, table: Table) -> str:
        """Return a table's rows as the JSON that `Table.columns` describes."""
        names = list(table.columns)
        rows = [dict(zip(names, row, strict=True)) for row in self.tables[table.name]]
        return msgspec.json.encode(rows).decode("utf-8")

    def path_document(self) -> str:
        """Return the paths as JSON: index, text for people, bytes in hexadecimal."""
        rows = [
            {"local": index, "path": show_path(path), "raw": path.hex()} for path, index in self.paths.items()
        ]
        return msgspec.json.encode(rows).decode("utf-8")


def rows_of(frames: Iterable[Frame]) -> Rows:
    """Return the rows of consecutive frames."""
    rows = Rows()
    for frame in frames:
        rows.add_frame(frame)
    return rows


def _event_row(frame: Frame, event: AnyEvent) -> Row:
    kind, _, version = event.kind.rpartition("/")
    fields = msgspec.json.decode(frame.e)
    data = {name: value for name, value in fields.items() if name not in _COMMON}
    actor = event.actor
    row: Row = [frame.s, event.run, event.v, event.id, kind, int(version), event.at_ns]
    return [*row, actor.kind, actor.name, actor.session, frame.h, data]


def _columns(entry: Entry | None) -> Row:
    return [None, None] if entry is None else [entry.mode, entry.oid.hex()]
