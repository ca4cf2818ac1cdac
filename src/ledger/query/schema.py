"""The documented schema: every view and macro with its columns, as DuckDB itself tells of them.

Names, order and types are DuckDB's own, of the views over empty tables; sentences and meanings come
from the ``comment on`` statements beside each definition. A macro's comment has a line for each
parameter and column, as DuckDB keeps no comments on those. A meaning may end in a unit in parentheses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Literal, NamedTuple

from ledger.query.loading import load
from ledger.query.rows import Rows
from ledger.query.views import attach_columns, create_views
from ledger.query_errors import NoSuchRelation

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_UNIT = re.compile(r"(.*\S) \(([^()]+)\)")


class Column(NamedTuple):
    """A column, or a parameter of a macro: its name, DuckDB's type, its unit ("" for none) and meaning."""

    name: str
    type: str
    unit: str
    meaning: str


class Relation(NamedTuple):
    """A view, or a macro that gives rows; a view has no parameters."""

    name: str
    kind: Literal["view", "macro"]
    meaning: str
    parameters: tuple[Column, ...]
    columns: tuple[Column, ...]

    @property
    def usage(self) -> str:
        """How SQL names it: ``gates``, ``state_at(run_name, version)``."""
        names = ", ".join(each.name for each in self.parameters)
        return f"{self.name}({names})" if self.kind == "macro" else self.name


def read_schema() -> tuple[Relation, ...]:
    """Return every public view, then every public macro, in the order of their definition."""
    import duckdb

    with duckdb.connect(":memory:") as connection:
        connection.execute("create schema tail")
        load(connection, "tail", Rows(), ())
        attach_columns(connection, ["tail"])
        create_views(connection, described=True)
        return (*_views(connection), *_macros(connection))


def find_relation(relations: Sequence[Relation], name: str) -> Relation:
    """Return the relation of a name.

    Raises:
        NoSuchRelation: There is none; the error names those of like names.
    """
    named = {each.name: each for each in relations}
    found = named.get(name.partition("(")[0].lower())
    if found is None:
        raise NoSuchRelation(name, get_close_matches(name, named, 3))
    return found


def _views(connection: DuckDBPyConnection) -> Iterator[Relation]:
    views = "select view_name, comment from duckdb_views() where not internal and schema_name = 'main'"
    for name, meaning in connection.execute(f"{views} order by view_oid").fetchall():
        rows = connection.execute(
            "select column_name, data_type, comment from duckdb_columns() "
            "where schema_name = 'main' and table_name = ? order by column_index",
            [name],
        ).fetchall()
        yield Relation(name, "view", meaning or "", (), tuple(_column(*row) for row in rows))


def _macros(connection: DuckDBPyConnection) -> Iterator[Relation]:
    macros = (
        "select function_name, parameters, comment from duckdb_functions() "
        "where not internal and schema_name = 'main' and function_type = 'table_macro' order by function_oid"
    )
    for name, parameters, comment in connection.execute(macros).fetchall():
        meaning, meanings = _parse_comment(comment or "")
        takes = tuple(_column(each, _parameter_type(each), meanings.get(each)) for each in parameters)
        values = ", ".join(f"null::{each.type}" for each in takes)
        described = connection.execute(f"describe from {name}({values})").fetchall()
        gives = tuple(_column(column, kind, meanings.get(column)) for column, kind, *_ in described)
        yield Relation(name, "macro", meaning, takes, gives)


def _parse_comment(comment: str) -> tuple[str, dict[str, str]]:
    """Return the sentence of a macro's comment, and the meanings by parameter and column."""
    meaning, *lines = comment.split("\n")
    parts = (line.partition(": ") for line in lines)
    return meaning, {name: said for name, _, said in parts}


def _parameter_type(name: str) -> str:
    """Return what a macro's parameter is given as: the names tell, DuckDB's macros have no types."""
    return "INTEGER" if name.endswith("version") else "VARCHAR"


def _column(name: str, kind: str, comment: str | None) -> Column:
    said = comment or ""
    match = _UNIT.fullmatch(said)
    return Column(name, kind, match[2], match[1]) if match else Column(name, kind, "", said)
