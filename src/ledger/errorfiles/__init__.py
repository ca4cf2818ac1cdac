"""Old error files, as people and scripts kept them for years: what they hold, and what of it is an error.

Pure: text in, `ErrorFile` out. Nothing is dropped: every stretch of the text that is not blank is an error,
a template that was never filled in, a frame around them (a fence, a table's head), or left over with the
reason.

See: ``docs/old-error-files.md``.
"""

from __future__ import annotations

from ledger.errorfiles.model import ErrorFile, FoundError, Piece, State
from ledger.errorfiles.parsing import parse_error_file
from ledger.errorfiles.questions import FoundQuestion, parse_questions

__all__ = [
    "ErrorFile",
    "FoundError",
    "FoundQuestion",
    "Piece",
    "State",
    "parse_error_file",
    "parse_questions",
]
