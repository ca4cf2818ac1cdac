"""The flags of ``git apply`` on the command line, as far as they cannot break a promise."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

if TYPE_CHECKING:
    from ledger.applyflags import ApplyFlags

_Command = TypeVar("_Command", bound=Callable[..., Any])
_RULES = "apply.path-rules"
_PATTERNS = ("include", "exclude")
_WHITESPACE = ("nowarn", "warn", "fix", "strip", "error", "error-all")
_FLAG = {"is_flag": True}

_OPTIONS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("-R", "--reverse"), _FLAG | {"help": "Take the patch back."}),
    (
        ("-p", "strip"),
        {"type": click.IntRange(0), "metavar": "N", "help": "Take N leading parts off the names (1)."},
    ),
    (("--directory",), {"metavar": "DIR", "default": "", "help": "Put DIR before every name."}),
    (("--include",), {"multiple": True, "metavar": "GLOB", "help": "Take what matches (the first decides)."}),
    (("--exclude",), {"multiple": True, "metavar": "GLOB", "help": "Leave out what matches."}),
    (
        ("-3", "--3way", "three_way"),
        _FLAG | {"help": "Merge with what it was made from."},
    ),
    (("--ours", "favor"), {"flag_value": "ours", "help": "With --3way: in a conflict, take ours."}),
    (
        ("--theirs", "favor"),
        {"flag_value": "theirs", "help": "With --3way: in a conflict, take theirs."},
    ),
    (("--union", "favor"), {"flag_value": "union", "help": "With --3way: in a conflict, take both."}),
    (
        ("--conflicts",),
        {
            "type": click.Choice(["refuse", "keep"]),
            "default": "refuse",
            "help": "With --3way: refuse a conflict, or keep it as markers that no gate accepts.",
        },
    ),
    (("-C", "context"), {"type": click.IntRange(0), "metavar": "N", "help": "N lines of context suffice."}),
    (("--unidiff-zero",), _FLAG | {"help": "Take hunks without context where their numbers say."}),
    (("--recount",), _FLAG | {"help": "Count the lines of hunks, whatever their headers say."}),
    (("--inaccurate-eof",), _FLAG | {"help": "The diff missed that the file has no newline at its end."}),
    (("--allow-overlap",), _FLAG | {"help": "Hunks may overlap."}),
    (("--allow-empty",), _FLAG | {"help": "A patch without a diff is no error."}),
    (
        ("--ignore-space-change", "--ignore-whitespace", "ignore_whitespace"),
        _FLAG | {"help": "Context matches whatever its whitespace; the file's own stays."},
    ),
    (
        ("--whitespace",),
        {
            "type": click.Choice(_WHITESPACE),
            "default": "nowarn",
            "help": "Whitespace errors in added lines: fix them, or refuse. Only this flag decides.",
        },
    ),
)


class ApplyCommand(click.Command):
    """A command that keeps the order of --include and --exclude: the first match decides."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See `click.Command.parse_args`."""
        given, _, order = self.make_parser(ctx).parse_args(list(args))
        left = {name: iter(given.get(name, ())) for name in _PATTERNS}
        ctx.meta[_RULES] = [
            (parameter.name == "include", next(left[parameter.name]))
            for parameter in order
            if parameter.name in left
        ]
        return super().parse_args(ctx, args)


def apply_flags(command: _Command) -> _Command:
    """Give a command of class `ApplyCommand` the flags, as its argument ``flags``."""

    @wraps(command)
    def with_flags(*arguments: Any, **options: Any) -> Any:
        asked = {name: options.pop(name) for name in _NAMES}
        return command(*arguments, flags=_flags(asked), **options)

    decorated: Any = with_flags
    for names, settings in reversed(_OPTIONS):
        decorated = click.option(*names, **settings)(decorated)
    return cast("_Command", decorated)


_NAMES = tuple(dict.fromkeys(names[-1].lstrip("-").replace("-", "_") for names, _ in _OPTIONS))
"""The arguments that click makes of them: the last name of each."""


def _flags(asked: dict[str, Any]) -> ApplyFlags:
    from ledger.applyflags import ApplyFlags, PathFlag
    from ledger.filerecords import encode_path

    asked["paths"] = tuple(
        PathFlag(include, encode_path(os.fsencode(glob)))
        for include, glob in click.get_current_context().meta[_RULES]
    )
    asked["directory"] = encode_path(os.fsencode(asked["directory"].rstrip("/")))
    if asked["whitespace"] == "strip":
        # Git's old name of it.
        asked["whitespace"] = "fix"
    merges = asked["favor"] is not None or asked["conflicts"] != "refuse"
    if merges and not asked["three_way"]:
        raise click.UsageError("--ours, --theirs, --union and --conflicts need --3way")
    return ApplyFlags(**{name: value for name, value in asked.items() if name not in _PATTERNS})
