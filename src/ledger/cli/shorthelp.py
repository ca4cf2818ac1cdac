"""Short help: a command on one screen, `-h`. The whole of it is `--help`."""

from __future__ import annotations

import inspect
import textwrap
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import click

SCREEN_LINES = 24
_WIDTH = 79
_LEAST = 2


@runtime_checkable
class ByTopic(Protocol):
    """A group whose commands are sorted by topic."""

    @property
    def topics(self) -> Mapping[str, Sequence[str]]:
        """The names of the commands of each topic."""
        ...


def short_help(context: click.Context) -> str:
    """Return usage, one sentence and the options of a command, or the commands of a group."""
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    lines = [f"Usage: {usage}", "", *textwrap.wrap(first_sentence(command), _WIDTH)]
    if isinstance(command, ByTopic):
        lines += ["", *_by_topic(command.topics)]
    else:
        lines += _below(context)
        lines += _options(context, SCREEN_LINES - len(lines) - 4)
    return "\n".join([*lines, "", f"More: `{context.command_path} --help`"])


def first_sentence(command: click.Command) -> str:
    """Return what a command does, in its first paragraph's first sentence."""
    paragraph = " ".join(inspect.cleandoc(command.help or "").split("\n\n")[0].split())
    head, stop, _ = paragraph.partition(". ")
    return head + "." if stop else paragraph


def _by_topic(topics: Mapping[str, Sequence[str]]) -> Iterator[str]:
    width = max(map(len, topics)) + _LEAST
    for topic, names in topics.items():
        yield from textwrap.wrap(
            "  ".join(names),
            _WIDTH,
            initial_indent=topic.ljust(width),
            subsequent_indent=" " * width,
            break_on_hyphens=False,
        )


def _below(context: click.Context) -> Iterator[str]:
    """Yield a line for each command of a group."""
    from click import Group

    if isinstance(context.command, Group):
        yield ""
        width = max(map(len, context.command.commands))
        for name, child in context.command.commands.items():
            said = textwrap.shorten(first_sentence(child), _WIDTH - width - 4, placeholder=" …")
            yield f"  {name.ljust(width)}  {said}"


def _options(context: click.Context, room: int) -> list[str]:
    """Return a line for each option; where that is too long, their names alone."""
    records = [
        record
        for param in context.command.get_params(context)
        if param.param_type_name == "option" and (record := param.get_help_record(context)) is not None
    ]
    if not records:
        return []
    width = max(len(names) for names, _ in records)
    lines = [
        line
        for names, said in records
        for line in textwrap.wrap(
            f"  {names.ljust(width)}  {said}", _WIDTH, subsequent_indent=" " * (width + 4)
        )
    ]
    if len(lines) > room:
        names = ",  ".join(each.replace(" ", "\u00a0") for each, _ in records)
        wrapped = textwrap.wrap(
            names, _WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
        )
        lines = [line.replace("\u00a0", " ") for line in wrapped]
    return ["", "Options:", *lines]
