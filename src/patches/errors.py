"""Errors of the patch engine: one class for each different thing a caller can do about it.

Facts are attributes and the message is built from them. Paths in messages are shown as Git
quotes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from patches.explanation import describe, explain_hunk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from patches.explanation import Explanation
    from patches.model import Hunk
    from patches.threeway import Conflict


def show_path(path: bytes) -> str:
    """Return ``path`` for a person: UTF-8 as it is, anything else escaped like ``core.quotePath``."""
    try:
        text = path.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if text and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    quoted = "".join(_ESCAPES.get(b) or (chr(b) if 32 <= b < 127 else f"\\{b:03o}") for b in path)
    return f'"{quoted}"'


_SHOWN_PLACES = 8
_ESCAPES = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}


class PatchError(Exception):
    """Base of everything the engine raises about a patch. Nothing was written.

    ``hint`` is for callers: what helps, in terms of their commands and of what they know.
    """

    hint: str = ""


class PatchSyntaxError(PatchError):
    """The text is not a well-formed patch: it is damaged, cut off or not a diff."""

    def __init__(
        self, at_line: int, reason: str, fault: str = "corrupt patch", shown: bytes | None = None
    ) -> None:
        """Say what is wrong and where; ``fault`` is what Git calls it, and ``shown`` what it shows of it."""
        super().__init__(f"patch line {at_line}: {reason}")
        self.at_line = at_line
        self.reason = reason
        self.fault = fault
        self.shown = shown


class EmptyPatch(PatchError):
    """The text holds no diff at all."""

    def __init__(self) -> None:
        super().__init__("the patch holds no diff")


class PatchTooLarge(PatchError):
    """The patch, or what it would make of a small text, is larger than anything that is meant as one.

    It is refused before the memory is taken.
    """

    def __init__(self, what: str, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(f"{what} is {size_bytes} bytes large; {limit_bytes} are allowed")
        self.what = what
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class FileRefused(PatchError):
    """Base of the refusals that concern one path of the tree."""

    def __init__(self, path: bytes, reason: str) -> None:
        super().__init__(f"{show_path(path)}: {reason}")
        self.path = path
        self.reason = reason


class HunkMismatch(FileRefused):
    """A hunk's lines are nowhere in the file, or nowhere where they may be.

    ``line`` (from 1) is where the file first differs from what the hunk expects, compared at the
    place that the hunk names. ``want`` and ``got`` are the lines there, terminator included;
    None is the end of the file. What else there is to say costs a search, and is found when
    it is asked for: ``explanation``, which is also part of the message.
    """

    def __init__(self, path: bytes, *, hunk: int, hunks: int, wanted: Hunk, content: bytes) -> None:
        super().__init__(path, f"hunk {hunk} of {hunks} does not apply at line {max(wanted.old_start, 1)}")
        self.hunk = hunk
        self.hunks = hunks
        self.wanted = wanted
        self.content = content

    @cached_property
    def explanation(self) -> Explanation:
        """Where the hunk nearly fits, and what differs there."""
        return explain_hunk(self.content, self.wanted)

    @property
    def line(self) -> int:
        """Where the file first differs from the hunk."""
        return self.explanation.line

    @property
    def want(self) -> bytes | None:
        """The line that the hunk expects there."""
        return self.explanation.want

    @property
    def got(self) -> bytes | None:
        """The line that is there."""
        return self.explanation.got

    def __str__(self) -> str:
        """Say where and why, with the lines that differ."""
        where = f"{show_path(self.path)}: hunk {self.hunk} of {self.hunks} does not apply at line {self.line}"
        return f"{where}\n{describe(self.explanation)}"


class AmbiguousHunk(FileRefused):
    """A hunk is not where its header says, and fits at several other places equally well.

    ``lines`` (from 1) are the places, in the file as the hunks before it left it, the nearest first.
    """

    def __init__(self, path: bytes, *, hunk: int, hunks: int, lines: tuple[int, ...]) -> None:
        shown = ", ".join(map(str, sorted(lines)[:_SHOWN_PLACES]))
        more = f" and {len(lines) - _SHOWN_PLACES} more" if len(lines) > _SHOWN_PLACES else ""
        super().__init__(
            path,
            f"hunk {hunk} of {hunks} is not at the line that it names, and fits at the lines {shown}{more}",
        )
        self.hunk = hunk
        self.hunks = hunks
        self.lines = lines


class WhitespaceRefused(FileRefused):
    """The patch adds whitespace errors, and they were to be refused.

    ``lines`` are those of the patch, from 1.
    """

    def __init__(self, path: bytes, errors: Sequence[tuple[int, str]]) -> None:
        shown = "; ".join(f"patch line {line}: {what}" for line, what in errors[:_SHOWN_PLACES])
        more = f"; and {len(errors) - _SHOWN_PLACES} more" if len(errors) > _SHOWN_PLACES else ""
        super().__init__(path, f"whitespace errors are added ({shown}{more})")
        self.lines = tuple(line for line, _ in errors)


class ContentMismatch(FileRefused):
    """The file's content is not the one that a binary patch or a deletion was made from."""


class MissingFile(FileRefused):
    """The patch changes, renames or deletes a path that the tree does not have."""

    def __init__(self, path: bytes, reason: str = "does not exist") -> None:
        super().__init__(path, reason)


class AlreadyExists(FileRefused):
    """The patch creates a path that the tree already has."""

    def __init__(self, path: bytes, reason: str = "already exists") -> None:
        super().__init__(path, reason)


class ContradictoryNames(FileRefused):
    """The ``---`` and ``+++`` lines of a plain diff name two different files, and both exist."""

    def __init__(self, path: bytes, other: bytes) -> None:
        super().__init__(path, f"the patch names {show_path(other)} too, and both exist: which one is meant?")
        self.other = other


class WrongMode(FileRefused):
    """The path's type is not the one that the patch states, or no file can have that mode."""


class UnsafePath(FileRefused):
    """The path leads outside the repository, into ``.git``, or through something that is no directory."""


class MissingBinary(FileRefused):
    """The patch says that a binary file changed but does not carry the change."""


class OverlappingParts(FileRefused):
    """Two parts of one patch treat the same path in ways that depend on their order."""


class MissingObject(PatchError):
    """The repository does not have an object that its own tree names."""

    def __init__(self, oid: bytes) -> None:
        super().__init__(f"object {oid.hex()} is not in the repository")
        self.oid = oid


class ConflictRefused(PatchError):
    """Base of the refusals of a three-way merge: ``conflicts`` are files on which both sides disagree."""

    def __init__(self, conflicts: Sequence[Conflict]) -> None:
        count = "1 file is" if len(conflicts) == 1 else f"{len(conflicts)} files are"
        where = "".join(f"\n  {each}" for each in conflicts)
        super().__init__(f"{count} in conflict, and nothing was applied{where}")
        self.conflicts = tuple(conflicts)


class MergeConflict(ConflictRefused):
    """A three-way merge leaves files on which both sides disagree. Nothing was applied."""


class UnmarkableConflict(ConflictRefused):
    """Of the files in conflict, some can hold no markers: binary files, symlinks. ``conflicts`` are those."""
