"""Redaction: which bodies events name, and which of those were dropped. Pure: events in, digests out.

See: ``docs/format.md``, "Secrets and dropped bodies".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias, get_args

from ledger.events import AnyEvent, BodyDropped

BodyName: TypeAlias = Literal[
    "patch", "given", "note", "reason", "report", "output", "waived", "message", "context", "answer"
]
BODY_NAMES: tuple[BodyName, ...] = get_args(BodyName)
"""The fields that name a body which may be dropped. A base listing may not: every state rests on it."""

_LISTING = "listing"


def bodies_of(event: AnyEvent) -> dict[str, str]:
    """Return the digest of every body that an event names, by field; ``bodies`` of a drop are none."""
    named = {name: getattr(event, name, None) for name in (*BODY_NAMES, _LISTING)}
    return {name: digest for name, digest in named.items() if isinstance(digest, str) and digest}


def dropped(events: Iterable[AnyEvent]) -> dict[str, str]:
    """Return the digest of every body that is to be gone, with the event that dropped it.

    Args:
        events: All events of a ledger, in its order: who names a body after it was dropped has written
            it anew.
    """
    gone: dict[str, str] = {}
    for event in events:
        for digest in bodies_of(event).values():
            gone.pop(digest, None)
        if isinstance(event, BodyDropped):
            gone |= dict.fromkeys(event.bodies, event.reference)
    return gone


def naming(events: Iterable[AnyEvent], digests: Iterable[str]) -> list[AnyEvent]:
    """Return the events that name one of some bodies, in order."""
    wanted = set(digests)
    return [event for event in events if wanted & set(bodies_of(event).values())]
