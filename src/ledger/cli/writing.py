"""Commands that write: `apply`, `record` and `run`. They print the event's reference on stdout."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from ledger.cli.output import count_of, format_options, write_rows

if TYPE_CHECKING:
    from ledger.api import Ledger
    from ledger.cli.app import Session
    from ledger.workspace import Applied

_SHOWN_FILES = 10


def open_ledger() -> Ledger:
    """Return the ledger of the running command."""
    return cast("Session", click.get_current_context().obj).ledger


def say(message: str) -> None:
    """Tell a person something on stderr, where it is in no program's way."""
    click.echo(message, err=True)


@click.command()
@click.argument("patches", metavar="PATCH...", nargs=-1, required=True)
@click.option("-m", "--message", default="", help="Why: kept with the event.")
def apply(patches: tuple[str, ...], message: str) -> None:
    """Apply unified diffs, each wholly or not at all, and record them.

    PATCH is a file, or "-" for standard input. Work tree and index follow. The first patch
    starts a run where none is open. A patch that is applied already is said to be, and is no
    error. Files that have edits of your own, untracked and ignored files are never overwritten.

    \b
    ledger apply fix.diff
    git diff main topic | ledger apply -
    """  # noqa: D301 - click reads the backspace
    from patches.errors import PatchError

    ledger = open_ledger()
    for name in patches:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        try:
            applied = ledger.apply(data, source=_readable(name), note=_readable(message))
        except PatchError as error:
            error.add_note(f"the patch is {'standard input' if name == '-' else name}")
            raise
        report_applied(applied, name)


@click.command()
@click.option("-m", "--message", default="", help="Why: kept with the event.")
def record(message: str) -> None:
    """Record what was edited past the ledger as a patch event.

    Takes every difference between the run's state and the work tree: untracked files included,
    ignored files not. The work tree stays as it is; the index follows.
    """
    report_applied(open_ledger().record(note=_readable(message)), "the work tree")


def _readable(argument: str) -> str:
    """Return an argument as text: bytes that are not UTF-8 are escaped, since an event holds text alone."""
    return os.fsencode(argument).decode("utf-8", "backslashreplace")


def report_applied(applied: Applied, source: str) -> None:
    """Print the event on stdout, and on stderr what it did."""
    if applied.started:
        say(f"started run {applied.started}")
    if applied.already:
        say(f"{source}: nothing to do, tree {applied.tree[:12]} has it already")
    else:
        added = sum(file.added for file in applied.files)
        removed = sum(file.removed for file in applied.files)
        for line in _file_lines(applied):
            say(line)
        say(f"{count_of(len(applied.files), 'file')} changed, +{added} -{removed}, tree {applied.tree[:12]}")
    for left in applied.left_alone:
        say(f"warning: {left}")
    if applied.event:
        click.echo(applied.event)


def _file_lines(applied: Applied) -> list[str]:
    from patches.errors import show_path

    lines: list[str] = []
    for file in applied.files[:_SHOWN_FILES]:
        old = "" if file.old_path is None else f"{show_path(file.old_path)} → "
        counts = f"  +{file.added} -{file.removed}" if file.added or file.removed else ""
        lines.append(f"  {file.operation:<6} {old}{show_path(file.path)}{counts}")
    if len(applied.files) > _SHOWN_FILES:
        lines.append(f"  … and {len(applied.files) - _SHOWN_FILES} more: `ledger show {applied.event}`")
    return lines


@click.group()
def run() -> None:
    """Start, finish and list runs. A run belongs to one work tree."""


@run.command()
@click.argument("title")
@click.option("--name", default="", help="Its name; by default the title's words and four digits.")
def start(title: str, name: str) -> None:
    """Start a run on HEAD's tree."""
    started = open_ledger().run(_readable(title), name=name).head
    say(f"started run {started.run} on tree {started.base_tree[:12]}")
    click.echo(f"{started.run}:{started.v}")


@run.command()
def finish() -> None:
    """Finish the open run."""
    finished = open_ledger().finish()
    say(f"finished with tree {finished.tree[:12]}")
    click.echo(finished.event)


@run.command("list")
@format_options
def list_(style: str) -> None:
    """List the runs, the newest first."""
    from ledger.cli.times import show_time

    columns = ("run", "state", "events", "started_at", "tree", "title")
    rows = [
        (
            head.run,
            "open" if head.open else "finished",
            head.v,
            show_time(head.started_at_ns),
            head.tree if style != "table" else head.tree[:12],
            head.title,
        )
        for head in open_ledger().runs()
    ]
    write_rows(columns, rows, style)
