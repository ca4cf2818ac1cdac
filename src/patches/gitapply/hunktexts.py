"""The lines of hunks as they stand in the patch: what the parsed form no longer has."""

from __future__ import annotations

from collections.abc import Iterator

from patches.model import Hunk


class HunkTexts:
    """Finds a hunk's text by its line number. Asking in the order of the text is fast."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._line = 1
        self._at = 0

    def header(self, hunk: Hunk) -> bytes:
        """Return the ``@@`` line with its newline."""
        start = self._start(hunk)
        return self._data[start : self._next(start)]

    def text(self, hunk: Hunk) -> bytes:
        """Return the hunk with its header, as it stands."""
        return self.header(hunk) + b"".join(self.lines(hunk))

    def lines(self, hunk: Hunk) -> Iterator[bytes]:
        """Yield the lines after the header, markers of a missing newline too."""
        at = self._next(self._start(hunk))
        left = hunk.old_count + hunk.new_count
        while at < len(self._data):
            after = self._next(at)
            line = self._data[at:after]
            if not line.startswith(b"\\"):
                left -= 1 if line.startswith((b"+", b"-")) else 2
                if left < 0:
                    return
            yield line
            at = after

    def _next(self, at: int) -> int:
        stop = self._data.find(b"\n", at)
        return stop + 1 if stop >= 0 else len(self._data)

    def _start(self, hunk: Hunk) -> int:
        if hunk.at_line < self._line:
            self._line, self._at = 1, 0
        while self._line < hunk.at_line:
            self._at = self._next(self._at)
            self._line += 1
        return self._at
