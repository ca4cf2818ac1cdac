"""The flags that a patch was applied with: those of ``git apply``, as an event keeps them.

See: ``git-apply(1)``; ``docs/format.md``, "`patch.applied/1`".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

from msgspec import Struct

from ledger.filerecords import WirePath, parse_path
from patches.errors import show_path
from patches.options import ApplyOptions, Favor, PathRule, Whitespace

Conflicts: TypeAlias = Literal["refuse", "keep"]
"""What becomes of a three-way merge with conflicts: nothing at all, or files with markers."""


class PathFlag(Struct, frozen=True):
    """One ``--include`` or ``--exclude``."""

    include: bool
    glob: WirePath


class ApplyFlags(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was asked of an application besides the patch. The defaults are the strict engine's.

    The wire form leaves out whatever is not asked for. `patches.options.ApplyOptions` says what each means.
    """

    strip: int | None = None
    directory: WirePath = ""
    paths: tuple[PathFlag, ...] = ()
    reverse: bool = False
    recount: bool = False
    inaccurate_eof: bool = False
    unidiff_zero: bool = False
    context: int | None = None
    allow_overlap: bool = False
    allow_empty: bool = False
    ignore_whitespace: bool = False
    whitespace: Whitespace = "nowarn"
    three_way: bool = False
    """Where a hunk does not fit, merge with the blob that the patch's index line names."""
    favor: Favor | None = None
    conflicts: Conflicts = "refuse"

    def options(self) -> ApplyOptions:
        """Return what of it the engine takes."""
        return ApplyOptions(
            strip=self.strip,
            directory=parse_path(self.directory),
            paths=tuple(PathRule(flag.include, parse_path(flag.glob)) for flag in self.paths),
            reverse=self.reverse,
            recount=self.recount,
            inaccurate_eof=self.inaccurate_eof,
            unidiff_zero=self.unidiff_zero,
            context=self.context,
            allow_overlap=self.allow_overlap,
            ignore_whitespace=self.ignore_whitespace,
            whitespace=self.whitespace,
        )

    def __str__(self) -> str:
        """Return the flags as they are typed, "" where none was."""
        return " ".join(self._words())

    def _words(self) -> Iterator[str]:
        for name in _SWITCHES:
            if getattr(self, name):
                yield f"--{name.replace('three_way', '3way').replace('_', '-')}"
        if self.strip is not None:
            yield f"-p{self.strip}"
        if self.context is not None:
            yield f"-C{self.context}"
        if self.directory:
            yield f"--directory={show_path(parse_path(self.directory))}"
        for flag in self.paths:
            yield f"--{'include' if flag.include else 'exclude'}={show_path(parse_path(flag.glob))}"
        if self.whitespace != "nowarn":
            yield f"--whitespace={self.whitespace}"
        if self.favor is not None:
            yield f"--{self.favor}"
        if self.conflicts != "refuse":
            yield f"--conflicts={self.conflicts}"


_SWITCHES = (
    "reverse",
    "recount",
    "inaccurate_eof",
    "unidiff_zero",
    "allow_overlap",
    "allow_empty",
    "ignore_whitespace",
    "three_way",
)
NO_FLAGS = ApplyFlags()
