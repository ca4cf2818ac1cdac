"""Answers: statements of the user's, run one after the other, and the rows of the last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ledger.errors import QueryForbidden, QueryRefused
from ledger.query.limits import limited
from ledger.query_errors import UnknownParameter

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class Answer(NamedTuple):
    """The rows of a statement, and the names of their columns."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def execute(connection: DuckDBPyConnection, text: str, parameters: Mapping[str, object]) -> None:
    """Run the statements of a text in order; the connection then has the result of the last.

    Args:
        connection: A SQL session.
        text: Statements, with named parameters (``$run``).
        parameters: Values by name; what is not given is NULL.

    Raises:
        QueryRefused: There is no statement.
        UnknownParameter: No statement has a parameter of a name. Nothing was run.
        duckdb.Error: DuckDB's own error.
    """
    statements = connection.extract_statements(text)
    if not statements:
        raise QueryRefused("there is no statement in the query")
    known = set[str]().union(*(statement.named_parameters for statement in statements))
    for name in parameters:
        if name not in known:
            raise UnknownParameter(name, sorted(known))
    for statement in statements:
        names = statement.named_parameters
        connection.execute(statement, {name: parameters.get(name) for name in names} if names else None)


def read_answer(
    connection: DuckDBPyConnection,
    text: str,
    parameters: Mapping[str, object],
    timeout_s: float | None = None,
    max_rows: int | None = None,
) -> Answer:
    """Run the statements of a text, and return the rows of the last one.

    Args:
        connection: A SQL session.
        text: As `execute` takes it.
        parameters: As `execute` takes them.
        timeout_s: How long all of it may take; None for as long as it takes.
        max_rows: How many rows are returned at most, the first ones; None for all.

    Raises:
        QueryForbidden: It asks for a file, an extension or a setting.
        QueryRefused: DuckDB says that it is wrong, or there is no statement.
        UnknownParameter: It has no parameter of a name.
        QueryTooLong, QueryTooLarge: It was stopped at a limit.
    """
    import duckdb

    try:
        with limited(connection, timeout_s):
            execute(connection, text, parameters)
            columns = tuple(str(column[0]) for column in connection.description or ())
            if not columns:
                return Answer(columns, [])
            return Answer(
                columns, connection.fetchall() if max_rows is None else connection.fetchmany(max_rows)
            )
    except duckdb.PermissionException as error:
        raise QueryForbidden(str(error)) from error
    except duckdb.Error as error:
        raise QueryRefused(str(error)) from error
