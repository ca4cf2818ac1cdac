"""A file under edits that come one after the other, each placed in what the ones before it made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from patches.dialects.rendering import Edit
from patches.errors import OverlappingParts

_MOST_ROUNDS = 64


class Draft:
    """The lines of a file as they are now, and how they differ from those that it began with."""

    def __init__(self, path: bytes, lines: Sequence[bytes]) -> None:
        self._path = path
        self._old = lines
        self._rounds = 0
        self._now: list[int | bytes] = list(range(len(lines)))  # Which old line it is, or a new one.

    @property
    def lines(self) -> list[bytes]:
        """The file's lines now."""
        return [self._old[line] if isinstance(line, int) else line for line in self._now]

    def apply(self, edits: Iterable[Edit]) -> None:
        """Make ``edits``, which are about the lines as they are now, in order and apart from each other.

        Raises:
            OverlappingParts: that was done so often that no person means it. Each time reads the whole file.
        """
        self._rounds += 1
        if self._rounds > _MOST_ROUNDS:
            raise OverlappingParts(self._path, f"more than {_MOST_ROUNDS} parts are about what others made")
        for edit in reversed(tuple(edits)):
            self._now[edit.start : edit.stop] = edit.new

    def edits(self) -> tuple[Edit, ...]:
        """Return what was done, about the lines that the file began with."""
        edits: list[Edit] = []
        at = 0
        new: list[bytes] = []
        for line in (*self._now, len(self._old)):
            if not isinstance(line, int):
                new.append(line)
                continue
            if new or line > at:
                edits.append(Edit(at, line, tuple(new)))
                new = []
            at = line + 1
        return tuple(edits)
