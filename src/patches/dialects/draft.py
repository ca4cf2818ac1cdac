"""A file under edits that come one after the other, each placed in what the ones before it made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from patches.dialects.rendering import Edit


class Draft:
    """The lines of a file as they are now, and how they differ from those that it began with."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        self._old = lines
        self._now: list[int | bytes] = list(range(len(lines)))  # Which old line it is, or a new one.

    @property
    def lines(self) -> list[bytes]:
        """The file's lines now."""
        return [self._old[line] if isinstance(line, int) else line for line in self._now]

    def apply(self, edits: Iterable[Edit]) -> None:
        """Make ``edits``, which are about the lines as they are now, in order and apart from each other."""
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
