"""The command `ledger`: its group, its global options, and the one place that ends the process."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from ledger import __version__
from ledger.cli.failures import EXIT_CODES, INTERNAL, exit_code_of, report_failure

if TYPE_CHECKING:
    from ledger.api import Ledger
    from ledger.reading import LedgerReader

_COLLECT_AFTER = 200_000
_EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code.code:>3}  {code.meaning}" for code in EXIT_CODES)


_MODULES = {
    "ledger.cli.patching": ("apply", "record"),
    "ledger.cli.travelling": ("undo", "redo", "restore", "branch"),
    "ledger.cli.watching": ("watch",),
    "ledger.cli.moving": ("mv", "canonicalize"),
    "ledger.cli.gating": ("gate", "policy", "phase", "tickets"),
    "ledger.cli.bisecting": ("bisect",),
    "ledger.cli.asking": ("error", "questions", "answer", "retire"),
    "ledger.cli.stepping": ("run-step",),
    "ledger.cli.running": ("run", "commit"),
    "ledger.cli.redaction": ("redact",),
    "ledger.cli.archiving": ("archive", "gc"),
    "ledger.cli.transfer": ("export", "import"),
    "ledger.cli.reading": ("status", "log", "show", "id", "path"),
    "ledger.cli.querying": ("sql", "query", "schema", "db"),
    "ledger.cli.reporting": ("report",),
    "ledger.cli.serving": ("ui",),
    "ledger.cli.replaying": ("state", "replay"),
    "ledger.cli.looking": ("cat", "diff", "blame"),
    "ledger.cli.auditing": ("audit", "doctor"),
    "ledger.cli.projecting": ("project",),
    "ledger.cli.counting": ("tokens",),
    "ledger.cli.proving": ("verify", "checkpoint"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


class Commands(click.Group):
    """The commands, each loaded when it is first asked for: `ledger apply` does not pay for `ledger sql`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return every command's name, writing ones first."""
        return list(_HOMES)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; where it breaks down in an open run, that is an error of the run too."""
        try:
            return super().invoke(ctx)
        except click.exceptions.Exit:
            raise
        except Exception as error:
            if exit_code_of(error) is INTERNAL:
                from ledger.cli.crashes import raise_recorded

                raise_recorded(error, ctx.params["directory"], ctx.invoked_subcommand or "")
            raise

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Load a command, None where there is none of this name."""
        if cmd_name not in _HOMES:
            return None
        module = import_module(_HOMES[cmd_name])
        # A command that Python has a word of its own for ends in an underscore there.
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(module, name if hasattr(module, name) else f"{name}_")
        return command


class Session:
    """What the global options say; the ledger itself is opened when a command first asks for it."""

    def __init__(self, directory: Path, at: str = "") -> None:
        self._directory = directory
        self.at = at
        self._ledger: Ledger | None = None
        self._reader: LedgerReader | None = None
        self._was_there = True

    @property
    def ledger(self) -> Ledger:
        """The ledger of the repository that the command runs in."""
        if self._ledger is None:
            from ledger.api import Ledger

            self._ledger = Ledger.open(self._directory)
            self._was_there = self._ledger.path.exists()
        return self._ledger

    @property
    def reader(self) -> LedgerReader:
        """The same ledger, to be read: as it was at the event that ``--at`` names, or now.

        It comes without all that writes: importing that takes longer than most questions.
        """
        if self._reader is None:
            from ledger.reading import LedgerReader

            now = LedgerReader.open(self._directory)
            self._reader = now.as_of(self.at) if self.at else now
        return self._reader

    def close(self) -> None:
        """Close what was opened, and say what there is to say of the disk below it."""
        if self._ledger is not None:
            if self._ledger.captured or self._ledger.warnings:
                from ledger.cli.annotations import report_errors

                report_errors(self._ledger)
            if not self._was_there and self._ledger.path.exists():
                from ledger.cli.session import warn_of_network
                from ledger.store.mounts import network_filesystem

                if kind := network_filesystem(self._ledger.path):
                    warn_of_network(kind)
        for opened in filter(None, (self._ledger, self._reader)):
            opened.close()
            if opened.sync_failed:
                left_out = "the disk does not confirm the newest events, and they are left out"
                click.echo(f"warning: {left_out} (`ledger verify` counts them)", err=True)


@click.group(
    cls=Commands,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="ledger")
@click.option("-C", "directory", metavar="DIR", default=".", help="Run as if started in DIR.")
@click.option("--at", metavar="EVENT", default="", help="Read the ledger as it was when EVENT was its last.")
@click.option("--debug", is_flag=True, help="Print a traceback with an error.")
@click.pass_context
def cli(context: click.Context, directory: str, at: str, debug: bool) -> None:  # noqa: ARG001 - read by main
    """Record what happens to a Git repository, ask in SQL, replay and prove it.

    \b
    ledger apply fix.diff              apply a patch and record it
    ledger record -m "by hand"         record edits made past the ledger
    ledger log                         what happened in the run
    ledger sql "from patch_files"      ask anything
    ledger replay --until @-3          rebuild an earlier state and check it
    """  # noqa: D301 - click reads the backspace
    session = Session(Path(directory), at)
    context.obj = session
    context.call_on_close(session.close)


def main() -> NoReturn:
    """Run the command line and end the process with the exit code that the table gives.

    The process ends without tearing the interpreter down, which would take longer than many
    commands: every event is on the disk and every file closed by then, and both streams are
    flushed here.
    """
    # Start-up makes tens of thousands of objects that live to the end: looking for garbage among
    # them again and again takes longer than a small command.
    gc.set_threshold(_COLLECT_AFTER)
    try:
        _run()
    except SystemExit as stop:
        # Still inside: outside, the exception's frames would be released and with them a DuckDB
        # connection, which waits for an interrupted query as long as that takes.
        _end(stop.code if isinstance(stop.code, int) else 0)
    _end(0)


def _end(code: int) -> NoReturn:
    sys.stderr.flush()
    os._exit(code)


def _run() -> None:
    try:
        outcome = cli.main(prog_name="ledger", standalone_mode=False)
        sys.stdout.flush()
    except SystemExit:
        raise
    except BaseException as error:
        raise SystemExit(report_failure(error, debug="--debug" in sys.argv[1:])) from error
    if isinstance(outcome, int):
        raise SystemExit(outcome)
