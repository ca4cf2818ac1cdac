"""Errors of references to events, and to files of their states."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.errors import LedgerError
from patches.errors import show_path


class UnknownReference(LedgerError):
    """A reference names no event. Nothing was written."""

    hint = "`ledger log` lists the events of a run, `ledger run list` the runs"

    def __init__(self, reference: str, reason: str) -> None:
        self.reference, self.reason = reference, reason
        super().__init__(f"{reference}: {reason}")


class AmbiguousReference(UnknownReference):
    """A reference names several events. Nothing was written."""

    hint = "name one of them, as `<run>:<version>`"

    def __init__(self, reference: str, candidates: Sequence[str]) -> None:
        self.candidates = tuple(candidates)
        super().__init__(reference, f"ambiguous, one of {', '.join(candidates)}")


class NoSuchPath(LedgerError):
    """A state has no file at a path. Nothing was written."""

    def __init__(self, event: str, path: bytes, elsewhere: Sequence[bytes], *, directory: bool) -> None:
        self.event, self.path, self.elsewhere = event, path, tuple(elsewhere)
        self.hint = f"`ledger state --candidate --at {event}` lists the files"
        what = "is a directory" if directory else "there is no such file"
        others = f"; there is {', '.join(map(show_path, elsewhere[:3]))}" if elsewhere else ""
        super().__init__(f"{show_path(path)}: {what} at {event}{others}")
