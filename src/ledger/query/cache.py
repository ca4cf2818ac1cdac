"""The columnar cache: immutable DuckDB files in ``cache/columns``, and the log's tail in memory.

A file holds the rows of one range of positions, sorted by (run, v), with integer path ids and
binary object ids. It is published by rename and never written again, so a reader that holds it
open is in nobody's way. The frames past the newest file are loaded into memory; when they have
become many, they become a file, and files of like size become one.

Path ids go on from file to file. Which id a path has depends on how the log was cut into files, so
each file's name says of which *lineage* of ids it is and which one it goes on from: several files
of one range do no harm, and files of two lineages never meet.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ledger.events import BodyDropped, RetentionApplied
from ledger.frames import Cursor, Frame
from ledger.query.bulk import Source
from ledger.query.loading import add_bodies, load, load_many, row_order
from ledger.query.rows import Rows, rows_of
from ledger.query.tables import TABLES
from ledger.store.local import LocalStore
from ledger.store.segments import Place

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LAYOUT = 4
"""Part of every file's name: another layout never meets these files."""

TAIL_ROWS = 20_000
"""A tail with more rows than this becomes a file."""

BULK_FRAMES = 3_000
"""More frames than this that no file has are loaded in bulk."""

MERGE_RATIO = 4
"""A file is merged with the one before when that has less than this many times its rows."""

FIRST_LINEAGE = "0" * 16

_NAME = re.compile(
    rf"v{LAYOUT}-(\d+)-(\d+)-(\d+)-(\d+)-(\d+)-([0-9a-f]{{64}})-([0-9a-f]{{16}})-([0-9a-f]{{16}})\.duckdb"
)


class Shard(NamedTuple):
    """One cache file: the positions it covers, its number of rows, and the place in the log behind it.

    ``follows`` is the lineage of path ids that it goes on from, ``lineage`` the one behind it.
    """

    path: Path
    first: int
    last: int
    rows: int
    place: Place
    follows: str
    lineage: str

    @classmethod
    def parse(cls, path: Path) -> Shard | None:
        """Return what a file's name says, None where it is not a cache file's."""
        match = _NAME.fullmatch(path.name)
        if match is None:
            return None
        first, last, rows, segment, offset = (int(match[i]) for i in range(1, 6))
        place = Place(segment, offset, Cursor(last, match[6]))
        return cls(path, first, last, rows, place, match[7], match[8])

    @classmethod
    def named(cls, root: Path, first: int, rows: int, place: Place, follows: str, lineage: str) -> Shard:
        """Return the file that covers ``first`` to ``place``, which may not exist yet."""
        cursor = place.cursor
        numbers = f"{first}-{cursor.position}-{rows}-{place.segment}-{place.offset}"
        name = f"v{LAYOUT}-{numbers}-{cursor.hash}-{follows}-{lineage}.duckdb"
        return cls(root / name, first, cursor.position, rows, place, follows, lineage)


