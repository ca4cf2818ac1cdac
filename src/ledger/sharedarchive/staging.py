"""Staging: stored events of runs become the tables that a session's views read, in a DuckDB database.

The events themselves go to ``raw``, byte for byte; the typed rows to a schema of their own, made by the same
code as those of a local ledger. There a run has the name that it has among those of every home.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec
from msgspec import Raw

from ledger.events import NO_DIGEST, event_digest
from ledger.frames import Frame
from ledger.query.bulk import Source
from ledger.query.loading import add_bodies, load, load_many
from ledger.query.rows import rows_of
from ledger.query.tables import TABLES
from ledger.sharedarchive.layout import RunPart, StoredEvent

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_CHUNK_SIZE_BYTES = 16 << 20
"""How much is handed to DuckDB at a time."""

_FILE_SIZE_BYTES = 64 << 20
"""How long a file of lines grows: bulk loading takes some at a time into memory."""

_TOGETHER = 1_000
"""How many events of a run are taken in at a time."""

_BULK_EVENTS = 3_000
"""More events than this are loaded in bulk."""

_UNTIL = (1 << 62) - 1
_RUN = re.compile(rb'(\{"kind":"[^"\\]*","id":"[^"\\]*","run":")[^"\\]*"')
"""How our events begin, up to the name of the run."""


class Staged:
    """Events of runs, in the order in which they come."""

    def __init__(self, connection: DuckDBPyConnection, scratch: Path, *, raw: bool) -> None:
        """Begin with none.

        Args:
            connection: Where ``raw`` and ``fresh`` are made.
            scratch: A directory that exists, for files of lines; who made it removes it.
            raw: Whether the events themselves are wanted too.
        """
        self._connection, self._scratch, self._raw = connection, scratch, raw
        self._files: list[Path] = []
        self._few: list[Frame] = []
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._lines: IO[bytes] | None = None
        self.events = 0
        self.parts: list[tuple[str, str, str, str, int, str, int]] = []
        """Of each part: key, home, repository, run, the version and the digest before it, and its length."""
        connection.execute("create table raw (part integer, seq bigint, digest varchar, event varchar)")

    def add(self, parts: Iterable[RunPart]) -> None:
        """Take parts in, each with all of its events."""
        for part in parts:
            length = len(part.events)
            self.parts.append(
                (part.key, part.home, part.repository, part.run, part.after_v, part.after, length)
            )
            for at in range(0, length, _TOGETHER):
                self._add(part.key, part.events[at : at + _TOGETHER])
        self._flush()
        if self._lines is not None:
            self._lines.close()

    def _add(self, key: str, events: Sequence[StoredEvent]) -> None:
        self.events += len(events)
        digests = [event_digest(event.stored).encode() for event in events]
        renamed = [rename_run(event.stored, key) for event in events]
        if self._raw:
            lines = [
                b"%d\1%d\1%b\1%b\n" % (len(self.parts), event.seq, digest, event.stored)
                for event, digest in zip(events, digests, strict=True)
            ]
            self._pending += lines
            self._pending_bytes += sum(map(len, lines))
            if self._pending_bytes > _CHUNK_SIZE_BYTES:
                self._flush()
        if len(self._few) <= _BULK_EVENTS:
            self._few += [
                Frame(digest.decode(), NO_DIGEST, event.seq, 0, 0, Raw(e))
                for event, digest, e in zip(events, digests, renamed, strict=True)
            ]
        self._write_lines(
            [
                b'{"h":"%b","s":%d,"e":%b}\n' % (digest, event.seq, e)
                for event, digest, e in zip(events, digests, renamed, strict=True)
            ]
        )

    def _write_lines(self, lines: Sequence[bytes]) -> None:
        if self._lines is None or self._lines.tell() > _FILE_SIZE_BYTES:
            if self._lines is not None:
                self._lines.close()
            self._files.append(self._scratch / f"{len(self._files):06d}.jsonl")
            self._lines = self._files[-1].open("wb")
        self._lines.writelines(lines)

    def _flush(self) -> None:
        """Hand what is pending to DuckDB, which takes the lines apart itself."""
        if self._pending:
            self._connection.execute(
                """
                insert into raw
                select parts[1]::integer, parts[2]::bigint, parts[3], parts[4]
                from (
                    select string_split(line, chr(1)) as parts
                    from (select unnest(string_split(decode(?::blob), chr(10))) as line)
                    where line <> ''
                )
                """,
                [b"".join(self._pending)],
            )
        self._pending, self._pending_bytes = [], 0

    def load(self, target: str, read_body: Callable[[str], bytes], parts: Iterable[str]) -> bool:
        """Fill the schema ``target``, which has no tables, with the typed rows of all events.

        Args:
            target: Its name.
            read_body: Gives listings and reports; raises `DroppedBody` for one that was dropped.
            parts: Schemas whose path ids and base listings are gone on from.

        Returns:
            Whether the fields of every event are those that are stored: none was of an older kind.
        """
        known = list(parts)
        if self.events > _BULK_EVENTS:
            source = Source(self._files, (), -1, _UNTIL, self.events)
            without = ("event",) if self._raw else ()  # `raw` says what that table would
            if load_many(self._connection, target, source, read_body, known, without) is not None:
                return True
            self._connection.execute(f"drop schema {target} cascade; create schema {target}")
        rows = rows_of(self._frames())
        add_bodies(self._connection, rows, read_body, known)
        load(self._connection, target, rows, known)
        return False

    def _frames(self) -> Iterable[Frame]:
        if self.events <= _BULK_EVENTS:
            yield from self._few
            return
        for path in self._files:
            with path.open("rb") as lines:
                for line in lines:
                    named = _line.decode(line)
                    yield Frame(named.h, NO_DIGEST, named.s, 0, 0, named.e)


class _Line(msgspec.Struct):
    h: str
    s: int
    e: Raw


_line = msgspec.json.Decoder(_Line)


def rename_run(stored: bytes, key: str) -> bytes:
    """Return the JSON of an event whose run has another name; its digest is of the stored bytes."""
    match = _RUN.match(stored)
    if match:
        return b'%b%b"%b' % (match[1], key.encode(), stored[match.end() :])
    return msgspec.json.encode({**msgspec.json.decode(stored), "run": key})


def create_table(connection: DuckDBPyConnection, schema: str, name: str) -> None:
    """Make one of the tables that SQL sees, without a row."""
    columns = ", ".join(f"{column} {kind}" for column, kind in stored_columns(name).items())
    connection.execute(f"create table {schema}.{name} ({columns})")


def stored_columns(name: str) -> Mapping[str, str]:
    """Return a table's columns with their types as they are stored."""
    if name == "path":
        return {"path_id": "INTEGER", "path": "VARCHAR", "raw": "BLOB"}
    (columns,) = (table.columns for table in TABLES if table.name == name)
    return {column: "BLOB" if sql.startswith("unhex") else kind for column, (kind, sql) in columns.items()}


def encode_json(value: object) -> str:
    """Return a value as a parameter for ``from_json``: lists as parameters make DuckDB import pandas."""
    return msgspec.json.encode(value).decode()
