"""The command `ledger`: its group, its global options, and the one place that ends the process."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module
from typing import NoReturn

import click

from ledger import __version__
from ledger.cli.failures import EXIT_CODES, INTERNAL, INTERRUPTED, exit_code_of, report_failure
from ledger.cli.globaloptions import asks_for_json, color_of, session_of, with_globals
from ledger.cli.interruptions import hear_interrupts
from ledger.cli.session import Session
from ledger.cli.shorthelp import first_sentence

_COLLECT_AFTER = 200_000
_EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code.code:>3}  {code.meaning}" for code in EXIT_CODES)


_MODULES = {
    "ledger.cli.patching": ("apply", "record"),
    "ledger.cli.watching": ("watch",),
    "ledger.cli.moving": ("mv", "canonicalize"),
    "ledger.cli.travelling": ("undo", "redo", "restore", "branch"),
    "ledger.cli.gating": ("gate", "policy", "phase", "tickets"),
    "ledger.cli.bisecting": ("bisect",),
    "ledger.cli.asking": ("error", "questions", "answer", "retire"),
    "ledger.cli.stepping": ("run-step",),
    "ledger.cli.running": ("run", "commit"),
    "ledger.cli.reading": ("status", "log", "show", "id", "path"),
    "ledger.cli.looking": ("cat", "diff", "blame"),
    "ledger.cli.querying": ("sql", "query", "schema", "db"),
    "ledger.cli.counting": ("tokens",),
    "ledger.cli.replaying": ("state", "replay"),
    "ledger.cli.proving": ("verify", "checkpoint"),
    "ledger.cli.auditing": ("audit",),
    "ledger.cli.doctoring": ("doctor",),
    "ledger.cli.scripting": ("completion", "agent-help"),
    "ledger.cli.transfer": ("export", "import"),
    "ledger.cli.projecting": ("project",),
    "ledger.cli.sharing": ("store", "sync", "pull"),
    "ledger.cli.redaction": ("redact",),
    "ledger.cli.archiving": ("archive", "gc"),
    "ledger.cli.reporting": ("report",),
    "ledger.cli.serving": ("ui",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}
_TOPICS = {
    "Change the candidate": ("apply", "record", "watch", "mv", "canonicalize"),
    "Go back and forth": ("undo", "redo", "restore", "branch"),
    "Measure and accept": ("gate", "policy", "phase", "tickets", "bisect"),
    "Keep errors": ("error", "questions", "answer", "retire", "run-step"),
    "Runs": ("run", "commit"),
    "Look": ("status", "log", "show", "cat", "diff", "blame", "tokens"),
    "Ask": ("sql", "query", "schema", "db", "ui", "report"),
    "Prove": ("state", "replay", "verify", "checkpoint"),
    "Carry and keep": ("export", "import", "store", "sync", "pull", "project", "redact", "archive", "gc"),
}
_LAST_TOPIC = "For scripts and care"


class Commands(click.Group):
    """The commands, each loaded when it is first asked for: `ledger apply` does not pay for `ledger sql`."""

    @property
    def topics(self) -> dict[str, tuple[str, ...]]:
        """The names of the commands by topic; the last has those that no other has."""
        sorted_in = {name for names in _TOPICS.values() for name in names}
        return {**_TOPICS, _LAST_TOPIC: tuple(name for name in _HOMES if name not in sorted_in)}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return every command's name, by topic."""
        return [name for names in self.topics.values() for name in names]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by topic."""
        for topic, names in self.topics.items():
            found = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(topic):
                formatter.write_dl([(name, first_sentence(each)) for name, each in found if each is not None])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which was meant."""
        if args[0] not in _HOMES and not args[0].startswith("-") and not ctx.resilient_parsing:
            from difflib import get_close_matches

            close = get_close_matches(args[0], _HOMES, 1, 0.5)
            meant = f" Did you mean {close[0]!r}?" if close else ""
            raise click.UsageError(f"No such command {args[0]!r}.{meant}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; where it breaks down in an open run, that is an error of the run too."""
        try:
            return super().invoke(ctx)
        except click.exceptions.Exit:
            raise
        except Exception as error:
            if exit_code_of(error) is INTERNAL:
                from ledger.cli.crashes import raise_recorded

                raise_recorded(error, session_of(ctx).directory, ctx.invoked_subcommand or "")
            raise

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Load a command, None where there is none of this name."""
        if cmd_name not in _HOMES:
            return None
        module = import_module(_HOMES[cmd_name])
        # A command that Python has a word of its own for ends in an underscore there.
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(module, name if hasattr(module, name) else f"{name}_")
        return with_globals(command)


@click.group(
    cls=Commands,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="ledger")
@click.pass_context
def cli(context: click.Context) -> None:
    """Record what happens to a Git repository, ask in SQL, replay and prove it.

    \b
    ledger apply fix.diff              apply a patch and record it
    ledger record -m "by hand"         record edits made past the ledger
    ledger log                         what happened in the run
    ledger sql "from patch_files"      ask anything
    ledger replay --until @-3          rebuild an earlier state and check it
    """  # noqa: D301 - click reads the backspace
    context.call_on_close(session_of(context).close)


with_globals(cli, shown=True)


def main() -> NoReturn:
    """Run the command line and end the process with the exit code that the table gives.

    The process ends without tearing the interpreter down, which would take longer than many
    commands: every event is on the disk and every file closed by then, and both streams are
    flushed here.
    """
    # Start-up makes tens of thousands of objects that live to the end: looking for garbage among
    # them again and again takes longer than a small command.
    gc.set_threshold(_COLLECT_AFTER)
    hear_interrupts()
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
    session = Session()
    try:
        outcome = cli.main(prog_name="ledger", standalone_mode=False, obj=session)
        sys.stdout.flush()
    except SystemExit:
        raise
    except BaseException as error:
        if exit_code_of(error) is INTERRUPTED:
            from ledger.cli.interruptions import state_left

            error.args = (state_left(session),)
        code = report_failure(
            error,
            debug="--debug" in sys.argv[1:],
            as_json=asks_for_json(session),
            color=color_of(session.color),
        )
        raise SystemExit(code) from error
    if isinstance(outcome, int):
        raise SystemExit(outcome)
