"""The archive: closed segments become Parquet files with a seal, and retention takes frames out of those.

Each step leaves a log that can be read: a file that no seal names is nobody's; the seal makes it count; the
JSONL goes last, after the copy was read back from the disk. Who archives next finishes.

See: ``docs/format.md``, "Sealed segments" and "Retention".
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Mapping
from hashlib import file_digest, sha256
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from ledger.errors import DamagedLedger
from ledger.events import RetiredRun
from ledger.frames import Cursor
from ledger.store.columns import check_columns, create_rows, retire_rows
from ledger.store.disk import forget_pages, publish_durably, sync_directory, write_durably
from ledger.store.sealed import BATCH_ROWS, Seal, Sealed, encode_seal
from ledger.store.segments import Break, Place, Segments

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_OURS = re.compile(r"\.?\d{20}(?:-\d+)?\.(?:parquet|seal)(?:\..*)?")


class Archive:
    """The sealed segments of one ledger, for writing. The caller holds the archive's lock."""

    def __init__(self, segments: Segments) -> None:
        self._segments = segments
        self._sealed = segments.sealed
        self._root = segments.sealed.root

    def seal_closed(self) -> Iterator[Seal]:
        """Seal every closed segment that still has its JSONL, in order, and remove that.

        Raises:
            DamagedLedger: A segment, or the copy that was made of it, is not what was written. Its JSONL
                stays.
            OSError: The disk is full or failing. The log is as it was.
        """
        self._root.mkdir(exist_ok=True)
        sync_directory(self._root.parent)
        self.sweep()
        cursor = Cursor()
        for first, following in pairwise(self._segments.firsts()):
            path = self._segments.path(first)
            if not path.exists():
                seal = self._sealed.seal(first)
            elif self._sealed.seal_path(first).exists():
                # A crash came between the seal and the end of the JSONL.
                seal = self._sealed.seal(first)
                self._reread(seal)
            else:
                seal = self._seal(first, following, cursor)
            if path.exists():
                path.unlink()
                sync_directory(self._segments.root)
                yield seal
            cursor = Cursor(seal.last, seal.hash)

    def _seal(self, first: int, following: int, before: Cursor) -> Seal:
        """Copy a closed segment, and seal the copy."""
        lines: list[bytes] = []
        start = place = Place(first, 0, before)
        try:
            for group, behind in self._segments.groups_of(start, following):
                place = behind
                lines += [located.line for located in group]
        except Break as broken:
            raise DamagedLedger(f"log/{first:020d}.jsonl", broken.reason) from broken
        if place.cursor.position + 1 != following:
            reason = f"it ends at position {place.cursor.position}, the next one begins at {following}"
            raise DamagedLedger(f"log/{first:020d}.jsonl", reason)
        data = b"\n".join([*lines, b""])
        seal = Seal(
            first=first,
            last=place.cursor.position,
            follows=before.hash,
            hash=place.cursor.hash,
            log_sha256=sha256(data).hexdigest(),
            log_size_bytes=len(data),
        )
        with _connection() as duckdb:
            create_rows(duckdb, data)
            del lines, data
            seal = self._publish(duckdb, seal, f"{first:020d}.parquet")
        write_durably(self._sealed.seal_path(first), encode_seal(seal))
        return seal

    def retire(self, first: int, runs: Mapping[str, RetiredRun], retention: int) -> Seal | None:
        """Take the frames of some runs out of a sealed segment; None where it has none of them.

        The new file has a name of its own, and counts once the new seal names it: who has the old one
        open reads on.

        Args:
            first: The segment's first position.
            runs: The runs by name.
            retention: Position of the event that says so.

        Raises:
            DamagedLedger: The segment is damaged, or a run is not as the event says. Nothing was changed.
            OSError: The disk is full or failing. The old file and its seal stay.
        """
        old = self._sealed.seal(first)
        source = str(self._sealed.check(old))
        with _connection() as duckdb:
            sql = "select count(*) from read_parquet(?) where digest is null and run in (select unnest(?))"
            if duckdb.execute(sql, [source, list(runs)]).fetchall() == [(0,)]:
                return None
            duckdb.execute("create temp table rows as from read_parquet(?)", [source])
            retire_rows(duckdb, list(runs))
            _check_last(duckdb, runs)
            seal = msgspec.structs.replace(old, retention=retention)
            seal = self._publish(duckdb, seal, f"{first:020d}-{retention}.parquet")
        write_durably(self._sealed.seal_path(first), encode_seal(seal))
        # A crash here leaves the old file, which no seal names any more; `sweep` takes it.
        (self._root / old.parquet).unlink(missing_ok=True)
        sync_directory(self._root)
        return seal

    def _publish(self, duckdb: DuckDBPyConnection, seal: Seal, name: str) -> Seal:
        """Write the table ``rows`` durably, read it back, and return its seal, which is not written yet."""
        from duckdb import IOException

        path = self._root / name
        temporary = self._root / f".{name}.{os.getpid()}"
        quoted = str(temporary).replace("'", "''")
        try:
            duckdb.execute(
                f"copy (from rows order by position) to '{quoted}' "
                f"(format parquet, compression zstd, row_group_size {BATCH_ROWS})"
            )
        except IOException as error:
            temporary.unlink(missing_ok=True)
            raise OSError(errno.EIO, str(error), str(path)) from error
        with temporary.open("rb") as file:
            digest = file_digest(file, sha256).hexdigest()
        publish_durably(temporary, path)
        min_id, max_id, min_at_ns, max_at_ns, retired = duckdb.execute(
            "select min(id)::varchar, max(id)::varchar, min(at_ns), max(at_ns), "
            "count(*) filter (frame is null) from rows"
        ).fetchall()[0]
        seal = msgspec.structs.replace(
            seal,
            parquet=name,
            parquet_sha256=digest,
            parquet_size_bytes=path.stat().st_size,
            min_id=min_id or "",
            max_id=max_id or "",
            min_at_ns=min_at_ns or 0,
            max_at_ns=max_at_ns or 0,
            retired=retired,
        )
        self._reread(seal)
        return seal

    def _reread(self, seal: Seal) -> None:
        """Read a copy back from the disk: only then may go what it is a copy of."""
        forget_pages(self._root / seal.parquet)
        sealed = Sealed(self._root)
        sealed.prove(seal)
        check_columns(sealed, seal)

    def sweep(self) -> None:
        """Remove what a crash has left: our files that are neither seals nor named by one."""
        seals = [self._sealed.seal(first) for first in self._sealed.firsts()]
        named = {name for seal in seals for name in (seal.parquet, self._sealed.seal_path(seal.first).name)}
        for name in os.listdir(self._root) if self._root.exists() else ():
            if _OURS.fullmatch(name) and name not in named:
                (self._root / name).unlink()


def _check_last(duckdb: DuckDBPyConnection, runs: Mapping[str, RetiredRun]) -> None:
    """Check that the last event of each run that is retired is the one that the retention event names."""
    found = duckdb.execute(
        "select run, max(v), arg_max(digest, v) from rows where run in (select unnest(?)) "
        "and frame is null group by run",
        [list(runs)],
    ).fetchall()
    for run, v, digest in found:
        wanted = runs[run]
        if v > wanted.last_v or (v == wanted.last_v and digest != wanted.digest):
            raise DamagedLedger(f"{run}:{v}", "it is not the last event that retention has named")


def _connection() -> DuckDBPyConnection:
    import duckdb

    return duckdb.connect(":memory:")
