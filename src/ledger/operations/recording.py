"""Recording: a measurement as an event with its verdict, and the ticket that it opens or closes."""

from __future__ import annotations

from math import isfinite

import msgspec

from ledger.events import Event, GateMeasured, TicketClosed, TicketOpened
from ledger.gates.judge import judge
from ledger.history import History, StateAt
from ledger.measurements import Report
from ledger.operations.measuring import Measurement, Site
from ledger.policies import Rule
from ledger.run import RunLog
from ledger.secrets.masking import mask_text


def measured_event(
    log: RunLog, history: History, state: StateAt, rule: Rule, measured: Measurement, site: Site
) -> GateMeasured:
    """Return a measurement as an event, secrets masked; its bodies are durable."""
    measured = _masked(measured)
    executions = measured.executions
    baseline_v, baseline = _baseline(history, measured.gate, rule)
    event = GateMeasured(
        **log.identity(),
        gate=measured.gate,
        tree=state.tree,
        state_v=state.v,
        definition=rule.definition,
        commands=tuple(execution.command for execution in executions),
        place=site.place,
        tools=measured.tools,
        configuration=measured.configuration,
        exit_codes=tuple(execution.exit_code for execution in executions),
        started_at_ns=min(execution.started_at_ns for execution in executions),
        duration_ns=sum(execution.duration_ns for execution in executions),
        # JSON has no number that is not finite; the judge misses the metric and says so.
        metrics={name: value for name, value in measured.report.metrics.items() if isfinite(value)},
        examined=measured.report.examined,
        unit=measured.report.unit,
        problems=measured.problems,
        baseline=baseline,
        baseline_v=baseline_v,
        verdict="inconclusive",
        reasons=(),
        report=_write_report(log, measured.report),
        output=log.write_text(_output(measured)),
        profile=log.head.profile,
    )
    verdict, reasons = judge(event, rule)
    return msgspec.structs.replace(event, verdict=verdict, reasons=reasons)


def _masked(measured: Measurement) -> Measurement:
    """Return a measurement without the secrets in what its tools said; names are texts of theirs too."""
    report = measured.report
    findings = tuple(
        msgspec.structs.replace(each, message=mask_text(each.message)) for each in report.findings
    )
    tests = tuple(msgspec.structs.replace(each, name=mask_text(each.name)) for each in report.tests)
    problems = tuple(map(mask_text, report.problems))
    masked = msgspec.structs.replace(report, findings=findings, tests=tests, problems=problems)
    return measured._replace(report=masked, problems=tuple(map(mask_text, measured.problems)))


def _write_report(log: RunLog, report: Report) -> str | None:
    listed = report.findings or report.tests or report.files
    return log.write_body(msgspec.json.encode(report)) if listed else None


def _output(measured: Measurement) -> bytes:
    parts: list[bytes] = []
    for execution in measured.executions:
        parts += [b"$ " + " ".join(execution.command).encode(), execution.output.rstrip(b"\n")]
    return b"\n".join(part for part in parts if part) + b"\n"


def _baseline(history: History, gate: str, rule: Rule) -> tuple[int, dict[str, float]]:
    """Return what there is to compare with: the accepted state's version, and its metrics if measured."""
    state = history.accepted
    for each in reversed(history.measurements(state.tree, gate)):
        if each.definition == rule.definition and not each.problems:
            return state.v, {**each.metrics, "examined": float(each.examined)}
    return state.v, {}


def ticket_events(log: RunLog, history: History, event: GateMeasured, rule: Rule) -> list[Event]:
    """Return the ticket that a soft failure opens, or that a pass closes, of the last measurement.

    What counts is where the gate stands on the tree: a pass beside a failure closes nothing.
    """
    gate, open_ = event.gate, history.tickets.get(event.gate)
    standing = history.standing(event.tree, gate, rule)
    if standing == "fail" and rule.mode == "soft" and open_ is None:
        failed = history.last_failure(event.tree, gate, rule) or event
        return [TicketOpened(**log.identity(), gate=gate, measured_v=failed.v)]
    if standing == "pass" and open_ is not None and event.tree == history.candidate.tree:
        closed = TicketClosed(
            **log.identity(), gate=gate, ticket_v=open_.v, measured_v=event.v, fixed_v=event.state_v
        )
        return [closed]
    return []
