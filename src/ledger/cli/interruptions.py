"""Interruptions: what Ctrl-C left, read from the log itself, in one line."""

from __future__ import annotations

import os
import signal
from itertools import takewhile
from threading import Timer
from typing import TYPE_CHECKING

from ledger.cli.output import count_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from ledger.cli.session import Session
    from ledger.events import AnyEvent
    from ledger.reading import LedgerReader

_SHOWN = 3
_AGAIN_S = 0.01


def hear_interrupts() -> None:
    """Let Ctrl-C raise `KeyboardInterrupt` where it can be caught, unless it is to be ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _raise)


def _raise(number: int, frame: FrameType | None) -> None:
    """Raise `KeyboardInterrupt`, or a moment later: Python drops what is raised inside a finalizer."""
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            Timer(_AGAIN_S, os.kill, [os.getpid(), number]).start()
            return
        frame = frame.f_back
    raise KeyboardInterrupt


def state_left(session: Session) -> str:
    """Return what a command that was interrupted has recorded, and which state that is.

    The log is read anew: an event may have reached the disk though the command did not get to know. Another
    Ctrl-C counts for nothing meanwhile.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not session.writes:
        return "interrupted; nothing was recorded"
    from ledger.errors import LedgerError
    from ledger.reading import LedgerReader

    try:
        with LedgerReader.open(session.directory) as ledger:
            recorded = list(_recorded(ledger, session))
            return f"interrupted; {_told(ledger, recorded)}"
    except (LedgerError, OSError):
        return "interrupted; the ledger cannot be read now: `ledger log` tells what was recorded"


def _recorded(ledger: LedgerReader, session: Session) -> Iterator[str]:
    """Yield the events since the command began, run by run in their order."""

    def is_new(event: AnyEvent) -> bool:
        return event.at_ns >= session.began_ns or event.reference in known

    known = {event.reference for event in session.appended}
    for run, head in ledger.store.heads().items():
        found = [event.reference for event in takewhile(is_new, ledger.events_backward(run, head.v))]
        yield from reversed(found)


def _told(ledger: LedgerReader, recorded: Sequence[str]) -> str:
    if not recorded:
        return "nothing was recorded"
    if len(recorded) > _SHOWN:
        said = f"{count_of(len(recorded), 'event')} were recorded, {recorded[0]} to {recorded[-1]}"
    else:
        said = f"{', '.join(recorded)} {'was' if len(recorded) == 1 else 'were'} recorded"
    found = ledger.status()
    if found.run is None:
        return said
    behind = "; the next writing command brings the work tree there" if found.pending else ""
    return f"{said}; the candidate is tree {found.candidate[:12]}{behind}"
