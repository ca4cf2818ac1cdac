"""What every command needs: the ledger it works in, and words to people on standard error."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from ledger.cli.globaloptions import OWN_DRY_RUN, session_of
from ledger.cli.output import count_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.api import Ledger
    from ledger.events import AnyEvent
    from ledger.operations.outcome import Applied
    from ledger.reading import LedgerReader
    from patches.model import FileChange

_SHOWN_FILES = 10
_Command = TypeVar("_Command", bound=Callable[..., Any])
_PREFIX = re.compile(r"(error|warning|hint|note)(?=: )")
_COLORS = {"error": "red", "warning": "yellow", "hint": "cyan", "note": "blue"}


class Session:
    """What the global options say; the ledger itself is opened when a command first asks for it."""

    def __init__(self) -> None:
        self.directory = Path()
        self.at = ""
        self.style = "table"
        self.color = "auto"
        self.quiet = self.verbose = self.debug = self.no_pager = False
        self.held: list[str] | None = None
        """What is said once the output is shown, where that is kept for a pager."""
        self.appended: list[AnyEvent] = []
        """The events that were appended through this ledger."""
        self._ledger: Ledger | None = None
        self._reader: LedgerReader | None = None
        self._was_there = True
        self._rehearsed = False
        self._began_s = time.monotonic()
        self.began_ns = time.time_ns()

    @property
    def writes(self) -> bool:
        """Whether the ledger was opened to be written to."""
        return self._ledger is not None

    @property
    def ledger(self) -> Ledger:
        """The ledger of the repository that the command runs in."""
        if self._ledger is None:
            from ledger.api import Ledger

            self._ledger = Ledger.open(self.directory)
            self._ledger.observer = self.appended.extend
            self._was_there = self._ledger.path.exists()
        return self._ledger

    @property
    def reader(self) -> LedgerReader:
        """The same ledger, to be read: as it was at the event that ``--at`` names, or now.

        It comes without all that writes: importing that takes longer than most questions.
        """
        if self._reader is None:
            from ledger.reading import LedgerReader

            now = LedgerReader.open(self.directory)
            self._reader = now.as_of(self.at) if self.at else now
        return self._reader

    @contextmanager
    def elsewhere(self, directory: Path) -> Generator[None]:
        """Let the ledger be that of another directory, quietly, for as long as this is entered."""
        own, was = self._ledger, (self.directory, self.quiet)
        self._ledger, self.directory, self.quiet = None, directory, True
        try:
            yield
        finally:
            if self._ledger is not None:
                self._ledger.close()
            self._ledger, (self.directory, self.quiet) = own, was
            self._rehearsed = True

    def close(self) -> None:
        """Close what was opened, and say what there is to say of the disk below it."""
        if self._ledger is not None:
            if self._ledger.captured or self._ledger.warnings:
                from ledger.cli.annotations import report_errors

                report_errors(self._ledger)
            if not self._was_there and self._ledger.path.exists():
                from ledger.store.mounts import network_filesystem

                if kind := network_filesystem(self._ledger.path):
                    warn_of_network(kind)
            if self.appended and not self._rehearsed:
                share(self._ledger)
        for opened in filter(None, (self._ledger, self._reader)):
            if self.verbose:
                say(f"ledger {opened.path}, {time.monotonic() - self._began_s:.2f} s")
            opened.close()
            if opened.sync_failed:
                left_out = "the disk does not confirm the newest events, and they are left out"
                say(f"warning: {left_out} (`ledger verify` counts them)")


def share(ledger: Ledger) -> None:
    """Send what was appended to the shared store, where one is configured; says in a line what waits."""
    from ledger.sharing import configured_url

    if configured_url(ledger.repository):
        from ledger.cli.sharing import send_after

        send_after(ledger)


def open_ledger() -> Ledger:
    """Return the ledger of the running command, to be written to.

    Raises:
        click.UsageError: The past was asked for, which nothing can be added to.
    """
    session = session_of(click.get_current_context())
    if session.at:
        raise click.UsageError("--at reads the past: it does not go with this command")
    return session.ledger


def open_reader() -> LedgerReader:
    """Return the ledger of the running command, to be read: now, or as it was at the event of ``--at``."""
    return session_of(click.get_current_context()).reader


def id_option(command: _Command) -> _Command:
    """Give a writing command ``--id`` and ``--dry-run``.

    What was done before under an id is said, and not done again. A dry run does it on a copy, and says which
    events that appends. A command with a ``dry_run`` of its own keeps it.
    """
    return cast("_Command", _with_dry_run(_with_id(command)))


def preview_option(command: _Command) -> _Command:
    """Give a writing command ``--id`` alone: its own ``--dry-run`` shows more than events."""
    given = _with_id(command)
    setattr(given, OWN_DRY_RUN, True)
    return cast("_Command", given)


def _with_dry_run(command: Callable[..., Any]) -> Callable[..., Any]:
    @click.option(
        "-n", "--dry-run", is_flag=True, help="Print the events that it would append; write nothing."
    )
    @wraps(command)
    def with_dry_run(*arguments: Any, dry_run: bool, **options: Any) -> Any:
        if not dry_run:
            return command(*arguments, **options)
        from ledger.cli.rehearsing import rehearse

        return rehearse(partial(command, *arguments, **options))

    # What it prints then is JSON where that is asked for.
    setattr(with_dry_run, OWN_DRY_RUN, True)
    return with_dry_run


def _with_id(command: Callable[..., Any]) -> Callable[..., Any]:
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

    return with_id


def report_done(event: AnyEvent) -> None:
    """Print the event that a request made when it was made first."""
    say(f"done before: {event.kind.partition('/')[0]}")
    click.echo(event.reference)


def say(message: str) -> None:
    """Tell a person something on stderr, where it is in no program's way; with ``-q`` only warnings."""
    context = click.get_current_context(silent=True)
    session = None if context is None else session_of(context)
    if session is not None and session.quiet and not message.startswith(("warning: ", "error: ")):
        return
    if session is not None and session.held is not None:
        session.held.append(colored(message))
    else:
        click.echo(colored(message), err=True)


def colored(message: str) -> str:
    """Return a message with its first word in the colour of its kind; the word says the same without."""
    return _PREFIX.sub(lambda found: click.style(found[1], fg=_COLORS[found[1]], bold=True), message, 1)


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


def limit_option(text: str) -> Callable[[_Command], _Command]:
    """Return what gives a command ``--limit``, in MiB."""
    return click.option(
        "--limit", type=click.IntRange(1), default=1024, show_default=True, metavar="MIB", help=text
    )


def allow_secrets_option(command: _Command) -> _Command:
    """Add ``--allow-secrets`` to a command that records patches."""
    return click.option(
        "--allow-secrets",
        is_flag=True,
        help="Record it although it adds what looks like secrets; the event says which and where.",
    )(command)


def report_applied(applied: Applied, source: str) -> None:
    """Print the event on stdout, and on stderr what it did."""
    _report_change(applied, source, verbose=session_of(click.get_current_context()).verbose)
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


def _file_lines(changes: Sequence[FileChange]) -> list[str]:
    from patches.errors import show_path

    lines: list[str] = []
    for file in changes:
        old = "" if file.old_path is None else f"{show_path(file.old_path)} → "
        counts = f"  +{file.added} -{file.removed}" if file.added or file.removed else ""
        lines.append(f"  {file.operation:<6} {old}{show_path(file.path)}{counts}")
    return lines
