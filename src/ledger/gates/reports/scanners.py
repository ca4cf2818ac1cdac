"""Security scanners: bandit and detect-secrets."""

from __future__ import annotations

from collections import Counter

from msgspec import Raw, Struct

from ledger.gates.reports.source import Count, Position, Source, severity_of
from ledger.measurements import Finding, Report, Severity

_SEVERITIES: dict[str, Severity] = {"high": "error", "medium": "warning", "low": "note", "undefined": "note"}
_TOTALS = "_totals"
_SHOWN = 3
_VERIFIED_ONLY = 3
"""detect-secrets' level at which a secret that it could not verify is dropped."""


class _BanditError(Struct):
    filename: str
    reason: str


class _BanditResult(Struct):
    filename: str
    issue_severity: str
    issue_text: str
    test_id: str
    line_number: Position
    col_offset: Position = -1


class _Bandit(Struct):
    results: list[_BanditResult]
    errors: list[_BanditError]
    metrics: dict[str, Raw]


class _Secret(Struct):
    type: str
    line_number: Count = 0


class _Filter(Struct):
    path: str
    min_level: Count = 0


class _Secrets(Struct):
    version: str
    results: dict[str, list[_Secret]]
    plugins_used: list[Raw]
    filters_used: list[_Filter]


def parse_bandit(source: Source) -> Report:
    """Return the report of ``bandit -f json``: ``findings``, and of them ``high``, ``medium``, ``low``.

    Bandit exits with 0 over a file that it could not parse: that file was not examined.
    """
    result = source.json(_Bandit)
    findings = tuple(_bandit_finding(source, each) for each in result.results)
    counts = Counter(each.issue_severity.lower() for each in result.results)
    metrics = {"findings": float(len(findings))} | {
        name: float(counts[name]) for name in ("high", "medium", "low")
    }
    examined = result.metrics.keys() - {_TOTALS} - {error.filename for error in result.errors}
    return Report(
        metrics=metrics,
        examined=len(examined),
        unit="files",
        findings=findings,
        problems=_unread(source, result.errors),
    )


def parse_secrets(source: Source) -> Report:
    """Return the report of ``detect-secrets scan``: ``findings``.

    It exits with 0 whatever it found, and names only files with findings.
    """
    result = source.json(_Secrets)
    findings = tuple(
        Finding(rule=secret.type, path=source.relative(path), line=secret.line_number)
        for path, secrets in result.results.items()
        for secret in secrets
    )
    problems: list[str] = []
    if not result.plugins_used:
        problems.append("detect-secrets ran without a single detector")
    if not findings and any(each.min_level >= _VERIFIED_ONLY for each in result.filters_used):
        problems.append("detect-secrets was told to drop what it cannot verify, which offline is everything")
    examined = len({finding.path for finding in findings})
    metrics = {"findings": float(len(findings))}
    return Report(
        metrics=metrics, examined=examined, unit="files", findings=findings, problems=tuple(problems)
    )


def _unread(source: Source, errors: list[_BanditError]) -> tuple[str, ...]:
    if not errors:
        return ()
    named = "; ".join(f"{source.relative(each.filename)}: {each.reason}" for each in errors[:_SHOWN])
    more = f" and {len(errors) - _SHOWN} more" if len(errors) > _SHOWN else ""
    return (f"bandit could not read {named}{more}",)


def _bandit_finding(source: Source, each: _BanditResult) -> Finding:
    return Finding(
        rule=each.test_id,
        path=source.relative(each.filename),
        line=max(0, each.line_number),
        column=each.col_offset + 1,  # from 0, and -1 for none
        message=each.issue_text,
        severity=severity_of(each.issue_severity, _SEVERITIES),
    )
