"""Commands for shells and agents: `completion` and `agent-help`."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import click

from ledger.cli.failures import EXIT_CODES
from ledger.cli.output import format_options, write_record
from ledger.cli.shorthelp import first_sentence

if TYPE_CHECKING:
    from collections.abc import Iterator

AGENT_HELP_SIZE_BYTES = 20_000
"""What the whole text may take: about five thousand tokens."""

_FACTS = """\
Everything is an event of a run; RUN:V names one (port:12), @ is the latest, @-3 three before, green the
accepted state. Data is on stdout, talk on stderr. A writing command prints the event that it made.
--json anywhere: one JSON document on stdout, each with "schema"; an error is the last line of stderr, as
ledger.error/1 with message, hint and exit_code. --dry-run prints the events that would be appended; nothing
is written. --id UUID (`ledger id`) makes a retry harmless. -C DIR works in DIR, --at EVENT reads the past.
Nothing ever asks a question back. Undo: `ledger undo`."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that lets a shell complete commands, options, events, runs, gates and phases.

    \b
    eval "$(ledger completion bash)"                               in ~/.bashrc
    eval "$(ledger completion zsh)"                                in ~/.zshrc
    ledger completion fish > ~/.config/fish/completions/ledger.fish
    """  # noqa: D301 - click reads the backspace
    from click.shell_completion import get_completion_class

    script = get_completion_class(shell)
    assert script is not None
    click.echo(
        script(click.get_current_context().find_root().command, {}, "ledger", "_LEDGER_COMPLETE").source()
    )


@click.command("agent-help")
@format_options
def agent_help(style: str) -> None:
    """Print the whole interface for an agent to read: every command, its options, and the exit codes.

    \b
    ledger agent-help
    ledger agent-help --json      with what each option does
    """  # noqa: D301 - click reads the backspace
    root = click.get_current_context().find_root()
    leaves = list(_leaves(root.command, root))
    if style != "table":
        record = {
            "facts": _FACTS,
            "global_options": _options(root),
            "commands": [_described(context) for context in leaves],
            "exit_codes": [each._asdict() for each in EXIT_CODES],
        }
        write_record(record, style)
        return
    click.echo(f"{_FACTS}\n\nCommands:")
    for context in leaves:
        click.echo(_brief(context))
    click.echo("\nExit codes:")
    for code in EXIT_CODES:
        click.echo(f"{code.code} {code.meaning}")


def _leaves(command: click.Command, context: click.Context) -> Iterator[click.Context]:
    """Yield the context of every command that does something, by topic."""
    if not isinstance(command, click.Group):
        yield context
        return
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        if child is not None and not child.hidden:
            yield from _leaves(child, click.Context(child, parent=context, info_name=name))


def _brief(context: click.Context) -> str:
    """Return a command's words, options and purpose, in two lines."""
    words = [context.command_path.partition(" ")[2]]
    words += [piece for piece in context.command.collect_usage_pieces(context) if piece != "[OPTIONS]"]
    words += [
        names.partition(", ")[0] if "--" not in names else _long(names) for names, _ in _records(context)
    ]
    return f"{' '.join(words)}\n  {first_sentence(context.command)}"


def _long(names: str) -> str:
    """Return the long one of an option's names, with what it takes."""
    return names[names.index("--") :].split(" / ", maxsplit=1)[0]


def _described(context: click.Context) -> dict[str, object]:
    usage = " ".join([context.command_path, *context.command.collect_usage_pieces(context)])
    said = inspect.cleandoc(context.command.help or "").replace("\b\n", "")
    return {"command": context.command_path, "usage": usage, "help": said, "options": _options(context)}


def _options(context: click.Context) -> list[dict[str, str]]:
    return [{"option": names, "help": said} for names, said in _records(context)]


def _records(context: click.Context) -> Iterator[tuple[str, str]]:
    for param in context.command.get_params(context):
        if not isinstance(param, click.Option) or "--help" in param.opts:
            continue
        record = param.get_help_record(context)
        if record is not None and (context.parent is None or not str(param.name).startswith("global_")):
            yield record
