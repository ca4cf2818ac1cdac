"""Gating: the candidate measured, and what follows: accepted, rolled back, a ticket, or nothing yet.

Measuring holds no lock. Each measurement is appended as soon as it is known; what follows from all of
them is done under the lock, and only if the candidate is still the tree that was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from functools import partial

import msgspec
from msgspec import Struct

from ledger.configurations import configuration_of
from ledger.drift import list_drift, snapshot_tree
from ledger.errors import DriftInTheWay, NotCandidate, NoWorkTree, UnknownName
from ledger.events import Event, GateMeasured
from ledger.gates.defaults import AUDITS, NOT_CONFIGURED
from ledger.gates.judge import judge
from ledger.history import History, StateAt
from ledger.measurements import Verdict
from ledger.operations import policy as policies
from ledger.operations.conflicts import check_resolved
from ledger.operations.measuring import Crew, Measurement, Site
from ledger.operations.notes import notes_on
from ledger.operations.recording import measured_event, ticket_events
from ledger.operations.rollback import roll_back
from ledger.operations.runs import ensure_written
from ledger.operations.settling import gate_questions, settle_measurement, settle_recalled
from ledger.operations.sites import Stand, dependencies
from ledger.operations.verdicts import Gated, GateResult, recall, result_of
from ledger.policies import Rule
from ledger.requests import AlreadyDone
from ledger.run import RunLog
from ledger.tokens import unaccepted_range
from ledger.workspace import Workspace
from patches.errors import show_path
from patches.model import Entry
from patches.worktree_errors import WorkTreeRefusal


class GateOptions(Struct, frozen=True, kw_only=True):
    """What is to be measured, and how.

    ``names`` are gates (none: all that are not off); ``again`` measures that many times more, whatever
    is recorded; ``isolated`` measures in a temporary work tree; ``with_drift`` lets a rollback take
    edits made by hand away; ``profile`` and ``skip`` change the policy first, for a ``reason``.
    """

    names: tuple[str, ...] = ()
    again: int = 0
    isolated: bool = False
    with_drift: bool = False
    profile: str = ""
    skip: tuple[str, ...] = ()
    reason: str = ""
    run: str = ""


Progress = Callable[[str, str], None]


def gate(workspace: Workspace, options: GateOptions, progress: Progress) -> Gated:
    """Measure the candidate and do what the policy says follows.

    Args:
        workspace: Where.
        options: What and how.
        progress: Gets a gate's name and a line to show, from any thread.

    Raises:
        NotCandidate: The work tree is not the candidate, and ``isolated`` was not asked for. Nothing
            was measured.
        UnresolvedConflicts: A file holds the markers of a conflict that was kept. Nothing was measured.
        UnknownName: There is no such gate or profile.
        NoRun, HeadMoved, Busy: As for every writing command.
        SetupFailed, GitFailed: The isolated work tree could not be made. Nothing was measured.
    """
    try:
        round_ = _prepare(workspace, options)
    except AlreadyDone as done:
        if not isinstance(done.event, GateMeasured):
            raise
        at = StateAt(done.event.state_v, done.event.tree)
        return gate_again(workspace, done.event.run, at, options, progress)
    with workspace.holding_questions():
        # What is measured is not to be changed meanwhile, not even by a file that Git passes over.
        _run_missing(round_, options, progress)
    return _conclude(round_, options)


def gate_again(
    workspace: Workspace, run: str, state: StateAt, options: GateOptions, progress: Progress
) -> Gated:
    """Answer a request that was begun before: finish it while its state is the candidate, else recall it.

    What is recorded is not measured again.
    """
    workspace.request = None
    head = workspace.open_run()
    if head is not None and head.run == run and head.tree == state.tree:
        options = msgspec.structs.replace(options, again=0, profile="", skip=())
        return gate(workspace, options, progress)
    return recall(list(workspace.run_events(run)), state, options.names)


class _Round:
    """One round of gates on one tree."""

    def __init__(self, workspace: Workspace, log: RunLog, history: History, started: str) -> None:
        assert history.policy is not None, "a run begins with its policy"
        self.workspace = workspace
        self.run = log.head.run
        self.history = history
        self.candidate = history.candidate
        self.policy = history.policy
        self.started = started
        self.rules: dict[str, Rule] = {}
        self.events: dict[str, list[GateMeasured]] = {}
        self.recorded: dict[str, GateMeasured] = {}
        self.not_run: dict[str, str] = {}

    @property
    def entries(self) -> Mapping[bytes, Entry]:
        """Every path of the measured tree."""
        return dict(self.workspace.repository.tree(self.candidate.tree).entries())

    def verdicts(self) -> dict[str, Verdict]:
        """Return what the recorded measurements of gates that are not run again come to."""
        verdicts: dict[str, Verdict] = {}
        for name in self.recorded:
            standing = self.history.standing(self.candidate.tree, name, self.rules[name])
            if standing is not None:
                verdicts[name] = standing
        return verdicts

    def append(self, gate: str, measured: Measurement, place: Site) -> Verdict:
        """Append one measurement with what becomes of its ticket and question; return its verdict."""
        with self.workspace.locked():
            log = self.workspace.require(self.run)
            history = self.workspace.history(log)
            rule = self.rules[gate]
            event = measured_event(log, history, self.candidate, rule, measured, place)
            event = msgspec.structs.replace(event, v=log.head.v + 1)
            history.take(event)
            group: list[Event] = [event]
            if event.verdict != "inconclusive":
                group += ticket_events(log, history, event, rule)
            group += settle_measurement(log, history, event, rule, event.v + len(group))
            appended = log.append(*group)[0]
            assert isinstance(appended, GateMeasured)
            self.events.setdefault(gate, []).append(appended)
            return appended.verdict


def _prepare(workspace: Workspace, options: GateOptions) -> _Round:
    if workspace.repository.work_dir is None and not options.isolated:
        raise NoWorkTree(workspace.repository.git_dir)
    with workspace.locked():
        log = workspace.resume(options.run) or workspace.begin("gate", profile=options.profile)
        started = "" if log.written else log.head.run
        workspace.check_head(log)
        if not options.isolated:
            drift = list_drift(workspace.repository, log.head.tree)
            if drift:
                raise NotCandidate(log.head.run, log.head.tree, [show_path(each.path) for each in drift])
        ensure_written(workspace, log)
        history = workspace.history(log)
        check_resolved(workspace, log.head.run, history)
        if history.policy_set is None:
            # A run of an earlier version: the configuration decides from here on.
            configuration = configuration_of(workspace.repository)
            name = options.profile or configuration.profile
            policies.set_policy(workspace, log, configuration.profiles, name, configuration.source)
            history = workspace.history(log)
        check_names(history, options)
        if options.profile:
            policies.switch(workspace, log, history, options.profile)
            history = workspace.history(log)
        if options.skip:
            policies.skip(workspace, log, history, options.skip, options.reason)
            history = workspace.history(log)
        round_ = _Round(workspace, log, history, started)
    round_.rules = _choose(round_, options)
    return round_


def check_names(history: History, options: GateOptions) -> None:
    """Refuse options that name what the policy does not have, before anything is done.

    Raises:
        UnknownName: There is no such gate or profile.
    """
    present = history.policy_set
    if present is None:
        return
    profile = options.profile or present.profile
    if profile not in present.profiles:
        raise UnknownName("profile", profile, sorted(present.profiles))
    gates = present.profiles[profile].gates
    for name in (*options.names, *options.skip):
        if name not in gates:
            raise _unknown(name, gates)


def _unknown(name: str, gates: Collection[str]) -> UnknownName:
    """Return the error about a gate that the policy does not have; an audit may be asked for."""
    error = UnknownName("gate", name, sorted(gates))
    if name in AUDITS:
        error.hint = NOT_CONFIGURED.format(name)
    return error


def _choose(round_: _Round, options: GateOptions) -> dict[str, Rule]:
    gates = round_.policy.gates
    for name in options.names:
        if name not in gates:
            raise _unknown(name, gates)
    chosen = options.names or [name for name, rule in gates.items() if rule.mode != "off"]
    return {name: gates[name] for name in chosen}


def _run_missing(round_: _Round, options: GateOptions, progress: Progress) -> None:
    """Measure what is not recorded yet for this tree, definition and tools."""
    entries = round_.entries
    with _site(round_, options, entries) as site:
        missing = _missing(round_, options, site)
        for _ in range(max(options.again, 1)):
            if missing:
                known = round_.verdicts()
                crew = Crew(site, missing, lambda m: round_.append(m.gate, m, site), progress, known)
                crew.measure()
                round_.not_run |= crew.not_run


def _missing(round_: _Round, options: GateOptions, site: Site) -> dict[str, Rule]:
    """Return the gates that are to be measured, and remember the measurements of the others."""
    missing = dict(round_.rules)
    if not options.again:
        for name, rule in round_.rules.items():
            recorded = _find_recorded(round_.history, round_.candidate, name, rule, site)
            if recorded is not None:
                round_.recorded[name] = recorded
                del missing[name]
    return missing


def plan_gate(workspace: Workspace, options: GateOptions) -> tuple[str, ...]:
    """Return the gates that `gate` would measure, in order. Nothing is run.

    What comes before measuring is written, as a run that is begun or a profile that is chosen.

    Raises:
        NotCandidate, UnresolvedConflicts, UnknownName: As `gate`.
    """
    round_ = _prepare(workspace, options)
    with _site(round_, msgspec.structs.replace(options, isolated=False), round_.entries) as site:
        return tuple(_missing(round_, options, site))


@contextmanager
def _site(round_: _Round, options: GateOptions, entries: Mapping[bytes, Entry]) -> Generator[Site]:
    workspace, own = round_.workspace, round_.workspace.repository
    if options.isolated:
        stand = Stand(workspace, round_.run, round_.history, round_.rules)
        with stand.isolated(round_.policy.isolated) as site:
            yield site
        return
    root = own.work_dir
    assert root is not None
    patches = unaccepted_range(round_.run, round_.history)
    depends = dependencies(workspace.store, round_.history, round_.rules, patches, own)
    cache_dir = own.ledger_dir / "cache" / "tools"
    now = partial(snapshot_tree, own)
    yield Site("work-tree", round_.candidate.tree, root, entries, cache_dir, now, str(patches), depends)


def _find_recorded(
    history: History, state: StateAt, gate: str, rule: Rule, site: Site
) -> GateMeasured | None:
    """Return the last conclusive measurement of this tree, if nothing it depends on has changed."""
    measured = [
        each
        for each in history.measurements(state.tree, gate)
        if each.definition == rule.definition and judge(each, rule).verdict != "inconclusive"
    ]
    if not measured:
        return None
    return measured[-1] if measured[-1].tools == site.tools(rule) else None


def _conclude(round_: _Round, options: GateOptions) -> Gated:
    """Settle tickets, roll back what a strict gate rejected, and bring the accepted ref up to all of it."""
    workspace = round_.workspace
    with workspace.locked():
        log = workspace.require(round_.run)
        history = workspace.history(log)
        results = tuple(_result(round_, history, name, rule) for name, rule in round_.rules.items())
        gated = Gated(
            run=round_.run,
            state_v=round_.candidate.v,
            tree=round_.candidate.tree,
            results=results,
            accepted=history.is_accepted(round_.candidate.tree),
            notes=notes_on(history),
            started=round_.started,
        )
        _settle_recorded(log, history, round_)
        gated = msgspec.structs.replace(gated, questions=_questions(history, round_))
        if gated.rejected:
            gated = _reject(round_, log, history, gated, options)
        workspace.project_accepted(log)
        return gated


def _reject(round_: _Round, log: RunLog, history: History, gated: Gated, options: GateOptions) -> Gated:
    if history.candidate.tree != round_.candidate.tree:
        kept = "the candidate has changed since it was measured"
        return msgspec.structs.replace(gated, kept=kept)
    if history.accepted.tree == history.candidate.tree:
        what = "the accepted state" if gated.accepted else "the base of the run"
        return msgspec.structs.replace(gated, kept=f"this is {what}: there is nothing to roll back")
    failures = [
        history.last_failure(gated.tree, result.gate, round_.rules[result.gate])
        for result in gated.results
        if result.mode == "strict" and result.verdict == "fail"
    ]
    failed = [failure.v for failure in failures if failure is not None]
    try:
        rolled_back = roll_back(
            round_.workspace, log, history, history.accepted, measured=failed, with_drift=options.with_drift
        )
    except DriftInTheWay as error:
        return msgspec.structs.replace(gated, kept=f"{error}; {error.hint}")
    except WorkTreeRefusal as error:
        # Edited while the gates ran, or measured elsewhere: what nobody recorded is never overwritten.
        kept = f"not rolled back: the work tree is not the candidate: {error}; `ledger record` takes edits in"
        return msgspec.structs.replace(gated, kept=kept)
    return msgspec.structs.replace(gated, rolled_back=rolled_back)


def _last_measured(round_: _Round) -> dict[str, GateMeasured]:
    return {**round_.recorded, **{name: events[-1] for name, events in round_.events.items()}}


def _settle_recorded(log: RunLog, history: History, round_: _Round) -> None:
    """Open and close tickets and questions of gates that were measured before: the tree has come back."""
    if history.candidate.tree != round_.candidate.tree:
        return
    for name, measured in round_.recorded.items():
        now = msgspec.structs.replace(measured, state_v=round_.candidate.v)
        rule = round_.rules[name]
        tickets = ticket_events(log, history, now, rule)
        settled = [*tickets, *settle_recalled(log, history, now, rule, tickets)]
        if settled:
            history.take_all(log.append(*settled))


def _questions(history: History, round_: _Round) -> tuple[str, ...]:
    """Return the open questions of the gates of a round."""
    return tuple(asked.reference for name in round_.rules for asked in gate_questions(history, name))


def _result(round_: _Round, history: History, name: str, rule: Rule) -> GateResult:
    if name in round_.not_run and name not in round_.events:
        reason = f"not measured: it needs {round_.not_run[name]}, which did not pass"
        return GateResult(gate=name, mode=rule.mode, verdict="inconclusive", reasons=(reason,))
    measured = _last_measured(round_)[name]
    return result_of(history, measured, rule, recorded=name in round_.recorded)
