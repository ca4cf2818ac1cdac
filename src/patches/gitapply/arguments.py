"""The arguments of ``git apply``.

See: ``git-apply(1)``.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Sequence
from typing import get_args

from msgspec import Struct

from patches.gitapply.optionparser import Option, UsageError, format_usage, parse_arguments
from patches.options import Favor, PathRule, Whitespace


class BadNumber(Exception):
    """The number of components to strip is none: Git ends with its fatal code, not with the usage."""

    def __init__(self, given: str) -> None:
        super().__init__(f"option -p expects a non-negative integer, got '{given}'")


class Arguments(Struct, kw_only=True):
    """What the command line asks for. None where it leaves the choice to the configuration."""

    patches: list[str] = []
    check: bool = False
    stat: bool = False
    numstat: bool = False
    summary: bool = False
    force_apply: bool = False
    index: bool = False
    cached: bool = False
    intent_to_add: bool = False
    unsafe_paths: bool = False
    threeway: bool = False
    favor: Favor | None = None
    reject: bool = False
    allow_empty: bool = False
    no_add: bool = False
    nul_terminated: bool = False
    verbosity: int = 0
    fake_ancestor: str | None = None
    strip: int | None = None
    directory: bytes = b""
    paths: list[PathRule] = []
    reverse: bool = False
    recount: bool = False
    inaccurate_eof: bool = False
    unidiff_zero: bool = False
    context: int | None = None
    allow_overlap: bool = False
    ignore_whitespace: bool | None = None
    whitespace: Whitespace | None = None


def read_whitespace(text: str) -> Whitespace | None:
    """Return the action that ``--whitespace`` and ``apply.whitespace`` call ``text``; None for none."""
    if text == "strip":
        return "fix"
    return next((action for action in get_args(Whitespace) if action == text), None)


def read_arguments(words: Sequence[str]) -> Arguments:
    """Return what ``words``, those after ``apply``, ask for.

    Raises:
        UsageError: they are no arguments of ``git apply``.
        BadNumber: ``-p`` has no number.
    """
    arguments = Arguments()
    arguments.patches = parse_arguments(words, _OPTIONS, arguments)
    return arguments


def usage() -> str:
    """Return the usage text."""
    return format_usage("python -m patches apply [<options>] [<patch>...]", _OPTIONS)


def _flag(name: str, long: str, help_text: str, short: str = "") -> Option[Arguments]:
    def turn_on(arguments: Arguments, _: str) -> None:
        setattr(arguments, name, True)

    def turn_off(arguments: Arguments) -> None:
        setattr(arguments, name, False)

    return Option(long, short, turn_on, turn_off, help=help_text)


def _favor(favor: Favor, help_text: str) -> Option[Arguments]:
    def choose(arguments: Arguments, _: str) -> None:
        arguments.favor = favor

    return Option(favor, "", choose, help=help_text)


def _rule(*, include: bool) -> Callable[[Arguments, str], None]:
    def add(arguments: Arguments, glob: str) -> None:
        arguments.paths.append(PathRule(include, os.fsencode(glob)))

    return add


def _set_strip(arguments: Arguments, text: str) -> None:
    if not re.fullmatch(r"\s*\+?[0-9]{1,9}", text):
        raise BadNumber(text)
    arguments.strip = int(text)


def _set_context(arguments: Arguments, text: str) -> None:
    match = re.fullmatch(r"\s*\+?([0-9]{1,9})([kmg]?)", text, re.IGNORECASE)
    if match is None:
        raise UsageError(
            "error: switch `C' expects a non-negative integer value with an optional k/m/g suffix"
        )
    arguments.context = int(match[1]) << {"": 0, "k": 10, "m": 20, "g": 30}[match[2].lower()]


def _set_whitespace(arguments: Arguments, text: str) -> None:
    arguments.whitespace = read_whitespace(text)
    if arguments.whitespace is None:
        raise UsageError(f"error: unrecognized whitespace option '{text}'")


def _set_directory(arguments: Arguments, text: str) -> None:
    normal = posixpath.normpath(text) if text else ""
    if normal == ".." or normal.startswith("../"):
        raise UsageError(f"error: unable to normalize directory: '{text}'")
    arguments.directory = b"" if normal in ("", ".") else os.fsencode(normal)


def _set_fake_ancestor(arguments: Arguments, text: str) -> None:
    arguments.fake_ancestor = text


def _unset_fake_ancestor(arguments: Arguments) -> None:
    arguments.fake_ancestor = None


def _louder(arguments: Arguments, _: str) -> None:
    arguments.verbosity = max(arguments.verbosity, 0) + 1


def _quieter(arguments: Arguments, _: str) -> None:
    arguments.verbosity = min(arguments.verbosity, 0) - 1


def _reset_verbosity(arguments: Arguments) -> None:
    arguments.verbosity = 0


def _end_with_nul(arguments: Arguments, _: str) -> None:
    arguments.nul_terminated = True


def _ignore_whitespace(arguments: Arguments, _: str) -> None:
    arguments.ignore_whitespace = True


def _heed_whitespace(arguments: Arguments) -> None:
    arguments.ignore_whitespace = False


def _do_nothing(_: Arguments, __: str) -> None:
    """Accept an option that is the default by now."""


def _forget(_: Arguments) -> None:
    """Accept its negation, which changes nothing either."""


_IGNORE = "ignore changes of whitespace when looking for context"
_OPTIONS: tuple[Option[Arguments], ...] = (
    Option("exclude", "", _rule(include=False), value="path", help="leave out changes of paths that match"),
    Option("include", "", _rule(include=True), value="path", help="apply changes of paths that match"),
    Option("", "p", _set_strip, value="num", help="strip that many leading components from the paths"),
    _flag("no_add", "no-add", "leave out what the patch adds"),
    _flag("stat", "stat", "show a diffstat instead of applying"),
    Option("allow-binary-replacement", "", _do_nothing, _forget, help="accepted, and always on"),
    Option("binary", "", _do_nothing, _forget, help="accepted, and always on"),
    _flag("numstat", "numstat", "show added and removed lines as numbers instead of applying"),
    _flag("summary", "summary", "show creations, renames and modes instead of applying"),
    _flag("check", "check", "see whether the patch applies instead of applying"),
    _flag("index", "index", "apply to the work tree and the index, which must agree"),
    _flag("intent_to_add", "intent-to-add", "enter new files into the index without content", "N"),
    _flag("cached", "cached", "apply to the index alone"),
    _flag("unsafe_paths", "unsafe-paths", "accept paths outside the work area"),
    _flag("force_apply", "apply", "apply as well (with --stat, --summary, --check)"),
    _flag("threeway", "3way", "merge with what the patch was made from, where that is known", "3"),
    _favor("ours", "take our side of conflicts"),
    _favor("theirs", "take their side of conflicts"),
    _favor("union", "take both sides of conflicts"),
    Option("build-fake-ancestor", "", _set_fake_ancestor, _unset_fake_ancestor, "file", "index preimages"),
    Option("", "z", _end_with_nul, help="end paths with NUL"),
    Option("", "C", _set_context, value="n", help="let that many lines of context be enough"),
    Option("whitespace", "", _set_whitespace, value="action", help="what becomes of whitespace errors"),
    Option("ignore-space-change", "", _ignore_whitespace, _heed_whitespace, help=_IGNORE),
    Option("ignore-whitespace", "", _ignore_whitespace, _heed_whitespace, help=_IGNORE),
    _flag("reverse", "reverse", "take the patch back", "R"),
    _flag("unidiff_zero", "unidiff-zero", "take hunks without any context where they say"),
    _flag("reject", "reject", "apply what fits and leave the other hunks in *.rej files"),
    _flag("allow_overlap", "allow-overlap", "let hunks overlap"),
    Option("verbose", "v", _louder, _reset_verbosity, help="say more"),
    Option("quiet", "q", _quieter, _reset_verbosity, help="say less"),
    _flag("inaccurate_eof", "inaccurate-eof", "bear with diffs that miss a missing newline at the end"),
    _flag("recount", "recount", "count the lines of hunks instead of believing their headers"),
    Option("directory", "", _set_directory, value="root", help="put a directory before all paths"),
    _flag("allow_empty", "allow-empty", "accept a patch that holds no diff"),
)  # fmt: skip
