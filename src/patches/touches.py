"""What the work-tree projection is told, and what it hands back."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from patches.errors import show_path
from patches.model import ENTRY_MODES
from patches.paths import check_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from patches.directories import Found
    from patches.model import Entry


class Touch(NamedTuple):
    """One path of a patch: what the recorded state has there, and what it has afterwards.

    A rename is two touches.
    """

    path: bytes
    old: Entry | None
    new: Entry | None


class StagedTouch(NamedTuple):
    """A touch whose new file lies ready."""

    touch: Touch
    name: bytes | None
    """Its name in the staging area; None where there is no file to write (deletions, submodules)."""
    seen: Found
    """What the path held when it was checked."""


class Staged(NamedTuple):
    """A patch that lies ready: `WorkTree.publish` makes it visible."""

    files: tuple[StagedTouch, ...]
    looked_at_ns: int
    """When the paths were looked at (nanoseconds since the epoch)."""


class LeftAlone(NamedTuple):
    """A path that somebody edited meanwhile: it is as they left it, not as the patch has it."""

    path: bytes
    reason: str

    def __str__(self) -> str:
        return f"{show_path(self.path)}: {self.reason}"


def order_touches(touches: Iterable[Touch]) -> tuple[Touch, ...]:
    """Return ``touches`` by path.

    Raises:
        RuntimeError: a path occurs twice, or an entry is none of Git's kinds.
        UnsafePath: a path leads out of the tree or into ``.git``. The patch's own checks come long
            before; this is the last line.
    """
    ordered = tuple(sorted(touches, key=lambda touch: touch.path))
    if len({touch.path for touch in ordered}) != len(ordered):
        raise RuntimeError("a path is touched twice")
    for touch in ordered:
        check_path(touch.path)
        if not all(entry is None or entry.mode in ENTRY_MODES for entry in (touch.old, touch.new)):
            raise RuntimeError(f"not an entry of a tree: {touch!r}")
    return ordered
