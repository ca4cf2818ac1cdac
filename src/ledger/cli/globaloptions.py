"""Global options: what every command takes, before its name or after it, and where that is kept.

A command's own option of the same name goes first: `apply -C 2` is `git apply`'s, `log --at` its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from ledger.cli.shorthelp import short_help

if TYPE_CHECKING:
    from ledger.cli.session import Session

FORMATS = ("table", "json", "jsonl", "ndjson", "csv", "markdown")
OF_PROGRAMS = ("json", "jsonl")
OWN_FORMATS = "_prints_in_every_format"
"""The attribute of a command's function that prints data itself, in every format."""

OWN_DRY_RUN = "_rehearses"
"""The attribute of a command's function whose dry run prints its events itself."""

_NO_COLOR = {"never": False, "always": True}
_OPTIONS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("-C", "global_directory"), {"metavar": "DIR", "help": "Run as if started in DIR."}),
    (
        ("--at", "global_at"),
        {"metavar": "EVENT", "help": "Read the ledger as it was when EVENT was its last."},
    ),
    (
        ("--format", "global_style"),
        {"type": click.Choice(FORMATS), "metavar": "FORMAT", "help": f"{', '.join(FORMATS)} [table]."},
    ),
    (("--json", "global_json"), {"is_flag": True, "help": "Short for --format json; errors are JSON too."}),
    (
        ("--color", "global_color"),
        {"type": click.Choice(["auto", "always", "never"]), "help": "When to use colours [auto]."},
    ),
    (("-q", "--quiet", "global_quiet"), {"is_flag": True, "help": "Say warnings and errors alone."}),
    (
        ("-v", "--verbose", "global_verbose"),
        {"is_flag": True, "help": "Say more: every file, the ledger, the time it took."},
    ),
    (("--no-pager", "global_no_pager"), {"is_flag": True, "help": "Print it, however long it is."}),
    (("--debug", "global_debug"), {"is_flag": True, "help": "Print a traceback with an error."}),
)


def session_of(context: click.Context) -> Session:
    """Return what the global options of a running command say."""
    from ledger.cli.session import Session

    return context.find_root().ensure_object(Session)


def color_of(asked: str) -> bool | None:
    """Return whether to colour: what was asked for, else NO_COLOR, FORCE_COLOR; None: a terminal decides.

    See: https://no-color.org, https://force-color.org.
    """
    if asked in _NO_COLOR:
        return _NO_COLOR[asked]
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return False if os.environ.get("TERM") == "dumb" else None


def _take(context: click.Context, option: click.Parameter, value: Any) -> None:
    """Keep what an option says, if it was given."""
    session = session_of(context)
    context.color = color_of(session.color)
    if value in (None, False):
        return
    match (option.name or "").removeprefix("global_"):
        case "directory":
            session.directory = Path(value)
        case "style":
            session.style = "jsonl" if value == "ndjson" else value
        case "json":
            session.style = "json"
        case name:
            setattr(session, name, value)
    context.color = color_of(session.color)


def _show_short_help(context: click.Context, option: click.Parameter, value: bool) -> None:  # noqa: ARG001
    if value and not context.resilient_parsing:
        click.echo(short_help(context))
        context.exit()


def with_globals(command: click.Command, *, shown: bool = False) -> click.Command:
    """Give a command, and all below it, the global options that it has none of its own for.

    Args:
        command: What is changed; a second time changes nothing.
        shown: Whether its help lists them; otherwise only how to print data, where it prints some.
    """
    if any(param.name == "_short_help" for param in command.params):
        return command
    taken = {name for param in command.params for name in param.opts}
    prints = getattr(command.callback, OWN_FORMATS, False)
    for names, settings in _OPTIONS:
        flags = [name for name in names if name.startswith("-") and name not in taken]
        if flags:
            argument = names[-1]
            hidden = not shown and not (prints and argument in ("global_style", "global_json"))
            option = click.Option(
                [*flags, argument], callback=_take, expose_value=False, hidden=hidden, **settings
            )
            command.params.append(option)
    short = click.Option(
        ["-h", "_short_help"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_show_short_help,
        help="Show this help, on one screen.",
        hidden=not shown,
    )
    command.params.append(short)
    if "_LEDGER_COMPLETE" in os.environ:
        # Only then: every other command does without.
        from ledger.cli.completion import complete

        complete(command)
    if isinstance(command, click.Group):
        for child in command.commands.values():
            with_globals(child)
    elif command.callback is not None and not prints:
        command.callback = _for_programs(command.callback)
    return command


def _for_programs(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Let a command that prints text print it, where JSON is asked for, in a document with its events."""

    @wraps(callback)
    def printing(*arguments: Any, **options: Any) -> Any:
        context = click.get_current_context()
        session = session_of(context)
        rehearses = options.get("dry_run") and hasattr(callback, OWN_DRY_RUN)
        if session.style == "table" or rehearses:
            return callback(*arguments, **options)
        if session.style not in OF_PROGRAMS:
            raise click.UsageError(f"this command prints no table: --format {session.style} is for those")
        from ledger.cli.documents import Captured, write_document

        with Captured() as captured:
            try:
                done = callback(*arguments, **options)
            except click.exceptions.Exit as stop:
                captured.exit_code = stop.exit_code
                done = None
        write_document(session, captured)
        if captured.exit_code:
            context.exit(captured.exit_code)
        return done

    return cast("Callable[..., Any]", printing)


def asks_for_json(session: Session) -> bool:
    """Tell whether errors are to be JSON: as asked, also where the words could not be parsed."""
    words = sys.argv[1:]
    words = words[: words.index("--")] if "--" in words else words
    return session.style in OF_PROGRAMS or "--json" in words
