"""Commands that look at the files of a state: one of them, what changed between two, who wrote each line."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from ledger.cli.globaloptions import session_of
from ledger.cli.output import for_terminal, format_options, show_text, write_rows
from ledger.cli.paging import paged, pager_asked_for
from ledger.cli.session import open_reader, repository_path
from ledger.moments import show_moment

if TYPE_CHECKING:
    from ledger.events import TreeEvent
    from ledger.reading import LedgerReader

at_option = click.option(
    "--at", "event", default="@", help="The event; by default the latest.", show_default=True
)


@click.command()
@click.argument("path")
@at_option
@paged
def cat(path: str, event: str) -> None:
    """Print a file as the candidate at an event has it, byte for byte as Git stores it.

    \b
    ledger cat src/app.py --at @-3
    ledger cat src/app.py --at green      as the accepted state has it
    """  # noqa: D301 - click reads the backspace
    ledger = open_reader()
    sys.stdout.buffer.write(ledger.cat(path_in(ledger, path), event))


@click.command()
@click.argument("old", default="green")
@click.argument("new", default="@")
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.option("--stat", "option", flag_value="--stat", help="The files, and how many lines changed.")
@click.option(
    "--name-status", "option", flag_value="--name-status", help="The files, and what became of them."
)
def diff(old: str, new: str, paths: tuple[str, ...], option: str | None) -> None:
    """Show what changed between the candidates of two events, of any runs.

    By default from the accepted state to the latest candidate: what is not accepted yet. A terminal sees
    it as `git diff` shows it; anything else gets a patch that does not depend on the configuration.

    \b
    ledger diff
    ledger diff @-3 @ src --stat
    """  # noqa: D301 - click reads the backspace
    from patches.diff import show_difference

    ledger = open_reader()
    chosen = [path_in(ledger, path) for path in paths]
    if option is None and not sys.stdout.isatty():
        sys.stdout.buffer.write(ledger.diff(old, new, chosen))
        return
    pager = pager_asked_for(session_of(click.get_current_context()))
    first, second = (bytes.fromhex(ledger.tree(reference)) for reference in (old, new))
    show_difference(
        ledger.repository.git.path, first, second, chosen, *([option] if option else []), pager=pager
    )


@click.command()
@click.argument("path")
@at_option
@format_options
@paged
def blame(path: str, event: str, style: str) -> None:
    """Show for each line of a file the event that it comes from.

    A line of the base is of the event that began the run. What was taken back counts for nothing.

    \b
    ledger blame src/app.py
    ledger blame src/app.py --at green
    """  # noqa: D301 - click reads the backspace
    ledger = open_reader()
    lines = ledger.blame(path_in(ledger, path), event)
    if style == "table":
        _echo_blame([(*_origin(line.event, line.phase), line.number, line.text) for line in lines])
        return
    columns = ("event", "source", "phase", "actor", "at", "run", "patch", "line", "text")
    rows = [
        (
            *_origin(line.event, line.phase),
            line.event.run,
            getattr(line.event, "patch", None),
            line.number,
            line.text.decode("utf-8", "backslashreplace"),
        )
        for line in lines
    ]
    write_rows(columns, rows, style)


def _origin(event: TreeEvent, phase: str) -> tuple[str, str, str, str, str]:
    """Return what is said of where a line is from."""
    from ledger.events import PatchApplied

    source = event.source or event.cause if isinstance(event, PatchApplied) else "base"
    actor = event.actor.name or event.actor.kind
    return event.reference, source, phase, actor, show_moment(event.at_ns)


def _echo_blame(rows: list[tuple[str, str, str, str, str, int, bytes]]) -> None:
    """Print each line behind where it is from, in columns as `git blame` does."""
    shown = [
        ([show_text(cell) for cell in origin], str(number), for_terminal(text))
        for *origin, number, text in rows
    ]
    widths = [max(map(len, column)) for column in zip(*(origin for origin, _, _ in shown), strict=True)]
    digits = max((len(number) for _, number, _ in shown), default=0)
    for origin, number, text in shown:
        said = "  ".join(cell.ljust(width) for cell, width in zip(origin, widths, strict=True))
        click.echo(f"{said}  {number.rjust(digits)}) {text}")


def path_in(ledger: LedgerReader, argument: str) -> bytes:
    """Return a path given on the command line from the repository's top; in a bare one it is given so."""
    if ledger.repository.work_dir is None:
        return os.fsencode(os.path.normpath(argument))
    return repository_path(ledger, argument).rstrip(b"/")
