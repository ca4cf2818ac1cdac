"""The view Ask: SQL over the views, questions that are ready, and the answer as table, chart and command.

A statement runs in a session of its own, which sees the ledger alone; its memory, time and rows are limited.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs

from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.routing import Route

from ledger.errors import LedgerError
from ledger.gates.settings import SqlLimits
from ledger.query.questions import Question, find_questions
from ledger.query.schema import Relation, read_schema
from ledger.reports.charts import draw_bars
from ledger.web.pages import page
from ledger.web.readers import Readers
from ledger.web.values import Table, table_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from ledger.query.answers import Answer

ROWS = 500
TIMEOUT_S = 20.0
MEMORY_BYTES = 1 << 30
"""What one statement may take where the configuration does not say less."""

BODY_BYTES = 1 << 20
_EXAMPLE = "select run, phase, events, patches, started_at from runs order by started_at desc"
_PREFIX = "param."


class Asked(NamedTuple):
    """What is asked: SQL, values by name, and the question that it was taken from, "" for one's own."""

    sql: str
    parameters: Mapping[str, str]
    question: str


class Shown(NamedTuple):
    """An answer: its table, whether that is all of it, and a chart where there is one to draw."""

    table: Table
    whole: bool
    chart: Markup | None


def routes(readers: Readers) -> list[Route]:
    """Return the addresses of the view."""

    async def ask(request: Request) -> Response:
        if request.method != "POST":
            return _form(_opened(request.query_params))
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_BYTES:
                return page("missing", 413, what="a question of more than a mebibyte")
        asked = _posted(body)
        return await run_in_threadpool(_answer, readers, asked)

    return [Route("/ask", ask, methods=["GET", "POST"])]


def _opened(query: Mapping[str, str]) -> Asked:
    """Return what the form begins with: the question, the SQL and the values that the address names."""
    given = {name.removeprefix(_PREFIX): value for name, value in query.items() if name.startswith(_PREFIX)}
    question = _find(query.get("query", ""))
    if question is not None:
        return Asked(question.text, given, question.name)
    return Asked(query.get("sql", _EXAMPLE), given, "")


def _posted(body: bytes) -> Asked:
    fields = {
        name: values[-1].replace("\r\n", "\n")
        for name, values in parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True).items()
    }
    sql = fields.get("sql", "")
    question = _find(fields.get("query", ""))
    given = {
        name.removeprefix(_PREFIX): value
        for name, value in fields.items()
        if name.startswith(_PREFIX) and value
    }
    same = question is not None and question.text.strip() == sql.strip()
    return Asked(sql, given, question.name if same and question is not None else "")


@cache
def _questions() -> list[Question]:
    return find_questions()


@cache
def _relations() -> tuple[Relation, ...]:
    return read_schema()


def _find(name: str) -> Question | None:
    return next((each for each in _questions() if each.name == name), None)


def _answer(readers: Readers, asked: Asked) -> Response:
    try:
        with readers.own() as ledger:
            limits = ledger.sql_limits()
            limits = SqlLimits(
                min(limits.memory_bytes or MEMORY_BYTES, MEMORY_BYTES),
                min(limits.timeout_s or TIMEOUT_S, TIMEOUT_S),
            )
            answer = ledger.select(asked.sql, asked.parameters, limits, max_rows=ROWS + 1)
    except LedgerError as error:
        return _form(asked, error=str(error), hint=getattr(error, "hint", ""))
    except KeyboardInterrupt:
        # DuckDB's word for a query that was interrupted; the server's own Ctrl-C comes as a signal.
        return _form(asked, error="the query was interrupted", hint="")
    return _form(asked, shown=_show(answer))


def _show(answer: Answer) -> Shown:
    table = table_of(answer.columns, answer.rows[:ROWS])
    bars = table.bars()
    # The drawing escapes what it says: see `charts`.
    chart = None if bars is None else Markup(draw_bars(*bars))  # noqa: S704
    return Shown(table, len(answer.rows) <= ROWS, chart)


def _form(asked: Asked, **more: object) -> Response:
    questions = _questions()
    chosen = next((each for each in questions if each.name == asked.question), None)
    values: dict[str, object] = {"shown": None, "error": "", "hint": "", **more}
    return page(
        "ask",
        200,
        asked=asked,
        questions=questions,
        chosen=chosen,
        names=_parameters(asked, chosen),
        command=command_of(asked),
        relations=_relations(),
        rows=ROWS,
        **values,
    )


def _parameters(asked: Asked, chosen: Question | None) -> dict[str, tuple[str, str]]:
    """Return the parameters to fill in: their values, and what they mean."""
    meanings = {} if chosen is None else dict(chosen.parameters)
    names = dict.fromkeys([*meanings, *asked.parameters])
    return {name: (asked.parameters.get(name, ""), meanings.get(name, "")) for name in names}


def command_of(asked: Asked) -> str:
    """Return the command that asks the same, for a POSIX shell."""
    words = ["ledger", "query", asked.question] if asked.question else ["ledger", "sql", asked.sql.strip()]
    for name, value in asked.parameters.items():
        if value:
            words += ["--param", f"{name}={value}"]
    return shlex.join(words)
