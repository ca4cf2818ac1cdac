"""Loading: rows of the log into tables, of frames one by one or in bulk, and what their bodies hold.

Path ids and base listings go on from what other parts have: each part is a schema or an attached database.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from ledger.errors import DroppedBody
from ledger.measurements import Report
from ledger.query.bulk import Source, load_segments
from ledger.query.rows import Rows
from ledger.query.tables import PATH_COLUMNS, TABLES, Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def row_order(table: str) -> str:
    """Return how the rows of a table lie, as SQL: a reader of one run or tree skips the rest."""
    return {"path": "order by all", "base_file": "order by tree, path_id"}.get(table, "order by run, v")


def load(
    connection: DuckDBPyConnection, target: str, rows: Rows, parts: Sequence[str], *, create: bool = True
) -> None:
    """Fill the tables in ``target``, which are made here or there already; path ids go on from ``parts``."""
    known = " union all ".join(f"select path_id, raw from {part}.path" for part in parts)
    known = known or "select 0::integer as path_id, null::blob as raw where false"
    shape = '[{"local":"INTEGER","path":"VARCHAR","raw":"VARCHAR"}]'
    connection.execute(
        f"""
        create or replace temp table local_path as
        with mine as (
            select r.local, r.path, unhex(r.raw) as raw
            from (select unnest(from_json(?::json, '{shape}')) as r)
        ), known as ({known})
        select mine.*, known.path_id is null as fresh, coalesce(
            known.path_id,
            (select coalesce(max(path_id), 0) from known)
                + row_number() over (partition by known.path_id is null order by mine.local)
        )::integer as path_id
        from mine left join known using (raw)
        """,
        [rows.path_document()],
    )
    head = "create table {} as" if create else "insert into {}"
    connection.execute(
        f"{head.format(target + '.path')} select path_id, path, raw from local_path where fresh order by 1"
    )
    for table in TABLES:
        if create or rows.tables[table.name]:
            _load_table(connection, head.format(f"{target}.{table.name}"), table, rows)
    connection.execute("drop table local_path")


def _load_table(connection: DuckDBPyConnection, head: str, table: Table, rows: Rows) -> None:
    shape = ",".join(f'"{name}":"{kind}"' for name, (kind, _) in table.columns.items())
    values: list[str] = []
    joins = ""
    for name, (_, expression) in table.columns.items():
        if name in PATH_COLUMNS:
            joins += f" left join local_path as {name}_of on {name}_of.local = r.{name}"
            values.append(f"{name}_of.path_id as {name}")
        else:
            values.append(f"{expression.replace(name, f'r.{name}')} as {name}")
    order = row_order(table.name)
    connection.execute(
        f"{head} select {', '.join(values)} "
        f"from (select unnest(from_json(?::json, '[{{{shape}}}]')) as r){joins} {order}",
        [rows.document(table)],
    )


def load_many(
    connection: DuckDBPyConnection,
    target: str,
    source: Source,
    read_body: Callable[[str], bytes],
    parts: Sequence[str],
    without: Container[str] = (),
) -> int | None:
    """Fill the tables in ``target``, which are made here, with frames in bulk and what their bodies hold.

    Args:
        connection: Where ``target`` is a database or a schema without tables.
        target: Its name.
        source: The frames.
        read_body: Gives listings and reports; raises `DroppedBody` for one that was dropped.
        parts: What path ids and base listings go on from.
        without: Tables that are left empty.

    Returns:
        The number of rows; None where the frames are not understood, and ``target`` is not whole.
    """
    loaded = load_segments(connection, target, source, parts, without)
    if loaded is None:
        return None
    rows = Rows()
    rows.base_trees, rows.reports = loaded.listings, loaded.reports
    for policy in loaded.policies:
        rows.add_policy(policy)
    add_bodies(connection, rows, read_body, parts)
    load(connection, target, rows, [*parts, target], create=False)
    return loaded.rows + len(rows)


def add_bodies(
    connection: DuckDBPyConnection, rows: Rows, read_body: Callable[[str], bytes], parts: Sequence[str]
) -> None:
    """Add what the bodies hold that frames name: listings that no part has yet, and reports."""
    for tree, listing in rows.base_trees.items():
        known = any(
            connection.execute(
                f"select 1 from {part}.base_file where tree = unhex(?) limit 1", [tree]
            ).fetchone()
            for part in parts
        )
        if not known:
            rows.add_listing(tree, read_body(listing))
    for run, v, digest in rows.reports:
        # What a dropped report listed is gone with it.
        with suppress(DroppedBody):
            rows.add_report(run, v, msgspec.json.decode(read_body(digest), type=Report))
