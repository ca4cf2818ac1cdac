"""What a patch would change, as ``git apply`` shows it: ``--stat``, ``--numstat``, ``--summary``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from ledger.cli.output import count_of
from ledger.cli.session import say

if TYPE_CHECKING:
    from ledger.operations.planning import Planned
    from patches.model import FileChange

_Command = TypeVar("_Command", bound=Callable[..., Any])
_REPORTS = {
    "check": "Only say whether it applies.",
    "stat": "Only show a diffstat.",
    "numstat": "Only show the numbers of lines, for programs.",
    "summary": "Only show new, deleted and renamed files.",
}
_GRAPH_WIDTH = 40
_EMPTY_BLOB = bytes.fromhex("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")


def report_options(command: _Command) -> _Command:
    """Give a command the options that only look, as its argument ``reports``."""

    @wraps(command)
    def with_reports(*arguments: Any, **options: Any) -> Any:
        asked = tuple(name for name in _REPORTS if options.pop(name))
        return command(*arguments, reports=asked, **options)

    decorated: Any = with_reports
    for name, said in reversed(_REPORTS.items()):
        decorated = click.option(f"--{name}", is_flag=True, help=said)(decorated)
    return cast("_Command", decorated)


def show_changes(planned: Planned, reports: Sequence[str]) -> None:
    """Print what a patch would change, in the forms that are asked for."""
    if planned.provenance.normalised:
        say(f"normalised: {', '.join(planned.provenance.normalised)}")
    for conflict in planned.conflicts:
        say(f"warning: would be in conflict, with markers: {conflict}")
    for form in (stat, numstat, summary):
        if form.__name__ in reports:
            for line in form(planned.changes):
                click.echo(line)
    if "check" in reports:
        would = "would give tree" if planned.changes else "nothing to do,"
        has = "" if planned.changes else " has it already"
        say(f"{planned.provenance.source}: {would} {planned.result[:12]}{has}")


def numstat(changes: Sequence[FileChange]) -> Iterator[str]:
    """Yield added and removed lines and the path of each file; dashes where the content is binary."""
    for change in changes:
        added, removed = ("-", "-") if is_binary(change) else (str(change.added), str(change.removed))
        yield f"{added}\t{removed}\t{_shown(change)}"


def stat(changes: Sequence[FileChange]) -> Iterator[str]:
    """Yield a line for each file with a bar of its lines, and the sum."""
    names = [_shown(change) for change in changes]
    width = max(map(len, names), default=0)
    largest = max((change.added + change.removed for change in changes), default=0)
    for change, name in zip(changes, names, strict=True):
        if is_binary(change):
            yield f" {name.ljust(width)} | Bin"
            continue
        total = change.added + change.removed
        plus, minus = (_scaled(count, largest) for count in (change.added, change.removed))
        yield f" {name.ljust(width)} | {total:>{len(str(largest))}} {'+' * plus}{'-' * minus}".rstrip()
    added, removed = sum(change.added for change in changes), sum(change.removed for change in changes)
    yield f" {count_of(len(changes), 'file')} changed, +{added} -{removed}"


def summary(changes: Sequence[FileChange]) -> Iterator[str]:
    """Yield what becomes of files besides their content: made, deleted, renamed, copied, another mode."""
    from patches.errors import show_path

    for change in changes:
        old, new = change.old, change.new
        if change.operation == "add" and new is not None:
            yield f" create mode {new.mode:06o} {show_path(change.path)}"
        elif change.operation == "delete" and old is not None:
            yield f" delete mode {old.mode:06o} {show_path(change.path)}"
        elif old is not None and new is not None:
            if change.old_path is not None:
                yield f" {change.operation} {_shown(change)}"
            if old.mode != new.mode:
                yield f" mode change {old.mode:06o} => {new.mode:06o} {show_path(change.path)}"


def is_binary(change: FileChange) -> bool:
    """Tell whether content changed of which no lines were counted."""
    old, new = (None if entry is None else entry.oid for entry in (change.old, change.new))
    other = old != new and {old, new} != {None, _EMPTY_BLOB}
    return other and not change.added and not change.removed


def _scaled(count: int, largest: int) -> int:
    return count if largest <= _GRAPH_WIDTH else -(-count * _GRAPH_WIDTH // largest)


def _shown(change: FileChange) -> str:
    from patches.errors import show_path

    old = "" if change.old_path is None else f"{show_path(change.old_path)} => "
    return f"{old}{show_path(change.path)}"
