"""Parsing: a whole file, whatever is mixed in it: rows among prose, prose among rows, pointers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from ledger.errorfiles import marks
from ledger.errorfiles.jsonvalues import NOT_JSON
from ledger.errorfiles.markdown import parse_markdown
from ledger.errorfiles.model import ErrorFile, Piece
from ledger.errorfiles.pointers import find_pointers
from ledger.errorfiles.rows import parse_rows

_OPENING: Final = ("{", "[")


def parse_error_file(text: str, name: str) -> ErrorFile:
    """Return what a file holds.

    Args:
        text: All of it, as `ingestion.read_text` gives it.
        name: What messages call it.
    """
    pointers = find_pointers(text)
    pieces = list(pointers)
    at = 0
    for pointer in [*pointers, None]:
        end = pointer.start if pointer else len(text)
        pieces += _parse_stretch(text, at, end)
        at = pointer.end if pointer else end
    pieces.sort(key=lambda piece: piece.start)
    return ErrorFile(name, text, _mark_copies(pieces))


def _parse_stretch(text: str, start: int, end: int) -> list[Piece]:
    """Parse as what it begins as; what that leaves over may be the other."""
    parsed: list[Piece] = []
    if text[start:end].lstrip().startswith(_OPENING):
        for piece in _join_prose(parse_rows(text, start, end)):
            parsed += parse_markdown(text, piece.start, piece.end) if piece.why == NOT_JSON else (piece,)
    else:
        for piece in parse_markdown(text, start, end):
            parsed += _parse_rows_in(text, piece) if piece.kind == "left" else (piece,)
    return parsed


def _join_prose(pieces: Iterable[Piece]) -> list[Piece]:
    """Join neighbouring lines that are no JSON: they may be one question."""
    joined: list[Piece] = []
    for piece in pieces:
        if joined and joined[-1].why == piece.why == NOT_JSON:
            joined[-1] = replace(joined[-1], end=piece.end)
        else:
            joined.append(piece)
    return joined


def _parse_rows_in(text: str, piece: Piece) -> Sequence[Piece]:
    """Return a stretch of prose with the rows of JSON that stand in it on lines of their own."""
    if "{" not in text[piece.start : piece.end]:
        return (piece,)
    parts: list[Piece] = []
    for part in parse_rows(text, piece.start, piece.end):
        known = part.kind in ("error", "template")
        last = parts[-1] if parts else None
        if known or last is None or last.kind != "left":
            parts.append(part if known else Piece(part.start, part.end, "left", piece.why))
        else:
            parts[-1] = replace(last, end=part.end)
    return parts


def _mark_copies(pieces: Sequence[Piece]) -> list[Piece]:
    """Mark the errors that stand further up with the same time: copied, not met again."""
    seen: set[tuple[str, ...]] = set()
    marked: list[Piece] = []
    for piece in pieces:
        error = piece.error
        if error is not None and error.asked_at:
            key = (error.asked_at, error.step, error.message, error.context)
            if key in seen:
                piece = replace(piece, error=replace(error, marks=(*error.marks, marks.COPY)))  # noqa: PLW2901
            seen.add(key)
        marked.append(piece)
    return marked
