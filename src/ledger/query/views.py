"""The documented views and macros over the typed columns, and what they say of themselves.

Each file of ``ledger/views`` defines some and describes them: ``comment on`` statements are the one
source of `ledger schema`, of ``docs/schema.md`` and of what any DuckDB client shows. A session does
without them: they would double what opening it takes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

from ledger.query.tables import TABLES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

VIEWS = (
    *("events", "states", "accepted", "runs", "patches", "patch_files", "policies", "gates", "course"),
    *("questions", "file_history"),
)
TABLE_NAMES = (*(table.name for table in TABLES), "path")
"""Every table below the views."""

_TIMELESS = ("path", "base_file")
"""Tables whose rows are of no event; what they hold shows only where rows of events lead to it."""

_DESCRIPTION = re.compile(r"^comment on .*?;\n", re.MULTILINE | re.DOTALL)


def attach_columns(connection: DuckDBPyConnection, parts: Sequence[str], until: int | None = None) -> None:
    """Give the schema ``columns`` the rows of all parts, each an attached database or a schema.

    Args:
        connection: Where the parts are.
        parts: Their names.
        until: The last position whose rows are seen; None for all.
    """
    connection.execute("create schema columns")
    unions = {
        name: " union all ".join(f"select * from {part}.{name}" for part in parts) for name in TABLE_NAMES
    }
    if until is not None:
        connection.execute(
            f"create table columns.reached as select run, max(v) as until_v from ({unions['event']}) "
            f"where position <= {until} group by run"
        )
    for name, union in unions.items():
        seen = union
        if until is not None and name not in _TIMELESS:
            reached = "columns.reached as r on r.run = t.run and t.v <= r.until_v"
            seen = f"select t.* from ({union}) as t join {reached}"
        connection.execute(f"create view columns.{name} as {seen}")


def create_views(connection: DuckDBPyConnection, *, described: bool = False) -> None:
    """Create every view and macro over the schema ``columns``.

    Args:
        connection: Where.
        described: Whether to say what each of them and each of their columns means.
    """
    views = files("ledger") / "views"
    for name in VIEWS:
        text = (views / f"{name}.sql").read_text("utf-8")
        connection.execute(text if described else _DESCRIPTION.sub("", text))
