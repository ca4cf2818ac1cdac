"""Summaries: what an event says, in a few words, for lists of events."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UnsetType

from ledger import events
from ledger.events import AnyEvent, PatchApplied, PatchRefused
from ledger.operations.notes import one_line
from ledger.policies import PHASE_NAMES


def summarise(event: AnyEvent) -> str:
    """Return what an event says, in a few words on one line; the bodies that it names are not read."""
    said = "a kind that this version does not know"
    match event:
        case events.RunStarted():
            said = _began(event)
        case events.PatchApplied():
            added, removed = sum(f.added for f in event.files), sum(f.removed for f in event.files)
            source = f"{event.source}: " if event.source else ""
            again = f" (takes {event.run}:{event.of} again)" if event.of else ""
            again = f"{_how(event)}{again}"
            said = f"{event.cause}: {source}{_count(len(event.files), 'file')}, +{added} -{removed}{again}"
        case events.PatchRefused():
            said = f"{event.source}: {event.error}{_how(event)}"
        case events.PatchRolledBack():
            said = f"back to {event.to_v}, without {_list(event.patches)}"
        case events.RunRebased():
            said = f"onto {event.head[:12]}" + (f", without {_list(event.dropped)}" if event.dropped else "")
        case events.CommitSeen():
            said = f"commit {event.commit[:12]} is the state at {event.state_v}"
        case events.RunFinished():
            said = f"{'final, ' if event.final else ''}tree {event.tree[:12]}"
        case events.RetentionApplied():
            said = f"{_count(len(event.runs), 'run')} retired: {', '.join(run.run for run in event.runs)}"
        case events.LedgerRecovered():
            said = f"{event.size_bytes} bytes of an unfinished append set aside"
        case events.BodyDropped():
            said = f"{_count(len(event.bodies), 'text')} of {event.of}"
        case events.UnknownEvent():
            pass
        case _:
            said = _gate_summary(event)
    return said


def _began(event: events.RunStarted) -> str:
    of = event.continues
    on = "" if isinstance(of, UnsetType) else f", goes on from {of.run}:{of.v}"
    return f"{event.title} (base {event.base_tree[:12]}{on})"


def _how(event: PatchApplied | PatchRefused) -> str:
    """Return how a patch was read and applied, where that was not as it is."""
    asked = str(event.options.asked)
    said = [asked] if asked else []
    if event.normalised:
        said.append(f"normalised: {', '.join(event.normalised)}")
    return f" ({'; '.join(said)})" if said else ""


def _gate_summary(event: AnyEvent) -> str:
    said = ""
    match event:
        case events.PhaseEntered():
            said = f"{event.phase} {PHASE_NAMES.get(event.phase, '')}".rstrip()
        case events.PolicySet():
            less = one_line("; ".join(event.weakened))
            weaker = f"; asks for less: {less}" if less else ""
            said = f"{event.profile}, strict: {', '.join(event.policy.strict) or 'nothing'}{weaker}"
        case events.GateMeasured():
            why = f": {event.reasons[0]}" if event.reasons else ""
            said = f"{event.gate} {event.verdict}, state {event.state_v}{why}"
        case events.TicketOpened():
            said = f"{event.gate} failed at {event.measured_v}"
        case events.TicketClosed():
            said = f"{event.gate} passed at {event.measured_v}, fixed by {event.fixed_v}"
        case events.ErrorCaptured():
            said = f"{event.step}" + (f", again as {event.same_as}" if event.same_as else "")
        case events.QuestionAnswered() | events.QuestionRetired():
            said = f"the question of {event.error_v}"
        case events.ChecksVerified():
            said = f"{event.outcome}, {_count(len(event.checks), 'check')}, state {event.state_v}"
        case _:
            pass
    return said


def _list(versions: Sequence[int]) -> str:
    return ", ".join(map(str, versions))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
