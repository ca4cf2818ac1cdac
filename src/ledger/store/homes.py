"""Homes: what names a ledger among many, so that a run is known by its home and its name."""

from __future__ import annotations

from ledger.events import LEDGER_RUN, RunImported
from ledger.store.local import LocalStore


def home_of(store: LocalStore) -> str:
    """Return the home of a ledger's own runs: the hash of its first own frame, "" in an empty log.

    A log that begins with an imported run begins with another ledger's events, and two that took in the same
    run first begin with the same frame. There it is the hash of the event that says what was imported.
    Neither retention nor archiving changes it; a copy of the directory has the same.
    """
    first = store.segments.first_link()
    if first is None:
        return ""
    if LEDGER_RUN in store.heads():
        said_at = 0
        for frame in store.of_run(LEDGER_RUN):
            said_at = said_at or frame.s
            event = frame.event
            if isinstance(event, RunImported):
                # Nothing but the run's own events is before the first that was said, and before this one.
                first_of_all = (said_at, frame.s) == (event.last_v + 1, event.last_v + event.v)
                return frame.h if first_of_all else first.hash
    return first.hash
