"""Where a patch comes from: the bytes that were handed over, how they were read, and whose they are."""

from __future__ import annotations

from msgspec import Struct

from ledger.applyflags import NO_FLAGS, ApplyFlags


class Provenance(Struct, frozen=True, kw_only=True):
    """What an event says of a patch besides what it does.

    ``given`` are the bytes as they were handed over, None where those are the patch itself. ``normalised``
    names what was done to them before the engine read them. ``author``, ``date`` and ``message`` are those
    of a mail, "" where it was none.
    """

    source: str = ""
    given: bytes | None = None
    flags: ApplyFlags = NO_FLAGS
    normalised: tuple[str, ...] = ()
    author: str = ""
    date: str = ""
    message: str = ""
