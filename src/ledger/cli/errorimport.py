"""The command `import errors`: old error files, and what of them was taken, line by line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ledger.cli.output import count_of, format_options, write_rows
from ledger.cli.session import open_ledger, preview_option, say

if TYPE_CHECKING:
    from ledger.operations.errorimport import Imported, ReadFile, Row

_SHOWN_SIZE = 60
_SHOWN_REST = 20
_IN_TABLE = ("event", "fate", "origin", "state", "step", "message")
_COLUMNS = (
    *("event", "question", "fate", "file", "lines", "state", "step", "message", "context"),
    *("asked_at", "answer", "marks", "why"),
)
_NOT_NAMED = ("utf-8", "utf-8-sig", "ascii")


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be taken.")
@click.option("--strict", is_flag=True, help="Take nothing where anything is left over.")
@format_options
@preview_option
def errors(files: Sequence[Path], dry_run: bool, strict: bool, style: str) -> None:
    """Take the errors of old files into the ledger, each a question or joined to one.

    FILE holds rows of JSON, questions in Markdown, or tables kept by hand; each form in many variants, also
    mixed. An answer in the file answers its question. The errors go into the open run, or a new one, all or
    none; what is here from an import before is not taken again. All that is not an error is listed with its
    lines and the reason.

    \b
    ledger import errors --dry-run .codex/errors.ndjson
    ledger import errors docs/questions.md .codex/errors.ndjson
    """  # noqa: D301 - click reads the backspace
    ledger = open_ledger()
    take = ledger.plan_errors if dry_run else ledger.import_errors
    imported = take(files, strict=strict)
    _write(imported, style)
    if imported.started:
        say(f"started run {imported.started}")
    for file in imported.files:
        _tell(file, [row for row in imported.rows if row.origin == file.origin], dry_run=dry_run)


def _write(imported: Imported, style: str) -> None:
    """Print a row for each error, each template, and each stretch that is left over."""
    if style == "table":
        write_rows(_IN_TABLE, [_brief(row) for row in imported.rows], style)
    else:
        write_rows(_COLUMNS, [_full(row) for row in imported.rows], style)


def _brief(row: Row) -> Sequence[object]:
    error = row.error
    words = (error.message if error else row.text).split("\n")[0]
    cut = words if len(words) <= _SHOWN_SIZE else f"{words[:_SHOWN_SIZE]} …"
    place = f"{row.origin}:{row.lines}"
    return (row.event, row.fate, place, error.state if error else "", error.step if error else "", cut)


def _full(row: Row) -> Sequence[object]:
    place = (row.event or None, row.question or None, row.fate, row.origin, row.lines)
    error = row.error
    if error is None:
        return (*place, None, None, row.text, None, None, None, (), row.why)
    said = (error.state, error.step, error.message, error.context or None, error.asked_at or None)
    return (*place, *said, error.answer or None, error.marks, None)


def _tell(file: ReadFile, rows: Sequence[Row], *, dry_run: bool) -> None:
    """Say of a file how much of it was what, and list what is left over."""
    fates = Counter(row.fate for row in rows)
    found = [row.error for row in rows if row.error is not None]
    parts = [count_of(file.found.line_count, "line"), count_of(len(found), "error")]
    if fates["joined"]:
        parts.append(f"{fates['joined']} joined a question")
    if here := fates["known"] + fates["settled"]:
        parts.append(f"{here} here already")
    if fates["settled"]:
        parts.append(f"{fates['settled']} settled since")
    closed = Counter(error.state for error in found)
    parts += [f"{closed[state]} {state}" for state in ("answered", "retired") if closed[state]]
    if marked := sum(1 for error in found if error.marks):
        parts.append(f"{marked} marked")
    if fates["template"]:
        parts.append(f"{count_of(fates['template'], 'template')} never filled in")
    parts.append(f"{fates['left']} left over" if fates["left"] else "nothing left over")
    would = " (nothing was written)" if dry_run else ""
    say(f"{file.origin}: {', '.join(parts)}{would}")
    if file.encoding not in _NOT_NAMED:
        say(f"note: {file.origin} was read as {file.encoding}")
    rest = [row for row in rows if row.fate == "left"]
    for row in rest[:_SHOWN_REST]:
        say(f"  left over: {row.origin}:{row.lines}: {row.why}")
    if len(rest) > _SHOWN_REST:
        say(f"  … and {len(rest) - _SHOWN_REST} more: `ledger import errors --dry-run --json FILE` has all")
