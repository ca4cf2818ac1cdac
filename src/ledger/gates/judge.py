"""The judge: what the facts of one measurement mean under one rule. Pure, so any policy can ask it later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import NamedTuple, Protocol

from ledger.measurements import Verdict
from ledger.policies import Rule


class Facts(Protocol):
    """What a measurement found, as far as a verdict depends on it (of `ledger.events.GateMeasured`)."""

    @property
    def definition(self) -> str:
        """Digest of the rule's definition that was measured."""
        ...

    @property
    def problems(self) -> tuple[str, ...]:
        """Why nothing can be concluded."""
        ...

    @property
    def metrics(self) -> Mapping[str, float]:
        """Named numbers of the report."""
        ...

    @property
    def examined(self) -> int:
        """How much was looked at, in ``unit``."""
        ...

    @property
    def unit(self) -> str:
        """What was looked at: tests, files, statements."""
        ...

    @property
    def baseline(self) -> Mapping[str, float]:
        """The metrics of the accepted state, and ``examined`` there; empty where there is none."""
        ...


class Judgement(NamedTuple):
    """A verdict, and in words why it is not a pass."""

    verdict: Verdict
    reasons: tuple[str, ...] = ()


def judge(facts: Facts, rule: Rule) -> Judgement:
    """Return what ``facts`` mean under ``rule``.

    Whatever stands in the way of a conclusion comes before every finding: a number that was
    measured another way, or of nothing, is neither good nor bad. Numbers are compared as they are,
    without a tolerance, so that one SQL expression over the same columns says the same.

    Args:
        facts: One measurement. A metric that is not finite counts as none.
        rule: The gate in the policy that asks, which need not be the one that measured. Its mode is
            not looked at.
    """
    reasons = tuple(_obstacles(facts, rule))
    if reasons:
        return Judgement("inconclusive", reasons)
    reasons = tuple(_faults(facts, rule))
    return Judgement("fail", reasons) if reasons else Judgement("pass")


def _obstacles(facts: Facts, rule: Rule) -> Iterator[str]:
    """Yield why nothing can be concluded."""
    if facts.definition != rule.definition:
        yield "measured with another command than the policy's"
    yield from facts.problems
    if facts.problems:
        # What is missing in the report is their consequence.
        return
    value = facts.metrics.get(rule.metric)
    if value is None:
        known = ", ".join(sorted(facts.metrics)) or "no metrics at all"
        yield f"the report has no metric {rule.metric}; it has {known}"
    elif not isfinite(value):
        yield f"{rule.metric} is {value}, which is no number to compare"
    if facts.examined <= 0:
        yield "nothing was examined"


def _faults(facts: Facts, rule: Rule) -> Iterator[str]:
    """Yield what the policy does not allow, of facts that say something."""
    value = facts.metrics[rule.metric]
    side = "above" if rule.better == "lower" else "below"
    if _worse(value, rule.threshold, rule):
        yield f"{rule.metric} {show_number(value)} is {side} {show_number(rule.threshold)}"
    if facts.examined < rule.min_examined:
        yield f"{_count(facts.examined, facts.unit)}, the policy asks for {rule.min_examined}"
    before = facts.baseline.get("examined")
    if facts.unit == "tests" and not rule.allow_fewer and before is not None and facts.examined < before:
        yield f"{_count(facts.examined, facts.unit)}, the accepted state has {show_number(before)}"
    accepted = facts.baseline.get(rule.metric)
    if rule.baseline and accepted is not None and _worse(value, accepted, rule):
        yield (
            f"{rule.metric} {show_number(value)} is {side} {show_number(accepted)}, "
            "which the accepted state has"
        )


def _worse(value: float, than: float, rule: Rule) -> bool:
    return value > than if rule.better == "lower" else value < than


def _count(number: int, unit: str) -> str:
    return f"{number} {unit.removesuffix('s') if number == 1 else unit}"


def show_number(number: float) -> str:
    """Return the shortest text that reads back as ``number``: two numbers that differ never look alike."""
    return repr(float(number)).removesuffix(".0")
