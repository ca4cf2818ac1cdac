"""Sealed segments: ``sealed/<first>.parquet``, the frames of a closed segment, and its ``.seal``.

A row is a frame: the line as it was written, and columns for SQL beside it. The line of a frame that
retention took is NULL; its hash stays, so the chain stays whole. Reading imports DuckDB, and nothing
that appends reads.

See: ``docs/format.md``, "Sealed segments".
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cached_property
from hashlib import file_digest, sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from ledger.errors import DamagedLedger
from ledger.frames import BadFrame, Cursor, Frame, parse_frame

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_DOMAIN = b"ledger-seal/1\n"
_HEAD = b'{"h":"'
_BODY_AT = len(_HEAD) + 64 + 2
BATCH_ROWS = 16_384
"""Also the size of a row group, so that a batch reads no row group twice."""

_NAME = re.compile(r"\d{20}\.seal")
_Hashed = TypeVar("_Hashed", bound=Struct)


class Seal(Struct, frozen=True, kw_only=True):
    """What a sealed segment holds, and the digests by which both of its copies can be told.

    ``follows`` is the hash before ``first``, ``hash`` that of ``last``. ``log_sha256`` and ``log_size_bytes``
    are those of the JSONL. ``retired`` counts the rows whose frames retention took, ``retention`` is the
    position of the last event that took some (0: none). Minima and maxima are those of the frames there are.
    """

    first: int
    last: int
    follows: str
    hash: str
    log_sha256: str
    log_size_bytes: int
    parquet: str = ""
    parquet_sha256: str = ""
    parquet_size_bytes: int = 0
    min_id: str = ""
    max_id: str = ""
    min_at_ns: int = 0
    max_at_ns: int = 0
    retired: int = 0
    retention: int = 0


class SealedRow(NamedTuple):
    """One frame of a sealed segment; ``line`` is None where it was retired."""

    position: int
    hash: str
    n: int
    ends_at: int
    line: bytes | None


_seal = msgspec.json.Decoder(Seal, strict=True)


def encode_seal(seal: Seal) -> bytes:
    """Return the bytes of a seal: as a frame, it begins with the hash of the rest."""
    return encode_hashed(_DOMAIN, seal)


def parse_seal(data: bytes) -> Seal:
    """Return a seal.

    Raises:
        ValueError: The bytes are not those that were written.
    """
    return parse_hashed(_DOMAIN, data, _seal)


def encode_hashed(domain: bytes, value: Struct) -> bytes:
    """Return a line of JSON that begins with the hash of the rest, which covers ``domain`` too."""
    body = msgspec.json.encode(value)[1:]
    return b'%b%b",%b\n' % (_HEAD, sha256(domain + body).hexdigest().encode(), body)


def parse_hashed(domain: bytes, data: bytes, decoder: msgspec.json.Decoder[_Hashed]) -> _Hashed:
    """Return what `encode_hashed` has encoded.

    Raises:
        ValueError: The bytes are not those that were written.
    """
    value = decoder.decode(b"{" + data[_BODY_AT:].removesuffix(b"\n"))
    if encode_hashed(domain, value) != data:
        raise ValueError("its hash does not match its bytes")
    return value


class Sealed:
    """The sealed segments of one ledger, for reading. One instance serves one thread."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._believed: set[str] = set()

    def firsts(self) -> list[int]:
        """Return the first position of every sealed segment, in order."""
        try:
            names = os.listdir(self.root)
        except FileNotFoundError:
            return []
        return sorted(int(name[:20]) for name in names if _NAME.fullmatch(name))

    def seal_path(self, first: int) -> Path:
        """Return the file of a seal."""
        return self.root / f"{first:020d}.seal"

    def seal(self, first: int) -> Seal:
        """Return a segment's seal.

        Raises:
            DamagedLedger: It is missing or damaged.
        """
        path = self.seal_path(first)
        try:
            seal = parse_seal(path.read_bytes())
        except FileNotFoundError:
            raise DamagedLedger(f"sealed/{path.name}", "the seal is missing") from None
        except ValueError as error:
            raise DamagedLedger(f"sealed/{path.name}", f"not the seal that was written: {error}") from error
        if seal.first != first:
            raise DamagedLedger(f"sealed/{path.name}", f"it seals the segment of position {seal.first}")
        return seal

    def check(self, seal: Seal) -> Path:
        """Return the Parquet file of a seal, once its bytes are known to be those that were sealed.

        Damaged Parquet is never handed to its reader, which might crash on it.

        Raises:
            DamagedLedger: It is missing, or its bytes are others.
        """
        path = self.root / seal.parquet
        if seal.parquet_sha256 not in self._believed:
            try:
                with path.open("rb") as file:
                    digest = file_digest(file, sha256).hexdigest()
            except FileNotFoundError:
                raise DamagedLedger(f"sealed/{path.name}", "the file is missing") from None
            if digest != seal.parquet_sha256:
                raise DamagedLedger(f"sealed/{path.name}", "its bytes are not what was sealed")
            self._believed.add(digest)
        return path

    def prove(self, seal: Seal) -> None:
        """Check every frame of a sealed segment: its hash, its place in the chain, and that none is missing.

        Raises:
            DamagedLedger: Something is not what was written.
        """
        cursor, log, retired, ends_at = Cursor(seal.first - 1, seal.follows), sha256(), 0, 0
        for rows in self.batches(seal, seal.first - 1, seal.last):
            for row in rows:
                cursor = self.follow(seal, cursor, row)[0]
                ends_at = row.ends_at if row.line is None else ends_at + len(row.line) + 1
                if ends_at != row.ends_at:
                    raise DamagedLedger(
                        f"sealed/{seal.parquet}, position {row.position}", "it ends elsewhere"
                    )
                if row.line is None:
                    retired += 1
                else:
                    log.update(row.line + b"\n")
        if (cursor, retired, ends_at) != (Cursor(seal.last, seal.hash), seal.retired, seal.log_size_bytes):
            raise DamagedLedger(f"sealed/{seal.parquet}", "it does not hold what its seal says")
        if not retired and log.hexdigest() != seal.log_sha256:
            raise DamagedLedger(f"sealed/{seal.parquet}", "its frames are not the bytes that were sealed")

    def follow(self, seal: Seal, cursor: Cursor, row: SealedRow) -> tuple[Cursor, Frame | None]:
        """Return the cursor past a row and its frame, None where that was retired.

        Raises:
            DamagedLedger: The row does not follow.
        """
        try:
            if row.line is None:
                if row.position != cursor.position + 1:
                    raise BadFrame(f"position {row.position} follows {cursor.position}")
                return Cursor(row.position, row.hash), None
            frame = parse_frame(row.line)
            return cursor.after(frame), frame
        except BadFrame as error:
            raise DamagedLedger(
                f"sealed/{seal.parquet}, position {cursor.position + 1}", str(error)
            ) from error

    def holds(self, first: int, ends_at: int, cursor: Cursor) -> bool:
        """Return whether a sealed segment has the frame of ``cursor``, and its line ended at that byte."""
        if not self.seal_path(first).exists():
            return False
        seal = self.seal(first)
        if cursor.position == seal.last:
            return (cursor.hash, ends_at) == (seal.hash, seal.log_size_bytes)
        rows = self._select(seal, cursor.position - 1, cursor.position, None) or []
        return [(row.hash, row.ends_at) for row in rows] == [(cursor.hash, ends_at)]

    def rows(self, first: int, after: int) -> Iterator[SealedRow]:
        """Yield the rows of a sealed segment past a position, in order.

        Retention may replace the file meanwhile; the rest is then read from the new one.

        Raises:
            DamagedLedger: Seal or file are not what was written.
        """
        seal = self.seal(first)
        while after < seal.last:
            for rows in self.batches(seal, after, seal.last):
                yield from rows
                after = rows[-1].position
            if after < seal.last:
                seal = self._replaced(seal, f"position {after + 1} is missing")

    def backward(self, first: int, run: str | None = None) -> Iterator[SealedRow]:
        """Yield the rows of a sealed segment, the last first; with ``run``, those of one run alone.

        Raises:
            DamagedLedger: Seal or file are not what was written.
        """
        seal = self.seal(first)
        before = seal.last
        while before >= first:
            lowest = first if run else max(first, before - BATCH_ROWS + 1)
            rows = self._select(seal, lowest - 1, before, run)
            if rows is None:
                seal = self._replaced(seal, "it cannot be read")
                continue
            yield from reversed(rows)
            before = lowest - 1

    def batches(self, seal: Seal, after: int, last: int) -> Iterator[list[SealedRow]]:
        """Yield the rows past ``after`` up to ``last`` in batches that are not empty.

        They end early where the file is gone; see `rows`.
        """
        while after < last:
            rows = self._select(seal, after, min(last, after + BATCH_ROWS), None)
            if not rows:
                return
            yield rows
            after = rows[-1].position

    def _select(self, seal: Seal, after: int, last: int, run: str | None) -> list[SealedRow] | None:
        """Return rows in order; None where the file is gone."""
        sql = (
            "select position, hash, n, ends_at, frame from read_parquet($file) "
            "where position > $after and position <= $last and ($run is null or run = $run) order by position"
        )
        try:
            found = self.query(seal, sql, after=after, last=last, run=run)
        except DamagedLedger:
            if (self.root / seal.parquet).exists():
                raise
            return None
        return [SealedRow(*row) for row in found]

    def query(self, seal: Seal, sql: str, **parameters: object) -> list[tuple[Any, ...]]:
        """Return the rows that SQL makes of a sealed file, which it calls ``$file``.

        Raises:
            DamagedLedger: The file is missing, not what was sealed, or cannot be read.
        """
        from duckdb import Error

        path = self.check(seal)
        try:
            return self.connection.execute(sql, {"file": str(path), **parameters}).fetchall()
        except Error as error:
            raise DamagedLedger(f"sealed/{seal.parquet}", f"it cannot be read: {error}") from error

    def _replaced(self, seal: Seal, reason: str) -> Seal:
        """Return the seal that has taken another's place.

        Raises:
            DamagedLedger: None has.
        """
        now = self.seal(seal.first)
        if now == seal:
            raise DamagedLedger(f"sealed/{seal.parquet}", reason)
        return now

    @cached_property
    def connection(self) -> DuckDBPyConnection:
        """A connection of its own, in memory."""
        import duckdb

        return duckdb.connect(":memory:")
