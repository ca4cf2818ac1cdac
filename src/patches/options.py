"""The knobs of an application: everything besides the patch and the tree that shapes the result."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

Whitespace: TypeAlias = Literal["nowarn", "warn", "fix", "error", "error-all"]
"""What becomes of whitespace errors in added lines, as ``git apply --whitespace`` names it."""

Favor: TypeAlias = Literal["ours", "theirs", "union"]
"""Which side a three-way merge takes where both changed the same lines."""


class PathRule(Struct, frozen=True):
    """One ``--include`` or ``--exclude``: a glob on the path after stripping and ``--directory``."""

    include: bool
    glob: bytes


class ApplyOptions(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a patch is read and where its hunks may go. The defaults are the strict engine's.

    See: ``git-apply(1)``, whose flags these are.
    """

    strip: int | None = None
    """Leading components to strip (``-p``); None is 1, less where a plain diff's names have none."""
    directory: bytes = b""
    """What is put before every path (``--directory``), without a slash at its end."""
    paths: tuple[PathRule, ...] = ()
    """In the order of the command line: the first that matches a path decides."""
    reverse: bool = False
    recount: bool = False
    """Hunk headers' counts are not believed: the lines are counted."""
    inaccurate_eof: bool = False
    unidiff_zero: bool = False
    """Hunks without context are taken where their line numbers say."""
    context: int | None = None
    """How many lines of context must match (``-C``); None is all of them."""
    allow_overlap: bool = False
    ignore_whitespace: bool = False
    """Context lines match whatever their whitespace is; the file's own lines stay."""
    whitespace: Whitespace = "nowarn"
    lenient: bool = False
    """Read what ``git apply`` reads and put hunks where it puts them, in doubt too."""


DEFAULTS = ApplyOptions()

LENIENT = ApplyOptions(lenient=True)
"""What ``git apply`` does without any option, in doubt too; the strict give the same tree or refuse."""
