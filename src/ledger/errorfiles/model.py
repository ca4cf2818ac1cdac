"""What an old error file holds: its text in pieces, each with what it is."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from functools import cached_property
from itertools import accumulate
from typing import Literal, TypeAlias

from msgspec import Struct

State: TypeAlias = Literal["open", "answered", "retired"]
Kind: TypeAlias = Literal["error", "template", "frame", "left"]


class FoundError(Struct, frozen=True, kw_only=True):
    """One error as a file tells it.

    ``asked_at`` is the time as it stands there, "" where there is none or where it was never filled in:
    a time is not invented, and one without a zone is not guessed. ``answer`` is what closed it, the reason
    where it was retired; ``status`` what a table says of it, in its words; ``marks`` what is odd about it.
    """

    step: str
    message: str
    context: str = ""
    asked_at: str = ""
    state: State = "open"
    answer: str = ""
    status: str = ""
    marks: tuple[str, ...] = ()


class Piece(Struct, frozen=True):
    """A stretch of a text, by offsets in characters, ``end`` excluded.

    ``why`` says of what is left over, of a template and of a frame what it is.
    """

    start: int
    end: int
    kind: Kind
    why: str = ""
    error: FoundError | None = None


class Gap(Exception):
    """A parser lost a stretch of its text: a fault of ours, never of the text."""


class ErrorFile:
    """A text and its pieces, in order. Each character that is not blank is in exactly one of them.

    Args:
        name: What messages call it.
        text: All of it, with line feeds between lines.
        pieces: What it holds, in any order.

    Raises:
        Gap: The pieces overlap, or leave something out.
    """

    def __init__(self, name: str, text: str, pieces: Iterable[Piece]) -> None:
        self.name = name
        self.text = text
        self.pieces = tuple(sorted(pieces, key=lambda piece: piece.start))
        at = 0
        for piece in self.pieces:
            if piece.start < at or piece.end <= piece.start or text[at : piece.start].strip():
                raise Gap(f"{name}: offsets {at} to {piece.start}")
            at = piece.end
        if text[at:].strip():
            raise Gap(f"{name}: offsets {at} to {len(text)}")

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *accumulate(len(line) + 1 for line in self.text.split("\n"))]

    def line_of(self, offset: int) -> int:
        """Return the line that a character is in, counted from 1."""
        return bisect_right(self._starts, offset)

    def lines_of(self, piece: Piece) -> str:
        """Return the lines of a piece, as in ``12`` or ``12-15``."""
        first, last = self.line_of(piece.start), self.line_of(piece.end - 1)
        return str(first) if first == last else f"{first}-{last}"

    def of_kind(self, kind: Kind) -> list[Piece]:
        """Return the pieces of one kind, in order."""
        return [piece for piece in self.pieces if piece.kind == kind]

    @property
    def line_count(self) -> int:
        """How many lines the text has."""
        return self.text.count("\n") + (not self.text.endswith("\n") and self.text != "")
