"""Commands around errors that were met: `error`, `questions`, `answer` and `retire`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ledger.cli.output import count_of, format_options, show_text, write_rows
from ledger.cli.paging import paged
from ledger.cli.session import id_option, open_ledger, open_reader, readable, say
from ledger.cli.times import show_cell

if TYPE_CHECKING:
    from ledger.reading import LedgerReader

_SHOWN_SIZE = 60


def _text(words: tuple[str, ...], what: str) -> str:
    """Return the words of a command line, or standard input where they are a dash."""
    text = readable(" ".join(words))
    if text == "-":
        text = sys.stdin.buffer.read().decode("utf-8", "backslashreplace")
    if not text.strip():
        raise click.UsageError(f"{what} is empty; `-` reads it from standard input")
    return text


@click.command()
@click.argument("message", nargs=-1)
@click.option("--step", required=True, metavar="STEP", help="Where it was met, as in 3:build.")
@click.option("--context", default="", help="What was being done, in a few words.")
@id_option
def error(message: tuple[str, ...], step: str, context: str) -> None:
    """Record an error that was met: a question, open until it is answered.

    MESSAGE is its text, or "-" for standard input. The same error of the same step again joins its question.
    A run is not finalized while one is open, unless it is waived.

    \b
    make build 2>err.txt || ledger error --step 3:build - <err.txt
    """  # noqa: D301 - click reads the backspace
    captured = open_ledger().capture_error(
        readable(step), _text(message, "MESSAGE"), context=readable(context)
    )
    if captured.same_as is not None:
        say(f"met before: it joins {captured.run}:{captured.same_as}")
    click.echo(captured.reference)


@click.command()
@click.option("--open", "open_", is_flag=True, help="Only those without an answer.")
@click.option("--run", metavar="RUN", default="", help="Those of a run; by default the current one.")
@click.option("--all", "all_", is_flag=True, help="Those of every run.")
@click.option("-v", "--verbose", is_flag=True, help="Show the whole message, below each.")
@format_options
@paged
def questions(*, open_: bool, run: str, all_: bool, verbose: bool, style: str) -> None:
    """List the errors that were met, and what became of each.

    \b
    ledger questions --open -v
    ledger questions --all --json
    """  # noqa: D301 - click reads the backspace
    if all_ and run:
        raise click.UsageError("--all and --run exclude each other")
    ledger = open_reader()
    wanted = "" if all_ else ledger.resolve(f"{run}:@" if run else "@")[0]
    result = ledger.sql(
        "select event, step, coalesce(outcome, 'open') as state, errors, asked_at, closed_at, closed_by, "
        "message from questions where (run = $run or $run = '') and (open or not $open) "
        "order by asked_at, run, v",
        {"run": wanted, "open": open_},
    )
    columns = [column[0] for column in result.description or ()]
    found = result.fetchall()
    if verbose and style == "table":
        for event, step, state, errors, *_, message in found:
            click.echo(f"{event}  [{step}]  {state}, met {count_of(errors, 'time')}")
            for line in _read(ledger, message).splitlines():
                click.echo(f"    {show_text(line)}")
    else:
        rows = [
            (*(show_cell(value, style) for value in row[:-1]), _line(_read(ledger, row[-1]), style))
            for row in found
        ]
        write_rows(columns, rows, style)
    say(f"{count_of(len(found), 'question')} in {f'run {wanted}' if wanted else 'all runs'}")


def _read(ledger: LedgerReader, digest: str) -> str:
    from ledger.errors import DroppedBody

    try:
        return ledger.body(digest).decode("utf-8", "backslashreplace")
    except DroppedBody as dropped:
        return f"[redacted: dropped by {dropped.dropped_by}]"


def _line(text: str, style: str) -> str:
    first, *rest = text.strip().splitlines() or [""]
    if style != "table" or (not rest and len(first) <= _SHOWN_SIZE):
        return text
    return f"{first[:_SHOWN_SIZE]} …"


@click.command()
@click.argument("event")
@click.argument("text", nargs=-1)
@id_option
def answer(event: str, text: tuple[str, ...]) -> None:
    """Answer an open question of the open run. TEXT is the answer, or "-" for standard input.

    \b
    ledger answer 6 "the header was renamed in 3.13"
    ledger answer fix-q4k4:6 - < answer.txt
    """  # noqa: D301 - click reads the backspace
    click.echo(open_ledger().answer(event, _text(text, "TEXT")).reference)


@click.command()
@click.argument("events", metavar="EVENT...", nargs=-1, required=True)
@click.option("-m", "--message", default="", help="Why they need none: kept with the events.")
@id_option
def retire(events: tuple[str, ...], message: str) -> None:
    """Close open questions of the open run that need no answer any more, all of them or none.

    \b
    ledger retire 6 -m "the server was down"
    """  # noqa: D301 - click reads the backspace
    for retired in open_ledger().retire(*events, reason=readable(message)):
        click.echo(retired.reference)
