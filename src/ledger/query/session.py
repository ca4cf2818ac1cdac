"""A SQL session: the log's rows attached, the documented views over them, and nothing else in reach.

Once it is open, SQL cannot read or write files, load extensions or change settings. The
connection is the caller's own: what it creates is in memory and ends with it.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from ledger.query.cache import Cache
from ledger.query.tables import TABLES
from ledger.store.local import LocalStore

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

VIEWS = (
    *("events", "states", "accepted", "runs", "patches", "patch_files", "policies", "gates", "course"),
    "questions",
)


def open_session(store: LocalStore) -> DuckDBPyConnection:
    """Return a DuckDB connection that sees every confirmed event.

    Raises:
        DamagedLedger: The log or a base listing is damaged.
    """
    import duckdb

    connection = duckdb.connect(":memory:")
    connection.execute("set TimeZone = 'UTC'")
    parts = Cache(store).attach(connection)
    connection.execute("create schema columns")
    for name in (*(table.name for table in TABLES), "path"):
        union = " union all ".join(f"select * from {part}.{name}" for part in parts)
        connection.execute(f"create view columns.{name} as {union}")
    views = files("ledger") / "views"
    for name in VIEWS:
        connection.execute((views / f"{name}.sql").read_text("utf-8"))
    connection.execute("set autoinstall_known_extensions = false")
    connection.execute("set autoload_known_extensions = false")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
    return connection
