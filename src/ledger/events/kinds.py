"""The kinds: every event that this version knows, and the events as bytes."""

from __future__ import annotations

from hashlib import sha256
from typing import TypeAlias, get_args

import msgspec
from msgspec import Raw, Struct

from ledger.events.base import Event, UnknownEvent
from ledger.events.gates import GateMeasured, TicketClosed, TicketOpened
from ledger.events.keeping import BodyDropped, LedgerRecovered, RetentionApplied, RunImported
from ledger.events.patches import ChecksVerified, PatchApplied, PatchRefused, PatchRolledBack
from ledger.events.questions import ErrorCaptured, QuestionAnswered, QuestionRetired
from ledger.events.runs import CommitSeen, PhaseEntered, PolicySet, RunFinished, RunRebased, RunStarted
from ledger.upcasts import Fields, upcast

KnownEvent: TypeAlias = (
    RunStarted
    | RunRebased
    | RunFinished
    | PhaseEntered
    | PolicySet
    | PatchApplied
    | PatchRefused
    | PatchRolledBack
    | ChecksVerified
    | GateMeasured
    | TicketOpened
    | TicketClosed
    | ErrorCaptured
    | QuestionAnswered
    | QuestionRetired
    | CommitSeen
    | LedgerRecovered
    | RunImported
    | BodyDropped
    | RetentionApplied
)
AnyEvent: TypeAlias = KnownEvent | UnknownEvent
TreeEvent: TypeAlias = RunStarted | RunRebased | PatchApplied | PatchRolledBack
"""The kinds that change the candidate."""


class _Kind(Struct):
    kind: str


_known = msgspec.json.Decoder(KnownEvent)
_unknown = msgspec.json.Decoder(UnknownEvent)
_kind = msgspec.json.Decoder(_Kind)
_encoder = msgspec.json.Encoder()
KINDS = frozenset(str(kind.__struct_config__.tag) for kind in get_args(KnownEvent))


def encode_event(event: Event) -> bytes:
    """Return the canonical JSON of an event: the bytes that its digest covers."""
    return _encoder.encode(event)


def parse_event(data: bytes | Raw) -> AnyEvent:
    """Return the event that ``data`` holds, upcast where it is of an old version of its kind.

    An unknown kind gives an `UnknownEvent`, and so does a version later than the one known here.

    Raises:
        msgspec.DecodeError: The bytes are no event.
    """
    try:
        return _known.decode(data)
    except msgspec.ValidationError:
        # Only what is not of a newest version comes here, so upcasting costs the others nothing.
        if _kind.decode(data).kind in KINDS:
            raise
        fields = upcast(msgspec.json.decode(data), KINDS)
        if fields is None:
            return _unknown.decode(data)
        known: KnownEvent = msgspec.convert(fields, KnownEvent)
        return known


def parse_fields(data: bytes | Raw) -> Fields:
    """Return all fields of an event, upcast as `parse_event` does; those of an unknown kind as they are."""
    fields: Fields = msgspec.json.decode(data)
    return (None if fields["kind"] in KINDS else upcast(fields, KINDS)) or fields


def event_digest(data: bytes | Raw) -> str:
    """Return the digest that the run's next event carries as ``prev``."""
    digest = sha256(b"ledger-event/1\n")
    digest.update(data)
    return digest.hexdigest()


def body_digest(data: bytes) -> str:
    """Return the name of a body: its SHA-256 in hexadecimal."""
    return sha256(data).hexdigest()


def tree_after(event: AnyEvent) -> str | None:
    """Return the candidate that an event leaves, None where it leaves the one before."""
    if isinstance(event, RunStarted):
        return event.base_tree
    return event.result_tree if isinstance(event, TreeEvent) else None
