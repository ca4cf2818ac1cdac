"""What arguments, configuration and place together come to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from patches.gitapply.arguments import Arguments, read_whitespace
from patches.gitapply.gitcommands import Place
from patches.gitapply.refusals import Fatal
from patches.options import ApplyOptions, Whitespace
from patches.whitespace import BadWhitespaceRule, WhitespaceRule, parse_rule

_IGNORED = {"no": False, "false": False, "never": False, "none": False, "change": True}


class Settings(NamedTuple):
    """How one run of the command works."""

    applies: bool
    in_repository: bool
    uses_index: bool
    cached: bool
    intends: bool
    """New files are entered into the index without content."""
    unsafe_paths: bool
    verbosity: int
    rule: WhitespaceRule
    """What ``core.whitespace`` takes for an error."""
    options: ApplyOptions


def settle(arguments: Arguments, configuration: Mapping[str, str], place: Place) -> Settings:
    """Return the settings of a run.

    Raises:
        Fatal: they contradict each other, or need a repository.
    """
    inside = place.git_dir is not None
    for asked, name in (
        (arguments.threeway, "--3way"), (arguments.index, "--index"), (arguments.cached, "--cached")
    ):  # fmt: skip
        if asked and not inside:
            raise Fatal(f"'{name}' outside a repository")
    if arguments.reject and arguments.threeway:
        raise Fatal("options '--reject' and '--3way' cannot be used together")
    only_tells = arguments.stat or arguments.numstat or arguments.summary or arguments.check
    applies = arguments.force_apply or not (only_tells or arguments.fake_ancestor is not None)
    uses_index = arguments.index or arguments.cached or arguments.threeway
    return Settings(
        applies=applies,
        in_repository=inside,
        uses_index=uses_index,
        cached=arguments.cached,
        intends=arguments.intent_to_add and inside and not uses_index,
        unsafe_paths=arguments.unsafe_paths and not uses_index,
        verbosity=max(arguments.verbosity, 1)
        if arguments.reject and not arguments.verbosity
        else arguments.verbosity,
        rule=_rule(configuration),
        options=_options(arguments, configuration, applies=applies),
    )


def _options(arguments: Arguments, configuration: Mapping[str, str], *, applies: bool) -> ApplyOptions:
    return ApplyOptions(
        strip=arguments.strip,
        directory=arguments.directory,
        paths=tuple(arguments.paths),
        reverse=arguments.reverse,
        recount=arguments.recount,
        inaccurate_eof=arguments.inaccurate_eof,
        unidiff_zero=arguments.unidiff_zero,
        context=arguments.context,
        allow_overlap=arguments.allow_overlap,
        ignore_whitespace=_ignores_whitespace(arguments, configuration),
        whitespace=_whitespace(arguments, configuration, applies=applies),
        lenient=True,
    )


def _rule(configuration: Mapping[str, str]) -> WhitespaceRule:
    try:
        return parse_rule(configuration.get("core.whitespace", ""))
    except BadWhitespaceRule as error:
        raise Fatal(str(error)) from error


def _whitespace(arguments: Arguments, configuration: Mapping[str, str], *, applies: bool) -> Whitespace:
    configured = configuration.get("apply.whitespace")
    action = None if configured is None else read_whitespace(configured)
    if configured is not None and action is None:
        raise Fatal(f"unrecognized whitespace option '{configured}'")
    return arguments.whitespace or action or ("warn" if applies else "nowarn")


def _ignores_whitespace(arguments: Arguments, configuration: Mapping[str, str]) -> bool:
    configured = configuration.get("apply.ignorewhitespace", "no")
    if configured not in _IGNORED:
        raise Fatal(f"unrecognized whitespace ignore option '{configured}'")
    return _IGNORED[configured] if arguments.ignore_whitespace is None else arguments.ignore_whitespace
