"""A SQL session: the log's rows attached, the documented views over them, and nothing else in reach.

Once it is open, SQL cannot read or write files, load extensions or change settings, the limit on its
memory among them. The connection is the caller's own: what it creates is in memory and ends with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from ledger.frames import Frame
from ledger.measurements import Report
from ledger.query.cache import Cache
from ledger.query.limits import limit_memory
from ledger.query.loading import load
from ledger.query.rows import rows_of
from ledger.query.views import attach_columns, create_views
from ledger.store.local import LocalStore

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class Session:
    """A connection, and how far it has seen a store's log."""

    def __init__(self, store: LocalStore, memory_bytes: int | None = None) -> None:
        """Open it; raises as `open_session`."""
        self._store, self._memory_bytes = store, memory_bytes
        self._cache = Cache(store)
        self.connection = _connect(self._cache, self._memory_bytes)
        self._position = store.position()

    def catch_up(self) -> None:
        """Let the connection see every event that is confirmed now: the same one, unless too many came.

        Raises:
            DamagedLedger: The log or a base listing is damaged.
        """
        position = self._store.position()
        if position != self._position:
            if not self._cache.catch_up(self.connection):
                self._cache = Cache(self._store)
                self.connection = _connect(self._cache, self._memory_bytes)
            self._position = position


def open_session(store: LocalStore, memory_bytes: int | None = None) -> DuckDBPyConnection:
    """Return a DuckDB connection that sees every confirmed event.

    Args:
        store: The ledger's.
        memory_bytes: What DuckDB may use; by default `limits.DEFAULT_MEMORY_BYTES`.

    Raises:
        DamagedLedger: The log or a base listing is damaged.
        QueryTooLarge: The newest events alone, which are kept in memory, take more than that.
    """
    return _connect(Cache(store), memory_bytes)


def _connect(cache: Cache, memory_bytes: int | None) -> DuckDBPyConnection:
    import duckdb

    connection = duckdb.connect(":memory:")
    connection.execute("set TimeZone = 'UTC'")
    attach_columns(connection, cache.attach(connection), cache.until)
    create_views(connection)
    limit_memory(connection, memory_bytes)
    connection.execute("set autoinstall_known_extensions = false")
    connection.execute("set autoload_known_extensions = false")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
    return connection


def check_frames(frames: Sequence[Frame], read_body: Callable[[str], bytes | None]) -> None:
    """Check that SQL can take frames of one run in: a value that no column holds would break every query.

    Args:
        frames: The frames of all events of a run.
        read_body: Gives listings and reports, None for one that was dropped.

    Raises:
        ValueError: It cannot.
        duckdb.Error: It cannot.
    """
    import duckdb

    rows = rows_of(frames)
    for tree, listing in rows.base_trees.items():
        if (data := read_body(listing)) is not None:
            rows.add_listing(tree, data)
    for run, v, digest in rows.reports:
        if (data := read_body(digest)) is not None:
            rows.add_report(run, v, msgspec.json.decode(data, type=Report))
    with duckdb.connect(":memory:") as connection:
        connection.execute("create schema tail")
        load(connection, "tail", rows, ())
        attach_columns(connection, ["tail"])
        create_views(connection)
        made = "select view_name from duckdb_views() where not internal and schema_name = 'main'"
        for (name,) in connection.execute(made).fetchall():
            connection.execute(f"select * from {name}").fetchall()
