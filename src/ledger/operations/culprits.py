"""Culprits: what a bisection came to, each state with who made it and the measurement that decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
from msgspec import Struct

from ledger.counterfactual import Found, Outcome
from ledger.errors import DroppedBody
from ledger.events import AnyEvent, GateMeasured, PatchApplied, PhaseEntered
from ledger.history import StateAt
from ledger.measurements import Report
from ledger.operations.verdicts import summarize
from ledger.policies import Rule

_SHOWN = 5


class Evidence(Struct, frozen=True, kw_only=True):
    """One state: the event that made it, what that is, in which phase and by whom; and how the gate stands.

    ``measured`` is the event of the measurement that decides, "" where there is none; ``findings`` the first
    things that its tool complained about; ``tools`` what it ran with.
    """

    event: str
    tree: str
    source: str
    patch: str | None
    files: int
    phase: str
    actor: str
    at_ns: int
    outcome: Outcome
    measured: str = ""
    summary: str = ""
    reasons: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    tools: dict[str, str]


class Bisected(Struct, frozen=True, kw_only=True):
    """What a bisection came to.

    ``good`` is the last state before the failure on which the gate passes, ``bad`` the first on which it is
    known to fail. ``suspects`` are the states between of which nothing could be concluded: where there are
    any, the first failing state is one of them or ``bad``. ``passes_again`` are later states on which the
    gate is known to pass. ``measured`` are the measurements that were made; ``recorded`` counts the trees of
    the line, of ``states`` states, whose outcome was recorded before.
    """

    run: str
    gate: str
    good: Evidence
    bad: Evidence
    suspects: tuple[Evidence, ...]
    passes_again: tuple[str, ...]
    states: int
    measured: tuple[str, ...]
    recorded: int

    @property
    def found(self) -> bool:
        """Whether it is known which state is the first that fails."""
        return not self.suspects


def evidence_of(
    events: Iterable[AnyEvent],
    state: StateAt,
    outcome: Outcome,
    found: Found,
    rule: Rule,
    read_body: Callable[[str], bytes],
    reason: str,
) -> Evidence:
    """Return what is known of a state.

    Args:
        events: The run's, in order.
        state: The state.
        outcome: How the gate stands on it.
        found: What its measurements come to.
        rule: The gate's rule.
        read_body: Gives reports and outputs.
        reason: Why it was passed over without a measurement.
    """
    phase, made = "", None
    for event in events:
        if event.v > state.v:
            break
        made = event
        phase = event.phase if isinstance(event, PhaseEntered) else phase
    assert made is not None, "a state has its event"
    is_patch = isinstance(made, PatchApplied)
    decides = found.measured
    said = found.reasons or ((reason,) if reason else ())
    return Evidence(
        event=made.reference,
        tree=state.tree,
        source=(made.source or made.cause) if is_patch else made.kind.partition("/")[0],
        patch=made.patch if is_patch else None,
        files=len(made.files) if is_patch else 0,
        phase=phase,
        actor=made.actor.name or made.actor.kind,
        at_ns=made.at_ns,
        outcome=outcome,
        measured="" if decides is None else decides.reference,
        summary="" if decides is None else summarize(decides, rule),
        reasons=said,
        findings=() if decides is None or outcome == "pass" else _first_findings(decides, read_body),
        tools={} if decides is None else decides.tools,
    )


def _first_findings(event: GateMeasured, read_body: Callable[[str], bytes]) -> tuple[str, ...]:
    """Return what the tool complained about first; of one without a report the end of its output."""
    try:
        if event.report is not None:
            report = msgspec.json.decode(read_body(event.report), type=Report)
            if shown := list(report.complaints()):
                return tuple(shown[:_SHOWN])
        lines = read_body(event.output).decode("utf-8", "replace").splitlines()
    except DroppedBody:
        return ()
    return tuple(line for line in lines if line.strip() and not line.startswith("$ "))[-_SHOWN:]
