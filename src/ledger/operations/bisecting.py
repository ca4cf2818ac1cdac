"""Bisecting: the first live state on which a gate fails, by what is recorded and as little more as can be.

Each probe is measured in a temporary work tree of its own, several side by side. What one finds is appended
as soon as it is known, so an interrupt loses no more than what was still running, and the next bisection
measures nothing again. Nothing follows from these facts here: no ticket, no question, no rollback.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Event as Flag
from typing import NamedTuple

from ledger.bisect_errors import UnmeasurableEnd, WrongEnd
from ledger.bisection import SKIPPED, choose_good, choose_probes, narrow
from ledger.counterfactual import Found, Outcome, standing_of
from ledger.errors import UnknownName, UnresolvedConflicts
from ledger.events import AnyEvent, GateMeasured
from ledger.history import History, StateAt
from ledger.isolation import SetupFailed
from ledger.measurements import Verdict
from ledger.operations.conflicts import check_resolved
from ledger.operations.culprits import Bisected, Evidence, evidence_of
from ledger.operations.measuring import Crew, Measurement, Site
from ledger.operations.recording import measured_event
from ledger.operations.sites import Stand
from ledger.policies import Rule
from ledger.reference_errors import UnknownReference
from ledger.workspace import Workspace

Progress = Callable[[str, str], None]


class Ends(NamedTuple):
    """A line of live states: the run, the version of its last state, and of its first (0: to be chosen)."""

    run: str
    bad_v: int
    good_v: int = 0


def bisect(workspace: Workspace, gate: str, ends: Ends, progress: Progress, *, jobs: int = 2) -> Bisected:
    """Return the first live state on which a gate fails, after one on which it passes.

    Args:
        workspace: Where.
        gate: A gate of the policy in force, by which every measurement is judged.
        ends: Between which states. Where no first one is named it is the newest before the last on which the
            gate has passed, else the run's base.
        progress: Gets a probe and a line to show, from any thread.
        jobs: How many states are measured side by side.

    Raises:
        UnknownName: There is no such gate.
        UnknownReference: An end is no live state, or there is none before the last.
        WrongEnd: The gate fails on the first state, or passes on the last one.
        UnmeasurableEnd: On one of them it is flaky or inconclusive.
        NoRun: Something has to be measured, and the run is not open here. Nothing was done.
        SetupFailed, GitFailed: A work tree could not be made. What was measured is recorded.
    """
    search = _Search(workspace, gate, ends)
    last = len(search.line) - 1
    first = search.first(ends.good_v)
    search.measure(search.unknown(first, last), progress, jobs, needed=True)
    search.check_end(first, good=True)
    search.check_end(last, good=False)
    trees = [at.tree for at in search.line[first:]]
    while probes := choose_probes(trees, search.known, jobs):
        search.measure([first + at for at in probes], progress, jobs)
    return search.result(first)


class _Search:
    """What is known of the states of a line, and what measures more of them."""

    def __init__(self, workspace: Workspace, gate: str, ends: Ends) -> None:
        self.workspace, self.run, self.gate = workspace, ends.run, gate
        self.events: list[AnyEvent] = list(workspace.run_events(ends.run))
        self.history = History.of(self.events)
        policy = self.history.policy
        gates = {} if policy is None else policy.gates
        if policy is None or gate not in gates:
            raise UnknownName("gate", gate, sorted(gates))
        self.policy, self.rule = policy, gates[gate]
        self.line: Sequence[StateAt] = History.of(self.events, ends.bad_v).live
        self.measured: list[GateMeasured] = []
        self.reasons: dict[str, str] = {}
        self.known: dict[str, Outcome] = {}
        for at in self.line:
            self._look(at.tree)
        self.recorded = frozenset(self.known)

    def _look(self, tree: str) -> Found:
        """Note what the measurements of a tree come to, if that is an answer."""
        found = standing_of(self.history, tree, self.gate, self.rule)
        if self.history.is_flaky(tree, self.gate, self.rule):
            # Also where the policy lets it pass: it says nothing about which patch it was.
            self.known[tree], self.reasons[tree] = "flaky", "it both passed and failed on this very tree"
        elif found.outcome not in ("inconclusive", "not measured"):
            self.known[tree] = found.outcome
        return found

    def first(self, good_v: int) -> int:
        """Return the state at which the line begins."""
        if len(self.line) < 2:
            raise UnknownReference(f"{self.run}:{self.line[-1].v}", "there is no live state before it")
        if not good_v:
            return choose_good([at.tree for at in self.line], self.known)
        state = History.of(self.events, good_v).candidate
        if state not in self.line:
            raise UnknownReference(f"{self.run}:{good_v}", "its state was taken back: name a live one")
        if state == self.line[-1]:
            raise UnknownReference(f"{self.run}:{good_v}", "it is no state before the bad one")
        return self.line.index(state)

    def check_end(self, at: int, *, good: bool) -> None:
        """Refuse an end that is not what it has to be."""
        state = self.line[at]
        outcome, reference = self.known[state.tree], f"{self.run}:{state.v}"
        found = standing_of(self.history, state.tree, self.gate, self.rule)
        if outcome in SKIPPED:
            reasons = found.reasons or (self.reasons.get(state.tree, ""),)
            raise UnmeasurableEnd(self.gate, reference, outcome, [each for each in reasons if each])
        if (outcome == "pass") is not good:
            measured = "" if found.measured is None else found.measured.reference
            raise WrongEnd(self.gate, reference, measured, good=good)

    # Measuring

    def unknown(self, *states: int) -> list[int]:
        """Return those of the states of which nothing is known, one for each tree."""
        trees = {self.line[at].tree: at for at in states}
        return [at for tree, at in trees.items() if tree not in self.known]

    def measure(self, probes: Sequence[int], progress: Progress, jobs: int, *, needed: bool = False) -> None:
        """Measure states side by side, and record what each found as soon as it is known.

        Those that are ``needed`` are not passed over where their work tree cannot be set up.
        """
        stands = self._stands(probes)
        stop = [Flag() for _ in stands]
        running: dict[Future[tuple[Measurement, Site]], int] = {}
        with ThreadPoolExecutor(max_workers=jobs) as pool:
            try:
                for place, (at, stand) in enumerate(stands.items()):
                    running[pool.submit(self._probe, stand, place, stop[place], progress)] = at
                while running:
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        self._take(stands[running.pop(future)], future, needed=needed)
            finally:
                # An error or an interrupt ends what still runs; what ran to its end before stays recorded.
                for flag in stop:
                    flag.set()

    def _stands(self, probes: Sequence[int]) -> dict[int, Stand]:
        """Return what the work trees of states are made of; one with unresolved conflicts is passed over."""
        if not probes:
            return {}
        with self.workspace.locked():
            # What a crash left of the run's ref and objects is made whole: the work trees are made of them.
            self.workspace.require(self.run)
        stands: dict[int, Stand] = {}
        for at in probes:
            history = History.of(self.events, self.line[at].v)
            try:
                check_resolved(self.workspace, self.run, history)
                stands[at] = Stand(self.workspace, self.run, history, self._rules)
            except UnresolvedConflicts as error:
                self._skip(self.line[at].tree, str(error))
        return stands

    @property
    def _rules(self) -> dict[str, Rule]:
        return {self.gate: self.rule}

    def _skip(self, tree: str, reason: str) -> None:
        self.known[tree], self.reasons[tree] = "inconclusive", reason

    def _probe(self, stand: Stand, place: int, stop: Flag, progress: Progress) -> tuple[Measurement, Site]:
        """Measure one state, in a thread of its own."""
        found: list[Measurement] = []
        name = f"{self.run}:{stand.state.v}"

        def conclude(measured: Measurement) -> Verdict:
            found.append(measured)
            return "pass"

        def show(_: str, line: str) -> None:
            progress(f"probe {place + 1}", f"{name} {line}")

        show("", "gets a work tree")
        with stand.isolated(self.policy.isolated, place=place) as site:
            crew = Crew(site, self._rules, conclude, show, {}, stop)
            crew.measure()
        return found[0], site

    def _take(self, stand: Stand, future: Future[tuple[Measurement, Site]], *, needed: bool) -> None:
        """Record what a probe found."""
        state = stand.state
        try:
            measured, site = future.result()
        except SetupFailed as error:
            if needed:
                raise
            self._skip(state.tree, str(error))
            return
        with self.workspace.locked():
            log = self.workspace.require(self.run)
            then = History.of(self.events, state.v)
            (event,) = log.append(measured_event(log, then, state, self.rule, measured, site))
            self.workspace.project_accepted(log)
        assert isinstance(event, GateMeasured)
        self.measured.append(event)
        self.history.take(event)
        found = self._look(state.tree)
        if state.tree not in self.known:
            self._skip(state.tree, "; ".join(found.reasons))

    # The answer

    def result(self, first: int) -> Bisected:
        """Return what came of it."""
        line = self.line[first:]
        trees = [at.tree for at in line]
        good, bad = narrow(trees, self.known)
        between = [self._evidence(at) for at in line[good + 1 : bad]]
        later = [at for at in line[bad + 1 :] if self.known.get(at.tree) == "pass"]
        return Bisected(
            run=self.run,
            gate=self.gate,
            good=self._evidence(line[good]),
            bad=self._evidence(line[bad]),
            suspects=tuple(between),
            passes_again=tuple(f"{self.run}:{at.v}" for at in later),
            states=len(line),
            measured=tuple(event.reference for event in self.measured),
            recorded=len({tree for tree in trees if tree in self.recorded}),
        )

    def _evidence(self, state: StateAt) -> Evidence:
        found = standing_of(self.history, state.tree, self.gate, self.rule)
        return evidence_of(
            self.events,
            state,
            self.known[state.tree],
            found,
            self.rule,
            self.workspace.store.read_body,
            self.reasons.get(state.tree, ""),
        )
