"""Patch texts: where in a patch secrets lie, and whether it adds them or only names them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from ledger.secrets.prefilter import Stretch, find_stretches
from ledger.secrets.randomness import find_random_strings
from patches.errors import show_path
from patches.model import BinaryDelta, FilePatch, Hunk, Patch

SETTINGS_SUFFIXES = (
    ".yaml",
    ".yml",
    ".eyaml",
    ".cnf",
    ".conf",
    ".cfg",
    ".cf",
    ".ini",
    ".properties",
    ".toml",
    ".go",
)
"""Files in which a value needs no quotes."""

_SHOWN_NOWHERE = ""


class Sighting(NamedTuple):
    """A secret's kind and where it is, never the secret itself.

    ``path`` and ``line`` are those of the new file, for a removed line of the old one; with no path it is a
    line of the patch's own text, as the message of a mail.
    """

    kind: str
    path: str
    line: int

    def __str__(self) -> str:
        """Return ``<kind> at <path>:<line>``."""
        where = f"{self.path}:{self.line}" if self.path else f"line {self.line} of the patch"
        return f"{self.kind} at {where}"


class Sightings(NamedTuple):
    """What was seen in one patch: what it adds, what it removes or leaves, and what only may be a secret."""

    added: tuple[Sighting, ...] = ()
    kept: tuple[Sighting, ...] = ()
    doubtful: tuple[Sighting, ...] = ()


class _Line(NamedTuple):
    """What a line of a patch is: its mark ("" outside of hunks), and its place in the file."""

    mark: str
    path: str
    number: int


def scan_patch(data: bytes, patch: Patch, *, reverse: bool = False) -> Sightings:
    """Return the secrets in a patch, as given and as parsed. Linear in its size.

    With ``reverse`` it is taken back: what its text adds is what it removes.
    """
    stretches = find_stretches(data)
    random = list(find_random_strings(data))
    added: list[Sighting] = []
    kept: list[Sighting] = []
    doubtful: list[Sighting] = []
    if stretches or random:
        text = _PatchText(data, patch)
        for mark, sighting, sure in text.search(stretches):
            stays = mark in (" ", "+" if reverse else "-")
            (doubtful if not sure else kept if stays else added).append(sighting)
        doubtful = [each for each in doubtful if each.path]
        doubtful += text.locate(random)
    for file in patch.files:
        path = show_path(file.new_path or file.old_path or b"")
        comes, goes = (file.backward, file.forward) if reverse else (file.forward, file.backward)
        added += _scan_binary(comes, path)
        kept += _scan_binary(goes, path)
    return Sightings(*(tuple(dict.fromkeys(each)) for each in (added, kept, doubtful)))


class _PatchText:
    """The lines of a patch, each known for what it is. Made only where there is something to look at."""

    def __init__(self, data: bytes, patch: Patch) -> None:
        self._lines = data.split(b"\n")
        self._starts = [0, *accumulate(len(line) + 1 for line in self._lines)]
        self._hunks = sorted(
            ((hunk.at_line, file, hunk) for file in patch.files for hunk in file.hunks),
            key=lambda each: each[0],
        )
        self._known: dict[int, dict[int, _Line]] = {}
        self._binary = [range(*self._binary_lines(half)) for file in patch.files for half in _halves(file)]

    def search(self, stretches: Sequence[Stretch]) -> Iterator[tuple[str, Sighting, bool]]:
        """Yield each find: the mark of its line, where it is, and whether it is sure."""
        from ledger.secrets import detectors

        for stretch in stretches:
            first = self._index(stretch.start)
            for index in range(first, self._index(max(stretch.start, stretch.end - 1)) + 1):
                at = self._starts[index]
                text = self._lines[index][max(0, stretch.start - at) : stretch.end - at]
                line = self.line(index)
                if line is None or (stretch.shape == "bare" and not line.path.endswith(SETTINGS_SUFFIXES)):
                    continue
                text = text[1:] if line.mark and stretch.start <= at else text
                for found in detectors.search(text, line.path):
                    if not (line.mark and self._is_allowed(index, line)):
                        yield line.mark, Sighting(found.kind, line.path, line.number), found.sure

    def locate(self, offsets: Sequence[int]) -> Iterator[Sighting]:
        """Yield where strings are that look random, of those in added lines."""
        for offset in offsets:
            line = self.line(self._index(offset))
            if line is not None and line.mark == "+":
                yield Sighting("random string", line.path, line.number)

    def line(self, index: int) -> _Line | None:
        """Return what a line is, by its index; None inside binary content, which is searched by itself."""
        if any(index in lines for lines in self._binary):
            return None
        at = bisect_right(self._hunks, index, key=lambda each: each[0]) - 1
        if at >= 0:
            if at not in self._known:
                self._known = {at: dict(self._hunk_lines(*self._hunks[at]))}
            if index in self._known[at]:
                return self._known[at][index]
        return _Line("", _SHOWN_NOWHERE, index + 1)

    def _index(self, offset: int) -> int:
        return bisect_right(self._starts, offset) - 1

    def _hunk_lines(self, at_line: int, file: FilePatch, hunk: Hunk) -> Iterator[tuple[int, _Line]]:
        path = show_path(file.new_path or file.old_path or b"")
        old_left, new_left, index = hunk.old_count, hunk.new_count, at_line
        old_number, number = hunk.old_start, hunk.new_start
        while (old_left or new_left) and index < len(self._lines):
            mark = chr(self._lines[index][0]) if self._lines[index] else " "
            if mark != "\\":
                yield index, _Line(mark, path, old_number if mark == "-" else number)
                old_left -= mark != "+"
                new_left -= mark != "-"
                old_number += mark != "+"
                number += mark != "-"
            index += 1

    def _binary_lines(self, half: BinaryDelta) -> tuple[int, int]:
        try:
            return half.at_line, self._lines.index(b"", half.at_line)
        except ValueError:
            return half.at_line, len(self._lines)

    def _is_allowed(self, index: int, line: _Line) -> bool:
        from ledger.secrets.detectors import is_allowlisted

        def text(at: int) -> str:
            return self._lines[at][1:].decode("utf-8", "replace").rstrip("\r")

        before = self.line(index - 1)
        follows = before is not None and before.mark in ("+", " ")
        return is_allowlisted(line.path, text(index), text(index - 1) if follows else "")


def _halves(file: FilePatch) -> Iterator[BinaryDelta]:
    yield from (half for half in (file.forward, file.backward) if half is not None)


def _scan_binary(half: BinaryDelta | None, path: str) -> Iterator[Sighting]:
    """Yield the secrets in binary content; of a delta in what it inserts."""
    stretches = [] if half is None else find_stretches(half.data)
    if half is None or not stretches:
        return
    from ledger.secrets.detectors import search_stretches

    for offset, found in search_stretches(half.data, stretches):
        if found.sure:
            yield Sighting(found.kind, path, half.data.count(b"\n", 0, offset) + 1)
