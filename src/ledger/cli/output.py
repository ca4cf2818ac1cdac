"""Output: rows as a table for people, or as JSON, JSON lines, CSV or Markdown for programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import wraps
from typing import Any, TypeAlias, TypeVar, cast

import click

from ledger.cli.documents import schema_name
from ledger.cli.globaloptions import OWN_FORMATS, session_of

Row: TypeAlias = Sequence[object]
_Command = TypeVar("_Command", bound=Callable[..., Any])


def format_options(command: _Command) -> _Command:
    """Give a reading command what ``--format`` or ``--json`` says, as argument ``style``."""

    @wraps(command)
    def with_style(*arguments: Any, **options: Any) -> Any:
        style = session_of(click.get_current_context()).style
        return command(*arguments, style=style, **options)

    setattr(with_style, OWN_FORMATS, True)
    return cast("_Command", with_style)


def write_rows(columns: Sequence[str], rows: Iterable[Row], style: str, *, own_names: bool = False) -> None:
    """Print rows on stdout; an empty table prints its header alone. Times are UTC, as in RFC 3339.

    As JSON each names the schema that it has, but where the columns have the user's ``own_names``.
    """
    rows = [[_in_utc(value) for value in row] for row in rows]
    if style in ("json", "jsonl"):
        _write_json(columns, rows, style, {} if own_names else {"schema": schema_name()})
    elif style == "csv":
        import csv

        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([[show_text(value) for value in row] for row in rows])
    else:
        texts = [[show_text(value) for value in row] for row in rows]
        numeric = [
            all(isinstance(v, int | float) and not isinstance(v, bool) for v in column)
            for column in zip(*rows, strict=True)
        ]
        click.echo(_layout(columns, texts, numeric or [False] * len(columns), markdown=style == "markdown"))


def write_record(record: Mapping[str, object], style: str) -> None:
    """Print one thing: a line for each field as a table, else one row."""
    if style == "table":
        width = max(map(len, record))
        for name, value in record.items():
            click.echo(f"{name.ljust(width)}  {show_text(value)}")
    elif style == "json":
        click.echo(encode_json({"schema": schema_name(), **record}))
    else:
        write_rows(list(record), [list(record.values())], style)


def _write_json(columns: Sequence[str], rows: Iterable[Row], style: str, first: Mapping[str, object]) -> None:
    records = ({**first, **dict(zip(columns, row, strict=True))} for row in rows)
    if style == "jsonl":
        for record in records:
            click.echo(encode_json(record))
        return
    lines = ",\n".join(f"  {encode_json(record)}" for record in records)
    click.echo(f"[\n{lines}\n]" if lines else "[]")


def _in_utc(value: object) -> object:
    """Return a time without a zone, as DuckDB's TIMESTAMP gives it, as the UTC that it is."""
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


def encode_json(value: object) -> str:
    """Return a value as JSON on one line, its names in the order that they have."""
    import msgspec

    return msgspec.json.encode(value, enc_hook=_plain).decode("utf-8")


def _plain(value: object) -> object:
    return str(value)


def show_text(value: object) -> str:
    """Return a value for a table's cell: one line, nothing that a terminal would obey."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list, tuple)):
        return encode_json(cast("object", value))
    text = str(value)
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def for_terminal(data: bytes) -> str:
    """Return text with every control character but line feed and tab escaped."""
    text = data.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def _layout(
    columns: Sequence[str], texts: Sequence[Sequence[str]], numeric: Sequence[bool], *, markdown: bool
) -> str:
    if markdown:
        texts = [[text.replace("|", "\\|") for text in row] for row in texts]
    widths = [max([len(name), *(len(row[i]) for row in texts)]) for i, name in enumerate(columns)]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, numeric, strict=True)
        ]
        return f"| {' | '.join(padded)} |" if markdown else "  ".join(padded).rstrip()

    if markdown:
        dashes = ["-" * (w - 1) + (":" if right else "-") for w, right in zip(widths, numeric, strict=True)]
        rule = f"| {' | '.join(dashes)} |"
    else:
        rule = "  ".join("─" * width for width in widths)
    return "\n".join([line(columns), rule, *(line(row) for row in texts)])


def count_of(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 file``, ``2 files``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
