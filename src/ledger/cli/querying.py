"""Commands that ask in SQL: `sql`, `query`, and what SQL sees: `schema`, `db`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from ledger.cli.output import count_of, format_options, write_rows
from ledger.cli.paging import paged
from ledger.cli.session import open_reader, say
from ledger.cli.sharedoptions import named_store, store_option

if TYPE_CHECKING:
    from ledger.gates.settings import SqlLimits
    from ledger.query.schema import Relation

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _measure(context: click.Context, option: click.Parameter, value: str | None) -> float | int | None:
    """Return the bytes or seconds that a text says, as the configuration takes them."""
    from ledger.gates.documents import Unfit, parse_duration, parse_size

    if value is None:
        return None
    parse = parse_duration if option.name == "timeout" else parse_size
    try:
        return parse(int(value) if value.isascii() and value.isdecimal() else value)
    except Unfit as unfit:
        raise click.BadParameter(unfit.reason, context, option) from unfit


def _limited(command: _Command) -> _Command:
    """Add ``--param``, ``--memory-limit`` and ``--timeout`` to a command that asks in SQL."""

    @click.option(
        "--param", "given", multiple=True, metavar="NAME=VALUE", help="A value for `$NAME`; else it is NULL."
    )
    @click.option(
        "--memory-limit",
        metavar="SIZE",
        callback=_measure,
        help="What DuckDB may use, such as 1GiB; by default `sql.memory-limit` of the configuration.",
    )
    @click.option(
        "--timeout",
        metavar="TIME",
        callback=_measure,
        help="What it may take, such as 30s; by default `sql.timeout`.",
    )
    @wraps(command)
    def with_limits(
        given: tuple[str, ...], memory_limit: int | None, timeout: float | None, **options: Any
    ) -> Any:
        from ledger.gates.settings import SqlLimits

        return command(parameters=_parameters(given), limits=SqlLimits(memory_limit, timeout), **options)

    return cast("_Command", with_limits)


def _parameters(given: tuple[str, ...]) -> dict[str, str]:
    """Return what ``NAME=VALUE`` says, the last where one is given twice."""
    parameters: dict[str, str] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{each!r} is not NAME=VALUE", param_hint="--param")
        parameters[name.removeprefix("$")] = value
    return parameters


def _ask(text: str, parameters: Mapping[str, str], limits: SqlLimits, style: str) -> None:
    answer = open_reader().select(text, parameters, limits)
    write_rows(answer.columns, answer.rows, style, own_names=True)


@click.command()
@click.argument("query", default="-")
@click.option("--shared", is_flag=True, help="Ask the shared ledger, its server and its archive, instead.")
@store_option
@click.option(
    "--archive",
    envvar="LEDGER_ARCHIVE",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="With --shared: the archive of it; by default LEDGER_ARCHIVE.",
)
@_limited
@format_options
@paged
def sql(
    query: str,
    shared: bool,
    store: str | None,
    archive: Path | None,
    parameters: Mapping[str, str],
    limits: SqlLimits,
    style: str,
) -> None:
    """Ask in SQL. QUERY is the statement itself, a file, or "-" for standard input.

    `ledger schema` describes the views and macros, `ledger query` has questions ready. SQL sees the
    ledger alone: no files, no network, no settings. The memory is limited, to 4 GiB by default; the
    time is not, unless you say so.

    \b
    ledger sql "select path, count(*) from patch_files group by all"
    ledger sql 'from patches where run = $run' --param run=fix-2kf9 --format csv
    ledger sql --shared "select repository, count(*) from runs group by all"
    """  # noqa: D301 - click reads the backspace
    if not shared:
        _ask(_query_text(query), parameters, limits, style)
        return
    from ledger.sharedarchive.asking import select_shared

    answer = select_shared(named_store(store), archive, _query_text(query), parameters, limits)
    write_rows(answer.columns, answer.rows, style, own_names=True)


def _query_text(query: str) -> str:
    if query == "-":
        return sys.stdin.read()
    if (query.endswith(".sql") and " " not in query) or _names_file(query):
        return _read(query)
    return query


def _read(name: str) -> str:
    from ingestion.io_text import read_text

    return read_text(Path(name))[0]


def _names_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        # A statement can be longer than any name, or hold a NUL.
        return False


@click.command()
@click.argument("name", default="")
@click.option("--show", is_flag=True, help="Print the question's SQL instead, to make your own of it.")
@_limited
@format_options
@paged
def query(name: str, show: bool, parameters: Mapping[str, str], limits: SqlLimits, style: str) -> None:
    """Ask a question that comes with the ledger, or list them.

    NAME is the name of one, or a file of your own, with a directory or ending in .sql. A parameter that
    is not given stands for everything.

    \b
    ledger query                                       the questions, with their parameters
    ledger query churn --param run=fix-2kf9
    ledger query churn --show > mine.sql
    ledger query ./mine.sql --param run=fix-2kf9
    """  # noqa: D301 - click reads the backspace
    from ledger.query.questions import find_questions, read_question

    if not name:
        rows = [(each.name, each.title, " ".join(each.parameters)) for each in find_questions()]
        write_rows(("name", "question", "params"), rows, style)
        return
    own = name.endswith(".sql") or "/" in name
    text = _read(name) if own else read_question(name).text
    if show:
        click.echo(text, nl=False)
    else:
        _ask(text, parameters, limits, style)


@click.command()
@click.argument("name", default="")
@format_options
@paged
def schema(name: str, style: str) -> None:
    """Describe what SQL sees: every view and macro, or the columns of NAME with types and units.

    \b
    ledger schema
    ledger schema patch_files
    """  # noqa: D301 - click reads the backspace
    from ledger.query.schema import find_relation, read_schema

    relations = read_schema()
    if name:
        _describe(find_relation(relations, name), style)
        return
    rows = [(each.kind, each.usage, len(each.columns), each.meaning) for each in relations]
    write_rows(("kind", "name", "columns", "meaning"), rows, style)


def _describe(relation: Relation, style: str) -> None:
    if style == "table":
        say(f"{relation.kind} {relation.usage}: {relation.meaning}")
    parts = (("parameter", relation.parameters), ("column", relation.columns))
    rows = [(part, each.name, each.type, each.unit, each.meaning) for part, group in parts for each in group]
    write_rows(("part", "name", "type", "unit", "meaning"), rows, style)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE where it is a DuckDB file.")
def db(file: Path, force: bool) -> None:
    """Write all tables, views and macros as one DuckDB file, for any DuckDB client.

    It is a copy as of now: it needs nothing of ledger, and nothing that is done to it reaches the
    ledger. What is no DuckDB file is never replaced.

    \b
    ledger db history.duckdb
    duckdb history.duckdb "from runs"
    """  # noqa: D301 - click reads the backspace
    open_reader().write_database(file, force=force)
    say(f"wrote {count_of(file.stat().st_size, 'byte')}")
    click.echo(file)
