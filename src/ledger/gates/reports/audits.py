"""The ledger's own audits, which report in the shape that measurements are kept in."""

from __future__ import annotations

from msgspec import Struct

from ledger.gates.reports.source import Count, Source
from ledger.measurements import Finding, Report


class _Audit(Struct):
    audit: str
    metrics: dict[str, float]
    examined: Count
    unit: str
    findings: list[Finding] = []
    problems: list[str] = []


def parse_audit(source: Source) -> Report:
    """Return the report of ``ledger audit NAME --json``: ``findings`` decide, ``warnings`` only tell."""
    result = source.json(_Audit)
    return Report(
        metrics=result.metrics,
        examined=result.examined,
        unit=result.unit,
        findings=tuple(result.findings),
        problems=tuple(result.problems),
    )
