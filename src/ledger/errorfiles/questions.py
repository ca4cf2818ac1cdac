"""Questions for whoever lists them: each with its line, its state and its words."""

from __future__ import annotations

from msgspec import Struct

from ledger.errorfiles.model import State
from ledger.errorfiles.parsing import parse_error_file


class FoundQuestion(Struct, frozen=True, kw_only=True):
    """A question that stands in a text; ``line`` counts from 1, ``status`` is what a table says of it."""

    line: int
    state: State
    step: str
    message: str
    asked_at: str = ""
    status: str = ""
    marks: tuple[str, ...] = ()


def parse_questions(text: str, name: str) -> list[FoundQuestion]:
    """Return the questions in a text, Markdown or JSON, in the order in which they stand there.

    Templates that were never filled in are none.

    Args:
        text: All of it, as `ingestion.read_text` gives it.
        name: What messages call it.
    """
    found = parse_error_file(text, name)
    return [
        FoundQuestion(
            line=found.line_of(piece.start),
            state=piece.error.state,
            step=piece.error.step,
            message=piece.error.message,
            asked_at=piece.error.asked_at,
            status=piece.error.status,
            marks=piece.error.marks,
        )
        for piece in found.pieces
        if piece.error is not None
    ]
