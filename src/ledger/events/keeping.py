"""Events of the ledger itself: what came in, what was repaired, and what was let go."""

from __future__ import annotations

from msgspec import Struct

from ledger.events.base import Event


class LedgerRecovered(Event, frozen=True, kw_only=True, tag="ledger.recovered/1"):
    """A torn tail, never acknowledged, was set aside in ``quarantine/`` before ``position``."""

    position: int
    quarantine: str
    size_bytes: int


class RunImported(Event, frozen=True, kw_only=True, tag="run.imported/1"):
    """The events of run ``of`` up to ``last_v`` were copied from another ledger, in this append or before.

    ``digest`` is that of the last one, ``source`` the name of the file. The run's home is elsewhere:
    nobody goes on with it here.
    """

    of: str
    last_v: int
    digest: str
    source: str = ""


class BodyDropped(Event, frozen=True, kw_only=True, tag="body.dropped/1"):
    """The bodies ``bodies`` that event ``of`` (``<run>:<v>``) names were deleted; ``reason`` is a body.

    Every other event that names one of them has lost it too.
    """

    of: str
    bodies: tuple[str, ...]
    reason: str | None = None


class RetiredRun(Struct, frozen=True):
    """A run whose events and bodies retention took: its name, its last version, and that event's digest."""

    run: str
    last_v: int
    digest: str
    finished_at_ns: int


class RetentionApplied(Event, frozen=True, kw_only=True, tag="retention.applied/1"):
    """The finished runs ``runs`` were taken out of the ledger: what ended before ``before_ns``."""

    before_ns: int
    runs: tuple[RetiredRun, ...]
