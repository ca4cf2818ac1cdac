"""Verdicts: what a round of gates came to, gate by gate, for the caller to show."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ledger.events import AnyEvent, GateMeasured, PatchRolledBack
from ledger.gates.judge import judge
from ledger.history import History, StateAt
from ledger.measurements import Verdict
from ledger.operations.notes import notes_on
from ledger.operations.outcome import Applied
from ledger.policies import Mode, Rule


class GateResult(Struct, frozen=True, kw_only=True):
    """One gate on one tree: its verdict and the event that has it ("" where it did not run)."""

    gate: str
    mode: Mode
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    event: str = ""
    recorded: bool = False
    """Whether the verdict was recorded before, so that nothing was run."""
    flaky: bool = False
    passes: int = 0
    measured: int = 0
    """How often it passed, of how many conclusive measurements of this tree in this environment."""
    duration_s: float = 0.0
    summary: str = ""


class Gated(Struct, frozen=True, kw_only=True):
    """What a round of gates came to.

    ``accepted`` says whether the measured tree is accepted; ``rolled_back`` what a strict failure undid,
    ``kept`` why it undid nothing. ``notes`` is what has to be said wherever a verdict is: where the
    policy asks for less than it did, and patches that touch the gates' own configuration.
    """

    run: str
    state_v: int
    tree: str
    results: tuple[GateResult, ...]
    accepted: bool = False
    rolled_back: Applied | None = None
    kept: str = ""
    notes: tuple[str, ...] = ()
    started: str = ""
    questions: tuple[str, ...] = ()
    """The questions that its gates have asked, and that are open."""

    @property
    def rejected(self) -> bool:
        """Whether a strict gate failed."""
        return any(result.mode == "strict" and result.verdict == "fail" for result in self.results)

    @property
    def inconclusive(self) -> bool:
        """Whether a strict gate could not be measured, or a gate that was asked for."""
        return any(result.verdict == "inconclusive" for result in self.results)


def result_of(history: History, measured: GateMeasured, rule: Rule, *, recorded: bool) -> GateResult:
    """Return what all measurements of a tree by a gate come to.

    Args:
        history: The run's.
        measured: The last of them.
        rule: The gate's rule in the policy in force.
        recorded: Whether nothing was run for it now.
    """
    gate, tree = measured.gate, measured.tree
    judged = judge(measured, rule)
    counted = [
        judge(each, rule).verdict
        for each in history.measurements(tree, gate)
        if each.definition == measured.definition and each.environment == measured.environment
    ]
    flaky, reasons = history.is_flaky(tree, gate, rule), judged.reasons
    if flaky and judged.verdict == "pass":
        reasons = ("flaky: it also failed on this very tree",)
    verdict = judged.verdict
    if verdict != "inconclusive":
        verdict = history.standing(tree, gate, rule) or "inconclusive"
    return GateResult(
        gate=gate,
        mode=rule.mode,
        verdict=verdict,
        reasons=reasons,
        event=measured.reference,
        recorded=recorded,
        flaky=flaky,
        passes=counted.count("pass"),
        measured=counted.count("pass") + counted.count("fail"),
        duration_s=measured.duration_ns / 1e9,
        summary=summarize(measured, rule),
    )


def recall(events: Sequence[AnyEvent], state: StateAt, names: Sequence[str] = ()) -> Gated:
    """Return what a round of gates came to on a state that is not the candidate any more.

    Args:
        events: All of the run's.
        state: The state that was measured.
        names: The gates; none: all that the policy in force has and that measured it.
    """
    history = History.of(events)
    rules = {} if history.policy is None else history.policy.gates
    measured = {e.gate: e for e in events if isinstance(e, GateMeasured) and e.tree == state.tree}
    undone = [e for e in events if isinstance(e, PatchRolledBack) and state.v in e.patches]
    return Gated(
        run=events[0].run,
        state_v=state.v,
        tree=state.tree,
        results=tuple(
            result_of(history, measured[name], rule, recorded=True)
            for name, rule in rules.items()
            if name in measured and (not names or name in names)
        ),
        accepted=history.is_accepted(state.tree),
        rolled_back=Applied(undone[-1].reference, undone[-1].result_tree) if undone else None,
        kept="" if undone else "the candidate has changed since it was measured",
        notes=notes_on(history),
    )


def summarize(measured: GateMeasured, rule: Rule) -> str:
    """Return a measurement's numbers in a few words: the metric that decides, and what was examined."""
    value = measured.metrics.get(rule.metric)
    shown = "" if value is None else f"{rule.metric} {value:g}"
    compared = f"{'≤' if rule.better == 'lower' else '≥'} {rule.threshold:g}"
    unit = measured.unit.removesuffix("s") if measured.examined == 1 else measured.unit
    examined = f"{measured.examined} {unit}" if unit else ""
    return ", ".join(part for part in (f"{shown} ({compared})" if shown else "", examined) if part)
