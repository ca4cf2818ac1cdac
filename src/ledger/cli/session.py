"""What every command needs: the ledger it works in, and words to people on standard error."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import click

from ledger.cli.output import count_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.api import Ledger
    from ledger.cli.app import Session
    from ledger.events import AnyEvent
    from ledger.operations.outcome import Applied
    from ledger.reading import LedgerReader
    from patches.model import FileChange

_SHOWN_FILES = 10
_Command = TypeVar("_Command", bound=Callable[..., Any])


def open_ledger() -> Ledger:
    """Return the ledger of the running command, to be written to.

    Raises:
        click.UsageError: The past was asked for, which nothing can be added to.
    """
    session = cast("Session", click.get_current_context().obj)
    if session.at:
        raise click.UsageError("--at reads the past: it does not go with this command")
    return session.ledger


def open_reader() -> LedgerReader:
    """Return the ledger of the running command, to be read: now, or as it was at the event of ``--at``."""
    return cast("Session", click.get_current_context().obj).reader


def id_option(command: _Command) -> _Command:
    """Give a writing command ``--id``: what was done before under the id is said, and not done again."""

    @click.option("--id", "id_", default="", metavar="UUID", help="The event's id: asking twice is once.")
    @wraps(command)
    def with_id(*arguments: Any, id_: str, **options: Any) -> Any:
        if not id_:
            return command(*arguments, **options)
        from ledger.requests import AlreadyDone

        with open_ledger().once(id_):
            try:
                return command(*arguments, **options)
            except AlreadyDone as done:
                report_done(done.event)

    return cast("_Command", with_id)


def report_done(event: AnyEvent) -> None:
    """Print the event that a request made when it was made first."""
    say(f"done before: {event.kind.partition('/')[0]}")
    click.echo(event.reference)


def say(message: str) -> None:
    """Tell a person something on stderr, where it is in no program's way."""
    click.echo(message, err=True)


def warn_of_network(kind: str) -> None:
    """Tell a person that the ledger lies where its promises hang on another machine."""
    say(f"warning: the ledger lies on a network file system ({kind}): locks may not hold between machines")


def repository_path(ledger: LedgerReader, argument: str) -> bytes:
    """Return a path given in the current directory as one from the repository's top; a last slash stays."""
    from ledger.errors import NoWorkTree

    if ledger.repository.work_dir is None:
        raise NoWorkTree(ledger.repository.git_dir)
    top = os.path.realpath(ledger.repository.work_dir)
    here = os.path.join(os.path.realpath(ledger.directory), argument)  # noqa: PTH118 - bytes and last slashes
    relative = os.path.relpath(os.path.normpath(here), top)
    slash = "/" if argument.endswith("/") else ""
    return os.fsencode(relative + slash)


def readable(argument: str) -> str:
    """Return an argument as text: bytes that are not UTF-8 are escaped, since an event holds text alone."""
    return os.fsencode(argument).decode("utf-8", "backslashreplace")


def allow_secrets_option(command: _Command) -> _Command:
    """Add ``--allow-secrets`` to a command that records patches."""
    return click.option(
        "--allow-secrets",
        is_flag=True,
        help="Record it although it adds what looks like secrets; the event says which and where.",
    )(command)


class Voice(NamedTuple):
    """How much a command says: every file, or only what a person has to know."""

    verbose: bool = False
    quiet: bool = False


def report_applied(applied: Applied, source: str, voice: Voice = Voice()) -> None:  # noqa: B008 - a constant
    """Print the event on stdout, and on stderr what it did."""
    if not voice.quiet:
        _report_change(applied, source, verbose=voice.verbose)
    if applied.normalised:
        say(f"normalised: {', '.join(applied.normalised)}")
    for conflict in applied.conflicts:
        say(f"warning: in conflict, with markers: {conflict}")
    if applied.conflicts:
        say("warning: no gate measures this candidate until they are resolved")
    if applied.configures:
        say(f"note: touches the gates' own configuration: {', '.join(applied.configures)}")
    if applied.secrets:
        say(f"note: recorded with secrets, as allowed: {', '.join(applied.secrets)}")
    for warning in (*applied.left_alone, *applied.warnings):
        say(f"warning: {warning}")
    if applied.event:
        click.echo(applied.event)


def _report_change(applied: Applied, source: str, *, verbose: bool) -> None:
    if applied.started:
        say(f"started run {applied.started}")
    if applied.already:
        say(f"{source}: nothing to do, tree {applied.tree[:12]} has it already")
        return
    added = sum(file.added for file in applied.files)
    removed = sum(file.removed for file in applied.files)
    shown = len(applied.files) if verbose else _SHOWN_FILES
    for line in _file_lines(applied.files[:shown]):
        say(line)
    if len(applied.files) > shown:
        say(f"  … and {len(applied.files) - shown} more: `ledger show {applied.event}`")
    say(f"{count_of(len(applied.files), 'file')} changed, +{added} -{removed}, tree {applied.tree[:12]}")


def report_planned(changes: Sequence[FileChange]) -> None:
    """Print on stdout what would be done, all of it: this is what was asked for."""
    for line in _file_lines(changes):
        click.echo(line)


def _file_lines(changes: Sequence[FileChange]) -> list[str]:
    from patches.errors import show_path

    lines: list[str] = []
    for file in changes:
        old = "" if file.old_path is None else f"{show_path(file.old_path)} → "
        counts = f"  +{file.added} -{file.removed}" if file.added or file.removed else ""
        lines.append(f"  {file.operation:<6} {old}{show_path(file.path)}{counts}")
    return lines
