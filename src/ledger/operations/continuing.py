"""Continuing: a run of this work tree that goes on from where another run stands, here or elsewhere.

A run has one home. What another ledger has recorded goes on here as a run of its own, a child, which begins
on HEAD's tree and comes to the other's state by its first patch: so it rests on an ordinary commit, and
replays wherever that is.
"""

from __future__ import annotations

from msgspec import Struct

from ledger.configurations import configuration_of
from ledger.drift import list_drift
from ledger.errors import RunOpen
from ledger.events import AnyEvent, Continued, RunRebased, RunStarted, event_digest
from ledger.heads import RunHead
from ledger.history import History, StateAt
from ledger.operations.patching import carry_out, patch_between
from ledger.operations.planning import Planned
from ledger.operations.restoring import conflicts_in, require_tree
from ledger.operations.runs import ensure_written
from ledger.operations.screening import screen
from ledger.projections.refs import RunRef
from ledger.provenance import Provenance
from ledger.sharing_errors import ElsewhereAtHead, NotHere, StateElsewhere
from ledger.travel_errors import StateUnavailable
from ledger.workspace import Workspace
from patches.parse import parse_patch


class ContinuedRun(Struct, frozen=True):
    """A run that goes on from another: its last event, its name, and the state that it begins with.

    ``of`` is the event that it goes on from, ``accepted`` whether that state was accepted in its own run.
    """

    event: str
    run: str
    tree: str
    of: str
    accepted: bool


def continue_run(
    workspace: Workspace,
    run: str,
    *,
    candidate: bool = False,
    name: str = "",
    profile: str = "",
    allow_secrets: bool = False,
) -> ContinuedRun:
    """Start a run that goes on from another one's accepted state; its base where nothing was accepted.

    Its start, its policy and the patch that leads there are one append. Nothing is accepted in it yet: a gate
    that passed elsewhere was measured there.

    Args:
        workspace: Where.
        run: The other run, of this ledger: imported, or ended, or of another work tree.
        candidate: Go on from its candidate instead.
        name: The new one's name; by default made from the other's title.
        profile: The profile of its policy; by default the other's, where the configuration has it.
        allow_secrets: Record it although it adds what looks like secrets; the event names them.

    Raises:
        NotHere: There is no such run in this ledger. Nothing was written.
        RunOpen: A run is open in this work tree. Nothing was written.
        StateElsewhere: The repository has not the objects of that state. Nothing was written.
        ElsewhereAtHead: HEAD's tree is none that the other run has gone through. Nothing was written.
        SecretFound: It adds what looks like secrets. Nothing was recorded.
        DirtyPath, InTheWay, ThroughSymlink: It would overwrite what was not handed over. Nothing was written.
        RunName, UnknownName, InvalidConfiguration: As `runs.start`.
        ProjectionPending: It is recorded; the next writing command finishes it.
    """
    with workspace.locked():
        head = workspace.store.heads().get(run)
        if head is None or not head.base_tree:
            raise NotHere(run)
        if open_ := workspace.open_run():
            raise RunOpen(open_.run)
        events = list(workspace.run_events(run))
        history = History.of(events)
        state = history.candidate if candidate else history.accepted
        _require_state(workspace, events, state)
        _require_head(workspace, events, history, state)
        frame = next(iter(workspace.store.of_run(run, state.v - 1, state.v)))
        continues = Continued(run, state.v, event_digest(frame.e))
        log = workspace.begin(head.title, name, profile or _profile(workspace, head), continues=continues)
        of = f"{run}:{state.v}"
        if log.head.tree == state.tree:
            ensure_written(workspace, log)
            event = f"{log.head.run}:{log.head.v}"
        else:
            data, changes = patch_between(workspace, log.head.tree, state.tree)
            screened = screen(data, parse_patch(data), allow=allow_secrets)
            conflicts = conflicts_in(workspace, history, changes)
            planned = Planned(
                changes, log.head.tree, state.tree, data, Provenance(source=of), screened, conflicts=conflicts
            )
            # As where a run that has ended here goes on.
            there = workspace.work_tree is not None and not any(list_drift(workspace.repository, state.tree))
            (applied,) = carry_out(workspace, log, "restore", [planned], adopted=there)
            event = applied.event
        return ContinuedRun(event, log.head.run, state.tree, of, history.is_accepted(state.tree))


def _require_state(workspace: Workspace, events: list[AnyEvent], state: StateAt) -> None:
    try:
        require_tree(workspace, events, state.tree)
    except StateUnavailable as error:
        raise StateElsewhere(f"{events[0].run}:{state.v}", state.tree) from error


def _require_head(workspace: Workspace, events: list[AnyEvent], history: History, state: StateAt) -> None:
    """Make sure that the way from HEAD to a state is one that the run has gone.

    Raises:
        ElsewhereAtHead: It is none: what HEAD has beside would be taken back.
    """
    if workspace.repository.head().tree in {each.tree for each in history.live if each.v <= state.v}:
        return
    base = [event for event in events if isinstance(event, RunStarted | RunRebased)][-1]
    run, base_state = base.run, history.live[0]
    commit = base.head
    if commit is None or workspace.repository.find_commit(commit) is None:
        commit = RunRef(workspace.repository, run).commit_at(base_state.v) or base_state.tree
    raise ElsewhereAtHead(run, base_state.tree, commit)


def _profile(workspace: Workspace, head: RunHead) -> str:
    """Return the profile of a run where the configuration has one of this name, "" otherwise."""
    return head.profile if head.profile in configuration_of(workspace.repository).profiles else ""
