"""The head of each run: the little that a writer must know to append its next event.

A head is a fold over the run's events that keeps constant size, so that opening a ledger and
appending cost the same at a thousand and at a million events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ledger.errors import LostRace, NotACopy
from ledger.events import (
    KINDS,
    NO_DIGEST,
    CommitSeen,
    ErrorCaptured,
    Event,
    PatchApplied,
    PatchRolledBack,
    PhaseEntered,
    PolicySet,
    QuestionAnswered,
    QuestionRetired,
    RetentionApplied,
    RunFinished,
    RunImported,
    RunRebased,
    RunStarted,
    UnknownEvent,
    event_digest,
    parse_event,
)
from ledger.policies import PhaseRule

_REFUSALS = 64
"""Open questions that a head names: those before are for people to close."""


SUPERSEDED = KINDS - {
    str(kind.__struct_config__.tag)
    for kind in (ErrorCaptured, QuestionAnswered, QuestionRetired, RetentionApplied, RunImported)
}
"""Kinds of which an event takes the place of the one before in its run: it says all of it anew."""


class RunHead(Struct, frozen=True):
    """Where a run stands after its last event.

    ``v`` and ``digest`` are the last event's version and digest, ``position`` its place in the
    log. ``tree`` is the candidate tree after version ``tree_v``, the last that changed it, and the
    state of version ``state_v``: another one after a rollback. ``commit`` is HEAD's commit as the run
    last saw it. ``phase`` is "" before the first; ``policy_v`` is the version of the policy in force
    (0: none), and ``phases`` what it says of phases. ``unknown`` is the kind of an event that
    changed the tree in a way this version does not understand, "" as long as there is none.
    ``retired`` is the event by which retention took the run: no more than its name and end is known then.
    ``imported`` says that the run's home is another ledger: it is never open here. ``finished`` says that
    it has ended. ``refusals`` are the versions of the open questions about refused patches, the last of them:
    a patch that applies may close one, and most runs have none, so that nothing is read for it.
    """

    run: str
    v: int
    digest: str
    position: int
    title: str = ""
    work_tree: str = ""
    base_tree: str = ""
    tree: str = ""
    tree_v: int = 0
    state_v: int = 0
    phase: str = ""
    policy_v: int = 0
    profile: str = ""
    phases: PhaseRule = PhaseRule()
    commit: str | None = None
    open: bool = False
    started_at_ns: int = 0
    at_ns: int = 0
    unknown: str = ""
    retired: str = ""
    imported: bool = False
    finished: bool = False
    refusals: tuple[int, ...] = ()


def retired_heads(
    event: RetentionApplied, head_of: Callable[[str], RunHead | None], position: int
) -> Iterator[RunHead]:
    """Yield the heads of the runs that a retention event takes: those that had ended as it says.

    Args:
        event: The event.
        head_of: Gives the head before; None for a run whose frames are gone already.
        position: The event's.
    """
    for run in event.runs:
        head = head_of(run.run)
        if head is not None and (
            head.open or head.retired or (head.v, head.digest) != (run.last_v, run.digest)
        ):
            continue
        yield RunHead(
            run=run.run,
            v=run.last_v,
            digest=run.digest,
            position=position,
            at_ns=run.finished_at_ns,
            retired=event.reference,
        )


class Step(NamedTuple):
    """An event that is appended: its value, the digest of its bytes, and its position in the log."""

    event: Event | UnknownEvent
    digest: str
    position: int


def advance(head: RunHead | None, steps: Sequence[Step]) -> RunHead:
    """Return the head after events of one run, in order; ``head`` is None before a run's first event."""
    changes: dict[str, Any] = {}
    refusals = () if head is None else head.refusals
    for event, _, _ in steps:
        changes |= _changes(event)
        refusals = _refusals(refusals, event)
    event, digest, position = steps[-1]
    if head is None:
        head = RunHead(run=event.run, v=event.v, digest=digest, position=position)
    return replace(
        head, v=event.v, digest=digest, position=position, at_ns=event.at_ns, refusals=refusals, **changes
    )


def from_elsewhere(head: RunHead) -> RunHead:
    """Return the head of a run that was imported: nobody goes on with it here."""
    return replace(head, imported=True, open=False)


def check_copies(copies: Sequence[bytes], head: RunHead | None) -> None:
    """Check that stored events of one run follow its head, and can be folded.

    Raises:
        LostRace: The run has come further than where the first of them follows.
        NotACopy: They do not follow the head or one another, or are no events.
    """
    for index, data in enumerate(copies):
        try:
            event = parse_event(data)
        except msgspec.DecodeError as error:
            raise NotACopy(f"event {index + 1}", f"not an event: {error}") from error
        v, prev = (0, NO_DIGEST) if head is None else (head.v, head.digest)
        if index == 0 and event.v <= v:
            raise LostRace(event.run, event.v, v)
        if (event.v, event.prev) != (v + 1, prev) or (head is not None and event.run != head.run):
            raise NotACopy(event.reference, "it does not follow the event before it")
        head = advance(head, [Step(event, event_digest(data), 0)])


def _changes(event: Event | UnknownEvent) -> dict[str, Any]:
    """Return what a kind of event says of a run besides that it happened."""
    said: dict[str, Any] = {}
    match event:
        case RunStarted():
            said = {"title": event.title, "work_tree": event.work_tree, "base_tree": event.base_tree}
            said |= {"commit": event.head, "open": True, "started_at_ns": event.at_ns}
            said |= _state(event.base_tree, event.v, event.v)
        case PatchApplied():
            said = _state(event.result_tree, event.v, event.v)
        case PatchRolledBack():
            said = _state(event.result_tree, event.v, event.to_v)
        case RunRebased():
            said = {"base_tree": event.result_tree, "commit": event.head}
            said |= _state(event.result_tree, event.v, event.v)
        case PhaseEntered():
            said = {"phase": event.phase}
        case PolicySet():
            said = {"policy_v": event.v, "profile": event.profile, "phases": event.policy.phases}
        case CommitSeen():
            said = {"commit": event.commit}
        case RunFinished():
            said = {"open": False, "finished": True}
        case UnknownEvent() if event.result_tree is not None:
            said = {"unknown": event.kind}
        case _:
            pass
    return said


def _refusals(open_: tuple[int, ...], event: Event | UnknownEvent) -> tuple[int, ...]:
    match event:
        case ErrorCaptured(cause="patch", same_as=None):
            return (*open_, event.v)[-_REFUSALS:]
        case QuestionAnswered() | QuestionRetired():
            return tuple(v for v in open_ if v != event.error_v)
        case _:
            return open_


def _state(tree: str, tree_v: int, state_v: int) -> dict[str, Any]:
    return {"tree": tree, "tree_v": tree_v, "state_v": state_v}
