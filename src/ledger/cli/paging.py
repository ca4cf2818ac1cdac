"""Pages: on a terminal a reading command goes through a pager, where the screen is too small for it."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from ledger.cli.globaloptions import session_of

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.cli.session import Session

_Command = TypeVar("_Command", bound=Callable[..., Any])
_NO_PAGER = ("", "cat")
_CANNOT_RUN = (126, 127)
"""What a shell exits with where a command cannot be run, or is not there."""


class _ForTerminal(io.BytesIO):
    """Bytes that are kept for a terminal: who writes them may colour them."""

    def isatty(self) -> bool:
        """Say yes: they end on one."""
        return True


def paged(command: _Command) -> _Command:
    """Let a reading command's output go through a pager: on a terminal, where it is longer than the screen.

    What it says meanwhile on standard error is said after it.
    """

    @wraps(command)
    def with_pager(*arguments: Any, **options: Any) -> Any:
        session = session_of(click.get_current_context())
        if not sys.stdout.isatty() or pager_asked_for(session) in _NO_PAGER:
            return command(*arguments, **options)
        terminal, kept = sys.stdout, _ForTerminal()
        sys.stdout = io.TextIOWrapper(kept, "utf-8", "backslashreplace", write_through=True)
        session.held = []
        try:
            return command(*arguments, **options)
        finally:
            sys.stdout.flush()
            # Else it would close what it was given, once it is forgotten.
            sys.stdout.detach()
            sys.stdout, held, session.held = terminal, session.held or [], None
            _show(kept.getvalue(), session)
            for message in held:
                click.echo(message, err=True)

    return cast("_Command", with_pager)


def pager_asked_for(session: Session) -> str | None:
    """Return what pager `--no-pager` or ``LEDGER_PAGER`` name, "" or ``cat`` for none, None: Git's."""
    return "cat" if session.no_pager else os.environ.get("LEDGER_PAGER")


def is_longer(data: bytes, columns: int, lines: int) -> bool:
    """Tell whether a text fills more lines of a screen than that, the prompt's among them."""
    shown = 0
    for line in click.unstyle(data.decode("utf-8", "replace")).splitlines():
        shown += max(1, -(-len(line) // max(columns, 1)))
        if shown >= lines:
            return True
    return False


def _show(data: bytes, session: Session) -> None:
    """Print a text, through a pager where the screen is too small for it."""
    if is_longer(data, *shutil.get_terminal_size()):
        asked = pager_asked_for(session)
        pager = _git_pager(session.directory) if asked is None else asked
        if pager not in _NO_PAGER and _page(data, pager):
            return
    sys.stdout.buffer.write(data)
    sys.stdout.flush()


def _git_pager(directory: Path) -> str:
    """Return Git's pager: that of ``GIT_PAGER``, ``core.pager``, ``PAGER``, else ``less``.

    See: git-var(1).
    """
    done = subprocess.run(["git", "var", "GIT_PAGER"], cwd=directory, capture_output=True, check=False)
    return os.fsdecode(done.stdout).strip() if done.returncode == 0 else os.environ.get("PAGER", "less")


def _page(data: bytes, pager: str) -> bool:
    """Let a pager show a text, and tell whether it could be run. One that is left early is no error."""
    environment = {"LESS": "FRX", "LV": "-c"} | os.environ
    with subprocess.Popen(["/bin/sh", "-c", pager], stdin=subprocess.PIPE, env=environment) as process:
        # Ctrl-C is the pager's while it runs: less stops a search with it.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            process.communicate(data)
        finally:
            signal.signal(signal.SIGINT, before)
    return process.returncode not in _CANNOT_RUN
