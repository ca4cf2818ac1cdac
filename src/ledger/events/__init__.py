"""The events: what happened, as values that are their own wire form.

An event knows neither its position in a log nor any other frame, so it can be copied to
another ledger and stay the same event. Object ids are 40 hexadecimal digits, modes are Git's
six octal digits, times are nanoseconds since 1970 UTC. Paths are strings, or ``{"b64": …}``
where their bytes are not UTF-8. Free text (patches, notes, error messages) is never in an
event: it is a body, named by its SHA-256.

See: ``docs/format.md``, "Events".
"""

from ledger.events.base import LEDGER_RUN, NO_DIGEST, RUN_NAME, Event, UnknownEvent
from ledger.events.gates import GateMeasured, TicketClosed, TicketOpened
from ledger.events.keeping import BodyDropped, LedgerRecovered, RetentionApplied, RetiredRun, RunImported
from ledger.events.kinds import (
    KINDS,
    AnyEvent,
    KnownEvent,
    TreeEvent,
    body_digest,
    encode_event,
    event_digest,
    parse_event,
    parse_fields,
    tree_after,
)
from ledger.events.patches import (
    ApplyOptions,
    Cause,
    CheckFound,
    ChecksVerified,
    PatchApplied,
    PatchRefused,
    PatchRolledBack,
)
from ledger.events.questions import ErrorCaptured, ErrorCause, QuestionAnswered, QuestionRetired
from ledger.events.runs import (
    OF_COMMITS,
    CommitSeen,
    Continued,
    PhaseEntered,
    PolicySet,
    RunFinished,
    RunRebased,
    RunStarted,
)

__all__ = [
    "KINDS",
    "LEDGER_RUN",
    "NO_DIGEST",
    "OF_COMMITS",
    "RUN_NAME",
    "AnyEvent",
    "ApplyOptions",
    "BodyDropped",
    "Cause",
    "CheckFound",
    "ChecksVerified",
    "CommitSeen",
    "Continued",
    "ErrorCaptured",
    "ErrorCause",
    "Event",
    "GateMeasured",
    "KnownEvent",
    "LedgerRecovered",
    "PatchApplied",
    "PatchRefused",
    "PatchRolledBack",
    "PhaseEntered",
    "PolicySet",
    "QuestionAnswered",
    "QuestionRetired",
    "RetentionApplied",
    "RetiredRun",
    "RunFinished",
    "RunImported",
    "RunRebased",
    "RunStarted",
    "TicketClosed",
    "TicketOpened",
    "TreeEvent",
    "UnknownEvent",
    "body_digest",
    "encode_event",
    "event_digest",
    "parse_event",
    "parse_fields",
    "tree_after",
]
