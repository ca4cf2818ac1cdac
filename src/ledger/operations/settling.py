"""Settling: what the ledger asks by itself, and what closes that by itself.

A gate that does not pass asks, and is answered where it passes on the candidate. A patch that does not
apply asks, and is answered where one of its source, or of its bytes, applies. Both are events of the very
append that they come of, so there is no verdict and no refusal without its question, but for what a bisection
measures: a failure that lies behind asks nobody.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import UnsetType

from ledger.events import (
    ErrorCaptured,
    Event,
    GateMeasured,
    PatchApplied,
    PatchRefused,
    QuestionAnswered,
    TicketOpened,
)
from ledger.history import History
from ledger.measurements import Report
from ledger.operations.captures import Capture, Captures, step_in
from ledger.policies import Rule
from ledger.run import RunLog

_SHOWN = 5
_GATE = "gate "
_APPLY = "apply "
_STANDARD_INPUT = ("", "-")


def gate_of(question: ErrorCaptured) -> str:
    """Return the gate that asked a question, "" where no gate did."""
    return question.step.partition(":")[2].removeprefix(_GATE) if question.met_by == "gate" else ""


def gate_questions(history: History, gate: str) -> list[ErrorCaptured]:
    """Return the open questions that a gate asked, oldest first."""
    return [question for question in history.questions.values() if gate_of(question) == gate]


def settle_measurement(
    log: RunLog, history: History, event: GateMeasured, rule: Rule, at_v: int
) -> list[Event]:
    """Return what a new measurement asks, or the answers that it gives.

    Args:
        log: The run.
        history: Its history, with the measurement.
        event: The measurement, its bodies durable.
        rule: The gate's.
        at_v: The version that the first event will have.
    """
    if event.verdict == "pass":
        return _answer_gate(log, history, event, rule)
    return [Captures(log, history).take(_of_measurement(log, event), at_v)]


def settle_recalled(
    log: RunLog, history: History, event: GateMeasured, rule: Rule, tickets: Sequence[Event]
) -> list[Event]:
    """Return what a measurement of before asks or answers, now that its tree is the candidate again.

    It asks anew only where a ticket opens anew: who has answered its question is not asked for ever.

    Args:
        log: The run.
        history: Its history.
        event: The measurement; its state is the present one.
        rule: The gate's.
        tickets: What becomes of the gate's ticket, in the same append.
    """
    if any(isinstance(ticket, TicketOpened) for ticket in tickets):
        at_v = log.head.v + 1 + len(tickets)
        return [Captures(log, history).take(_of_measurement(log, event), at_v)]
    return _answer_gate(log, history, event, rule)


def _answer_gate(log: RunLog, history: History, event: GateMeasured, rule: Rule) -> list[Event]:
    asked = gate_questions(history, event.gate)
    # A pass beside a failure answers nothing, and neither does one on a tree that is the candidate no more.
    if not asked or event.tree != history.candidate.tree:
        return []
    if history.standing(event.tree, event.gate, rule) != "pass":
        return []
    state = f"{event.run}:{event.state_v}"
    text = f"gate {event.gate} passes on tree {event.tree} at {event.reference}, after {state}"
    return _answers(log, asked, text)


def _of_measurement(log: RunLog, event: GateMeasured) -> Capture:
    report = None if event.report is None else msgspec.json.decode(log.read_body(event.report), type=Report)
    lines = [f"gate {event.gate}: {event.verdict}", *event.reasons]
    shown = [] if report is None else list(report.complaints())
    lines += shown[:_SHOWN]
    if len(shown) > _SHOWN:
        lines.append(f"… and {len(shown) - _SHOWN} more: `ledger show {event.reference}`")
    exits = [code for code in event.exit_codes if code is not None]
    return Capture(
        step=step_in(log, f"{_GATE}{event.gate}"),
        message="\n".join(lines),
        context=f"measuring tree {event.tree}, the state of {event.run}:{event.state_v}",
        cause="gate",
        source_v=event.v,
        exit_code=exits[-1] if exits else None,
    )


def ask_refusal(
    log: RunLog, history: History, refused: PatchRefused, message: str, at_v: int
) -> ErrorCaptured:
    """Return the question of a patch that does not apply.

    Args:
        log: The run.
        history: Its history.
        refused: The refusal, the event before this one.
        message: Why it was refused, as it is printed.
        at_v: The version that the question's event will have.
    """
    source = " ".join(refused.source.split()) or "-"
    capture = Capture(
        step=step_in(log, f"{_APPLY}{source}"),
        message=message,
        context=f"applying it to tree {refused.base_tree}",
        cause="patch",
        source_v=at_v - 1,
    )
    return Captures(log, history).take(capture, at_v)


def settle_patches(log: RunLog, history: History, applied: Sequence[PatchApplied]) -> list[Event]:
    """Return the answers that applied patches give to questions of patches that did not apply.

    Args:
        log: The run.
        history: Its history.
        applied: The next events of the run, in order.
    """
    answered: dict[int, tuple[ErrorCaptured, str]] = {}
    refusals = _refusals(history)
    for v, event in enumerate(applied, start=log.head.v + 1):
        for refused, question in refusals:
            if _is_same(event, refused):
                said = f"{event.source or 'the patch'} applies at {log.head.run}:{v}"
                answered.setdefault(question.v, (question, said))
    return [event for question, said in answered.values() for event in _answers(log, [question], said)]


def _refusals(history: History) -> list[tuple[PatchRefused, ErrorCaptured]]:
    """Return every refusal whose question is open, with the question."""
    found: list[tuple[PatchRefused, ErrorCaptured]] = []
    for v, error in history.errors.items():
        question = history.questions.get(history.captured[v])
        if error.met_by == "patch" and question is not None and isinstance(error.source_v, int):
            found.append((history.refused[error.source_v], question))
    return found


def _is_same(applied: PatchApplied, refused: PatchRefused) -> bool:
    if applied.of == refused.v:
        return True
    if applied.source == refused.source and applied.source not in _STANDARD_INPUT:
        return True
    given = {body for body in (applied.patch, applied.given) if not isinstance(body, UnsetType)}
    return bool(given & {refused.patch, refused.given})


def _answers(log: RunLog, questions: Sequence[ErrorCaptured], text: str) -> list[Event]:
    said = log.write_text(text.encode())
    return [QuestionAnswered(**log.identity(), error_v=question.v, answer=said) for question in questions]