class Cache:
    """The cache files of one local store, and the tail of the log in the memory of one connection."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store
        self._root = store.root / "cache" / "columns"
        self._parts: list[str] = []
        self._end: Place | None = None
        self._tail_rows = 0

    @property
    def until(self) -> int | None:
        """The last position that the store shows; a part may have rows of later ones."""
        return self._store.until

    def attach(self, connection: DuckDBPyConnection) -> list[str]:
        """Attach all rows of the log to a connection and return the names of the parts.

        Each part is an attached database or the schema ``tail`` of the memory, which is the last; together
        they hold every confirmed frame once.
        """
        self._parts = self._attach(connection)
        if "tail" not in self._parts:
            connection.execute("create schema tail")
            load(connection, "tail", Rows(), self._parts)
            self._parts.append("tail")
        return self._parts

    def catch_up(self, connection: DuckDBPyConnection) -> bool:
        """Add what was confirmed since `attach` to the connection's tail; return False if it is too much.

        Then, or where the connection does not take it, the whole is to be attached anew, to another one.
        """
        from duckdb import Error

        few = self._few(self._end)
        if few is None:
            return False
        frames, end = few
        if any(isinstance(frame.event, BodyDropped | RetentionApplied) for frame in frames):
            return False  # What they took away is not to be answered from what was loaded before.
        rows = rows_of(frames)
        add_bodies(connection, rows, self._store.read_body, self._parts)
        if self._tail_rows + len(rows) > TAIL_ROWS:
            return False
        try:
            load(connection, "tail", rows, self._parts, create=False)
        except Error:
            # The connection is whose who asks: a transaction of theirs may have failed, or a table be gone.
            return False
        self._end, self._tail_rows = end, self._tail_rows + len(rows)
        return True

    def _attach(self, connection: DuckDBPyConnection) -> list[str]:
        shards = self._attached(connection, self._shards())
        start = shards[-1].place if shards else None
        few = self._few(start)
        if few is None:
            parts = self._attach_many(connection, shards, start)
            if parts is not None:
                return parts
        frames, end = few or self._all(start)
        rows = rows_of(frames)
        add_bodies(connection, rows, self._store.read_body, _parts(len(shards)))
        self._end = end
        if len(rows) > TAIL_ROWS and end is not None:
            shard = self._publish(connection, rows, shards, end)
            if shard is not None:
                return self._reattach(connection, [*shards, shard])
        connection.execute("create schema tail")
        load(connection, "tail", rows, _parts(len(shards)))
        self._tail_rows = len(rows)
        return [*_parts(len(shards)), "tail"]

    def _few(self, start: Place | None) -> tuple[list[Frame], Place | None] | None:
        """Return the frames past a place and the place behind them; None where they are many."""
        frames: list[Frame] = []
        end = start
        for group, place in self._store.groups(start):
            frames += group
            end = place
            if len(frames) > BULK_FRAMES:
                return None
        return frames, end

    def _all(self, start: Place | None) -> tuple[list[Frame], Place | None]:
        """Return the frames past a place, however many, and the place behind them."""
        frames: list[Frame] = []
        end = start
        for group, place in self._store.groups(start):
            frames += group
            end = place
        return frames, end

    def _attach_many(
        self, connection: DuckDBPyConnection, shards: list[Shard], start: Place | None
    ) -> list[str] | None:
        """Attach the frames past a place in bulk, as a file if one can be written; None where that fails."""
        end, count = self._store.check_from(start)
        begin = self._store.beginning() if start is None else start
        source = Source(*self._store.files(begin, end), begin.cursor.position, end.cursor.position, count)
        self._end = end
        shard = self._publish_many(connection, source, shards, end)
        if shard is not None:
            return self._reattach(connection, [*shards, shard])
        connection.execute("create schema tail")
        number = load_many(connection, "tail", source, self._store.read_body, _parts(len(shards)))
        if number is None:
            connection.execute("drop schema tail cascade")
            return None
        self._tail_rows = number
        return [*_parts(len(shards)), "tail"]

    def _shards(self) -> list[Shard]:
        """Return files that follow one another from position 1, the widest at each step."""
        try:
            names = os.listdir(self._root)
        except (FileNotFoundError, NotADirectoryError):
            return []
        found = [shard for name in names if (shard := Shard.parse(self._root / name))]
        chain: list[Shard] = []
        following, lineage = 1, FIRST_LINEAGE
        while True:
            fitting = [
                shard
                for shard in found
                if (shard.first, shard.follows) == (following, lineage) and self._store.holds(shard.place)
            ]
            if not fitting:
                return chain
            chain.append(max(fitting, key=lambda shard: shard.last))
            following, lineage = chain[-1].last + 1, chain[-1].lineage

    def _attached(self, connection: DuckDBPyConnection, shards: Sequence[Shard]) -> list[Shard]:
        """Attach files in order, as many as can be opened; the rest is read from the log again."""
        from duckdb import Error

        attached: list[Shard] = []
        for index, shard in enumerate(shards):
            try:
                connection.execute(f"attach {quoted(shard.path)} as s{index} (read_only)")
            except Error:
                # Somebody opened it for writing, or it was merged away: the log has its rows.
                break
            attached.append(shard)
        return attached

    def _publish(
        self, connection: DuckDBPyConnection, rows: Rows, shards: Sequence[Shard], place: Place
    ) -> Shard | None:
        """Write the tail as a file; None where the directory cannot be written, which is no fault."""

        def fill(parts: Sequence[str]) -> int:
            load(connection, "fresh", rows, parts)
            return len(rows)

        return self._publish_filled(connection, fill, shards, place)

    def _publish_many(
        self, connection: DuckDBPyConnection, source: Source, shards: Sequence[Shard], place: Place
    ) -> Shard | None:
        """Write frames as a file in bulk; None where they are not understood, or as `_publish`."""

        def fill(parts: Sequence[str]) -> int | None:
            return load_many(connection, "fresh", source, self._store.read_body, parts)

        return self._publish_filled(connection, fill, shards, place)

    def _publish_filled(
        self,
        connection: DuckDBPyConnection,
        fill: Callable[[Sequence[str]], int | None],
        shards: Sequence[Shard],
        place: Place,
    ) -> Shard | None:
        from duckdb import IOException

        temporary = self._temporary()
        first, follows = (shards[-1].last + 1, shards[-1].lineage) if shards else (1, FIRST_LINEAGE)
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            connection.execute(f"attach {quoted(temporary)} as fresh")
            count = fill(_parts(len(shards)))
            lineage = "" if count is None else _lineage(connection, follows)
            connection.execute("detach fresh")
            if count is None:
                temporary.unlink()
                return None
            shard = Shard.named(self._root, first, count, place, follows, lineage)
            temporary.rename(shard.path)
        except (OSError, IOException):
            return None
        return shard

    def _temporary(self) -> Path:
        """Return a name that no other process or thread writes to; a crash leaves the file, unread."""
        return self._root / f".{os.getpid()}-{os.urandom(4).hex()}.duckdb"

    def _reattach(self, connection: DuckDBPyConnection, shards: list[Shard]) -> list[str]:
        """Merge files of like size, then attach what there is now, the tail being empty."""
        for index in range(len(shards) - 1):
            connection.execute(f"detach s{index}")
        while len(shards) > 1 and shards[-2].rows < MERGE_RATIO * shards[-1].rows:
            shards[-2:] = [self._merge(connection, shards[-2], shards[-1])]
        self._attached(connection, shards)
        return _parts(len(shards))

    def _merge(self, connection: DuckDBPyConnection, older: Shard, newer: Shard) -> Shard:
        rows = older.rows + newer.rows
        merged = Shard.named(self._root, older.first, rows, newer.place, older.follows, newer.lineage)
        temporary = self._temporary()
        connection.execute(f"attach {quoted(older.path)} as older (read_only)")
        connection.execute(f"attach {quoted(newer.path)} as newer (read_only)")
        connection.execute(f"attach {quoted(temporary)} as merged")
        for table in [*(table.name for table in TABLES), "path"]:
            order = row_order(table)
            both = f"select * from older.{table} union all select * from newer.{table}"
            connection.execute(f"create table merged.{table} as from ({both}) {order}")
        for name in ("older", "newer", "merged"):
            connection.execute(f"detach {name}")
        temporary.rename(merged.path)
        for shard in (older, newer):
            # A reader that has it open keeps reading it.
            shard.path.unlink(missing_ok=True)
        return merged


def forget_columns(store: LocalStore) -> None:
    """Remove every cache file, of older layouts and unfinished ones too: they may hold what is no more.

    The next query makes them anew from the log. Who has one open keeps it.
    """
    root = store.root / "cache" / "columns"
    for path in (*root.glob("*.duckdb*"), *root.glob(".*.duckdb*")):
        path.unlink(missing_ok=True)


def _lineage(connection: DuckDBPyConnection, follows: str) -> str:
    """Return the name of the path ids that ``fresh`` adds to those of ``follows``."""
    digest = sha256(follows.encode())
    for (raw,) in connection.execute("select raw from fresh.path order by path_id").fetchall():
        digest.update(b"%d:%b" % (len(raw), raw))
    return digest.hexdigest()[:16]


def _parts(count: int) -> list[str]:
    return [f"s{index}" for index in range(count)]


def quoted(path: Path) -> str:
    """Return a path as a string of SQL."""
    return "'" + str(path).replace("'", "''") + "'"
