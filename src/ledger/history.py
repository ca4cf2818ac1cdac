"""The history of a run as a fold: its live states, what was measured of them, what is accepted.

This is the reference for the gate-filtered state; the SQL views compute the same from the same events.
Nothing is read but the events.

See: ``docs/format.md``, "The accepted state".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Self

from ledger.errors import UnknownKind
from ledger.events import (
    AnyEvent,
    ChecksVerified,
    CommitSeen,
    ErrorCaptured,
    GateMeasured,
    PatchApplied,
    PatchRefused,
    PatchRolledBack,
    PhaseEntered,
    PolicySet,
    QuestionAnswered,
    QuestionRetired,
    RunRebased,
    RunStarted,
    TicketClosed,
    TicketOpened,
    TreeEvent,
    UnknownEvent,
    tree_after,
)
from ledger.filerecords import changes_paths
from ledger.gates.judge import judge
from ledger.measurements import Verdict
from ledger.policies import Policy, Rule
from ledger.timeline import Timeline


class StateAt(NamedTuple):
    """One state of a run: the version of the event that made it, and its tree."""

    v: int
    tree: str


class Weakening(NamedTuple):
    """One way in which the policy that an event set asks for less than the one before."""

    event: str
    what: str


class History:
    """What the events of one run, taken in order, leave.

    ``live`` are the states from the base to the candidate, less those rolled back. ``patches`` has every
    change of the tree that was recorded as a patch, by version; ``policy`` is the profile in force;
    ``tickets`` the open ones by gate; ``questions`` the open ones by version, ``captured`` the question
    that each error belongs to, ``errors`` the errors themselves, and ``closed`` what closed a question;
    ``refused`` are the patches that did not apply; ``checks`` what was verified of result trees,
    ``weakened`` where the policy came to ask for less; ``commits`` the commits seen, each with its state's
    version; ``timeline`` what can be undone and redone.
    """

    def __init__(self, policy: Policy | None = None) -> None:
        """Begin with nothing; with ``policy``, that one decides whatever the events say is in force."""
        self.live: list[StateAt] = []
        self.patches: dict[int, PatchApplied] = {}
        self.policy = policy
        self.policy_set: PolicySet | None = None
        self.phase = ""
        self.tickets: dict[str, TicketOpened] = {}
        self.questions: dict[int, ErrorCaptured] = {}
        self.captured: dict[int, int] = {}
        self.errors: dict[int, ErrorCaptured] = {}
        self.closed: dict[int, QuestionAnswered | QuestionRetired] = {}
        self.refused: dict[int, PatchRefused] = {}
        self.checks: list[ChecksVerified] = []
        self.weakened: list[Weakening] = []
        self.commits: list[tuple[str, int]] = []
        self.timeline = Timeline()
        self.v = 0
        self._fixed = policy is not None
        self._measured: dict[tuple[str, str], list[GateMeasured]] = {}
        self._accepted: dict[str, int] = {}
        self._trees: set[str] = set()

    @classmethod
    def of(cls, events: Iterable[AnyEvent], until_v: int | None = None, policy: Policy | None = None) -> Self:
        """Return the history of a run's events, from its first to version ``until_v``.

        Raises:
            UnknownKind: An event changes the tree in a way that this version does not understand.
        """
        history = cls(policy)
        for event in events:
            if until_v is not None and event.v > until_v:
                break
            history.take(event)
        return history

    @property
    def trees(self) -> frozenset[str]:
        """Every tree that the run has had."""
        return frozenset(self._trees)

    @property
    def candidate(self) -> StateAt:
        """The state that every live patch has led to."""
        return self.live[-1]

    @property
    def accepted(self) -> StateAt:
        """The newest live state whose tree was accepted; the base where there is none."""
        return next((at for at in reversed(self.live) if at.tree in self._accepted), self.live[0])

    def is_accepted(self, tree: str) -> bool:
        """Tell whether a tree was accepted by some policy that was in force."""
        return tree in self._accepted

    def accepted_by(self, tree: str) -> int | None:
        """Return the version of the event that accepted a tree."""
        return self._accepted.get(tree)

    @property
    def unaccepted(self) -> list[StateAt]:
        """The live states past the accepted one, oldest first."""
        return self.live[self.live.index(self.accepted) + 1 :]

    @property
    def configured(self) -> list[PatchApplied]:
        """The live patches that touch the gates' own configuration."""
        live = {at.v for at in self.live}
        return [patch for v, patch in self.patches.items() if v in live and patch.configures]

    @property
    def touched_in_conflict(self) -> frozenset[bytes]:
        """Every path that a live patch touches, where some patch of the run came with conflicts.

        A conflict goes where its file is moved, and comes back where an old state is taken up again: so it is
        looked for in all of them, once there was one.
        """
        if not any(patch.conflicts for patch in self.patches.values()):
            return frozenset()
        live = [self.patches[at.v] for at in self.live if at.v in self.patches]
        return frozenset(path for patch in live for path in changes_paths(patch.files))

    def by_hand(self, v: int) -> bool:
        """Tell whether a patch holds edits made by hand, also those that a rebase or a redo brought along."""
        return self.original(v).cause == "drift"

    def original(self, v: int) -> PatchApplied:
        """Return the patch that a patch is, or that a rebase, an undo or a redo has brought along in it."""
        patch = self.patches[v]
        while patch.cause in ("rebase", "undo") and patch.of is not None:
            patch = self.patches[patch.of]
        return patch

    def last_failure(self, tree: str, gate: str, rule: Rule) -> GateMeasured | None:
        """Return the last measurement by which a gate fails on a tree, in the newest environment."""
        runs = [m for m in self.measurements(tree, gate) if m.definition == rule.definition]
        failed = [
            m for m in runs if m.environment == runs[-1].environment and judge(m, rule).verdict == "fail"
        ]
        return failed[-1] if failed else None

    def measurements(self, tree: str, gate: str) -> list[GateMeasured]:
        """Return every measurement of a tree by a gate, in order."""
        return self._measured.get((tree, gate), [])

    def standing(self, tree: str, gate: str, rule: Rule) -> Verdict | None:
        """Return what a gate's measurements of one tree come to under a rule; None where there is none.

        Only those with the rule's definition count, and of them those in the newest environment.
        A pass beside a failure is a failure, unless the rule allows flakiness.
        """
        runs = [m for m in self.measurements(tree, gate) if m.definition == rule.definition]
        if not runs:
            return None
        verdicts = {judge(m, rule).verdict for m in runs if m.environment == runs[-1].environment}
        if "fail" in verdicts and not (rule.allow_flaky and "pass" in verdicts):
            return "fail"
        return "pass" if "pass" in verdicts else "inconclusive"

    def is_flaky(self, tree: str, gate: str, rule: Rule) -> bool:
        """Tell whether a gate both passed and failed on one tree, in one environment."""
        runs = [m for m in self.measurements(tree, gate) if m.definition == rule.definition]
        return bool(runs) and {"pass", "fail"} <= {
            judge(m, rule).verdict for m in runs if m.environment == runs[-1].environment
        }

    def take_all(self, events: Iterable[AnyEvent]) -> None:
        """Take the next events, in order."""
        for event in events:
            self.take(event)

    def take(self, event: AnyEvent) -> None:
        """Take the next event."""
        self.v = event.v
        match event:
            case UnknownEvent() if event.result_tree is not None:
                raise UnknownKind(event.reference, event.kind)
            case RunStarted() | PatchApplied() | PatchRolledBack() | RunRebased():
                self._take_state(event)
            case PolicySet():
                self.policy_set = event
                self.weakened += [Weakening(event.reference, what) for what in event.weakened]
                if not self._fixed:
                    self.policy = event.policy
                for tree in {tree for tree, _ in self._measured}:
                    self._accept(tree, event.v)
            case GateMeasured():
                self._measured.setdefault((event.tree, event.gate), []).append(event)
                self._accept(event.tree, event.v)
            case CommitSeen():
                self.commits.append((event.commit, event.state_v))
            case PhaseEntered():
                self.phase = event.phase
            case ChecksVerified():
                self.checks.append(event)
            case _:
                self._take_open(event)

    def _take_open(self, event: AnyEvent) -> None:
        """Take what opens or closes a ticket or a question."""
        match event:
            case TicketOpened():
                self.tickets[event.gate] = event
            case TicketClosed():
                self.tickets.pop(event.gate, None)
            case ErrorCaptured():
                self.captured[event.v] = event.same_as or event.v
                self.errors[event.v] = event
                if event.same_as is None:
                    self.questions[event.v] = event
            case QuestionAnswered() | QuestionRetired():
                self.questions.pop(event.error_v, None)
                self.closed[event.error_v] = event
            case PatchRefused():
                self.refused[event.v] = event
            case _:
                pass

    def _take_state(self, event: TreeEvent) -> None:
        self._trees.add(str(tree_after(event)))
        self.timeline.take(event)
        if isinstance(event, PatchRolledBack):
            self.live = [at for at in self.live if at.v <= event.to_v]
            return
        if isinstance(event, RunRebased):
            self.live = []
        elif isinstance(event, PatchApplied):
            self.patches[event.v] = event
        self.live.append(StateAt(event.v, str(tree_after(event))))

    def _accept(self, tree: str, v: int) -> None:
        """Accept a tree if every gate that the policy calls strict has passed on it."""
        if self.policy is None or tree in self._accepted:
            return
        strict = self.policy.strict
        if strict and all(self.standing(tree, name, self.policy.gates[name]) == "pass" for name in strict):
            self._accepted[tree] = v
