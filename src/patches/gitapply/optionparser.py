"""Command lines as Git reads them: unique beginnings of long options, ``--no-…``, clusters of short ones.

See: ``gitcli(7)``; "parse-options" in Git's technical documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

S = TypeVar("S")


class UsageError(Exception):
    """The command line is not one that Git would take. ``lines`` is what it says about it."""

    def __init__(self, *lines: str, show_usage: bool = False) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines
        self.show_usage = show_usage


class Option(NamedTuple, Generic[S]):
    """One option: how it is spelled, and what it does to the settings ``S``."""

    long: str
    short: str
    set: Callable[[S, str], None]
    """Called with the value, or ``""`` where the option has none."""
    unset: Callable[[S], None] | None = None
    """What ``--no-<long>`` does; None where there is no such thing."""
    value: str | None = None
    """What the usage calls the value; None where the option has none."""
    help: str = ""

    def name(self) -> str:
        """Return what messages call the option."""
        return f"option `{self.long}'" if self.long else f"switch `{self.short}'"


def parse_arguments(words: Sequence[str], options: Sequence[Option[S]], settings: S) -> list[str]:
    """Give ``settings`` every option among ``words`` and return the other words.

    Raises:
        UsageError: an option is unknown, ambiguous, or has no value where it needs one or the reverse.
    """
    left: list[str] = []
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if word in ("--", "--end-of-options"):
            left.extend(waiting)
            break
        if word in ("-h", "--help", "--help-all"):
            raise UsageError(show_usage=True)
        if word.startswith("--"):
            _take_long(word[2:], waiting, options, settings)
        elif word.startswith("-") and word != "-":
            _take_short(word[1:], waiting, options, settings)
        else:
            left.append(word)
    return left


def _take_short(cluster: str, waiting: list[str], options: Sequence[Option[S]], settings: S) -> None:
    while cluster:
        letter, cluster = cluster[0], cluster[1:]
        option = next((option for option in options if option.short == letter), None)
        if option is None:
            raise UsageError(f"error: unknown switch `{letter}'", show_usage=True)
        if option.value is None:
            option.set(settings, "")
            continue
        if not cluster and not waiting:
            raise UsageError(f"error: switch `{letter}' requires a value")
        option.set(settings, cluster or waiting.pop(0))
        return


def _take_long(text: str, waiting: list[str], options: Sequence[Option[S]], settings: S) -> None:
    name, equals, value = text.partition("=")
    option, negated = _find_long(name, options)
    if negated:
        if equals:
            raise UsageError(f"error: option `no-{option.long}' takes no value")
        if option.unset is not None:
            option.unset(settings)
        return
    if option.value is None:
        if equals:
            raise UsageError(f"error: option `{option.long}' takes no value")
        option.set(settings, "")
        return
    if not equals:
        if not waiting:
            raise UsageError(f"error: option `{option.long}' requires a value")
        value = waiting.pop(0)
    option.set(settings, value)


def _find_long(name: str, options: Sequence[Option[S]]) -> tuple[Option[S], bool]:
    """Return the option that ``name`` is, or begins alone, and whether it is its negation."""
    begun: dict[str, tuple[Option[S], bool]] = {}
    for option in options:
        for spelling, negated in _spellings(option):
            if spelling == name:
                return option, negated
            if spelling.startswith(name):
                begun[spelling] = option, negated
    # Two options that do the same are no choice.
    outcomes = {(option.set, negated) for option, negated in begun.values()}
    if not begun:
        raise UsageError(f"error: unknown option `{name}'", show_usage=True)
    if len(outcomes) > 1:
        first, second = list(begun)[:2]
        raise UsageError(f"error: ambiguous option: {name} (could be --{first} or --{second})")
    return next(iter(begun.values()))


def _spellings(option: Option[S]) -> list[tuple[str, bool]]:
    if not option.long:
        return []
    if option.unset is None:
        return [(option.long, False)]
    # `--no-add` is an option of its own, and its negation is `--add`.
    return [
        (option.long, False),
        (option.long.removeprefix("no-") if option.long.startswith("no-") else f"no-{option.long}", True),
    ]


def format_usage(synopsis: str, options: Sequence[Option[S]]) -> str:
    """Return the usage text: the synopsis and a line for each option."""
    lines = [f"usage: {synopsis}", ""]
    for option in options:
        shown = ", ".join(
            [f"-{option.short}"] * bool(option.short) + [f"--{_shown(option)}"] * bool(option.long)
        )
        if option.value is not None:
            shown += f" <{option.value}>"
        lines.append(
            f"    {shown:22}{option.help}" if len(shown) < 22 else f"    {shown}\n{'':26}{option.help}"
        )
    return "\n".join([*lines, ""])


def _shown(option: Option[S]) -> str:
    return (
        f"[no-]{option.long}"
        if option.unset is not None and not option.long.startswith("no-")
        else option.long
    )
