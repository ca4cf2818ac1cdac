"""Where a loosely written hunk belongs in a file, by its content: one place, or a refusal.

Context lines may differ from the file's in ways that mails and editors are known for, and the file's
own lines stay. Removed lines are held to their text: they show that the added ones were kept too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from patches.dialects.loose import LooseHunk, LooseLine
from patches.dialects.model import AmbiguousPatch
from patches.errors import PatchError, PatchSyntaxError, show_path

Key: TypeAlias = Callable[[bytes], bytes]
_MOST_SHOWN = 8
_WORK_PER_LINE = 32


def _exact(line: bytes) -> bytes:
    return line


def _without_return(line: bytes) -> bytes:
    return line.removesuffix(b"\r")


def _without_end(line: bytes) -> bytes:
    return line.rstrip()


def _squeezed(line: bytes) -> bytes:
    return b" ".join(line.split())


LEVELS: tuple[tuple[str, Key, Key], ...] = (
    ("", _exact, _exact),
    ("line endings", _without_return, _without_return),
    ("trailing spaces", _without_end, _without_return),
    ("spaces of context", _squeezed, _without_return),
)
"""Step name, what of a context line has to agree, and what of a removed one. The first that fits counts."""


class Place(NamedTuple):
    """A hunk's first line in the file (from 0), and at which level it agrees."""

    at: int
    level: int


class UnplacedHunk(PatchError):
    """A hunk's lines are nowhere in the file, however its whitespace is read."""

    def __init__(self, path: bytes, hunk: LooseHunk) -> None:
        super().__init__(
            f"{show_path(path)}: the lines of the hunk at patch line {hunk.at_line} are nowhere in the file"
        )
        self.path = path
        self.at_line = hunk.at_line


class Placer:
    """Finds the places of one file's hunks, within a number of comparisons linear in file and patch."""

    def __init__(self, path: bytes, lines: Sequence[bytes], hunks: Sequence[LooseHunk]) -> None:
        """Args: ``lines`` are the file's, without newlines."""
        self._path = path
        self._lines = lines
        self._hunks = hunks
        self._work = _WORK_PER_LINE * (len(lines) + sum(len(hunk.lines) for hunk in hunks) + 64)
        self._indexes: dict[int, dict[bytes, list[int]]] = {}

    def places(self) -> list[Place]:
        """Return a place for each hunk.

        The numbers of the headers decide only where all of them, and all counts, agree with the file.

        Raises:
            UnplacedHunk: one is nowhere.
            AmbiguousPatch: one is at several places, or it has no line to be found by.
        """
        stated = self._stated()
        return stated if stated is not None else [self._search(hunk) for hunk in self._hunks]

    def _stated(self) -> list[Place] | None:
        if not all(hunk.counted and hunk.start is not None for hunk in self._hunks):
            return None
        places: list[Place] = []
        for hunk in self._hunks:
            old = old_lines(hunk)
            at = (hunk.start or 0) - (1 if old else 0)
            level = next((n for n in range(len(LEVELS)) if self._agrees(old, at, n)), None)
            if level is None or at < 0:
                return None
            places.append(Place(at, level))
        return places

    def _search(self, hunk: LooseHunk) -> Place:
        old = old_lines(hunk)
        if not old and self._lines:
            raise AmbiguousPatch(
                f"{show_path(self._path)}: the hunk at patch line {hunk.at_line} has no line of the old file",
                ("before any line",),
                "give it some lines of context",
            )
        for level in range(len(LEVELS)):
            found = self._find(old, level)
            if len(found) == 1:
                return Place(found[0], level)
            if found:
                raise AmbiguousPatch(
                    f"{show_path(self._path)}: the hunk at patch line {hunk.at_line}",
                    [f"at line {at + 1}" for at in found[:_MOST_SHOWN]]
                    + (["…"] if len(found) > _MOST_SHOWN else []),
                    "give it more lines of context, or right line numbers and counts",
                )
        raise UnplacedHunk(self._path, hunk)

    def _find(self, old: Sequence[LooseLine], level: int) -> list[int]:
        """Return the places where ``old`` stands, not many more than can be shown."""
        if not old:
            return [0]
        index = self._index(level)
        widest = LEVELS[level][1]
        # Only lines that share the rarest one's place need a comparison.
        rarest = min(range(len(old)), key=lambda n: len(index.get(widest(old[n].text), ())))
        found: list[int] = []
        for at in index.get(widest(old[rarest].text), ()):
            if self._agrees(old, at - rarest, level):
                found.append(at - rarest)
                if len(found) > _MOST_SHOWN:
                    break
        return found

    def _index(self, level: int) -> dict[bytes, list[int]]:
        if level not in self._indexes:
            index: dict[bytes, list[int]] = {}
            key = LEVELS[level][1]
            for at, line in enumerate(self._lines):
                index.setdefault(key(line), []).append(at)
            self._indexes[level] = index
        return self._indexes[level]

    def _agrees(self, old: Sequence[LooseLine], at: int, level: int) -> bool:
        if at < 0 or at + len(old) > len(self._lines):
            return False
        _, context_key, removed_key = LEVELS[level]
        for have, want in zip(self._lines[at : at + len(old)], old, strict=True):
            self._work -= 1
            key = context_key if want.mark == b" " else removed_key
            if have != want.text and key(have) != key(want.text):
                return False
            if self._work < 0:
                raise PatchSyntaxError(
                    1, f"{show_path(self._path)} repeats itself too often to place hunks in"
                )
        return True


def old_lines(hunk: LooseHunk) -> list[LooseLine]:
    """Return the lines that a hunk expects in the old file."""
    return [line for line in hunk.lines if line.mark != b"+"]
