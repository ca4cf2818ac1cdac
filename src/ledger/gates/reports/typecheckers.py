"""Type checkers: pyright and basedpyright, mypy, and the code quality format of GitLab that ty writes."""

from __future__ import annotations

from msgspec import Struct, field

from ledger.gates.reports.source import Count, Position, Source, severity_of
from ledger.measurements import Finding, Report, Severity

_SEVERITIES: dict[str, Severity] = {"warning": "warning", "information": "note", "note": "note"}
_GITLAB_SEVERITIES: dict[str, Severity] = {"minor": "warning", "info": "note"}


class _Point(Struct):
    line: Count
    character: Count


class _Range(Struct):
    start: _Point


class _PyrightDiagnostic(Struct):
    severity: str
    message: str
    file: str = ""
    range: _Range | None = None
    rule: str = ""


class _PyrightSummary(Struct):
    files: Count = field(name="filesAnalyzed")
    errors: Count = field(name="errorCount")
    warnings: Count = field(name="warningCount")


class _Pyright(Struct):
    diagnostics: list[_PyrightDiagnostic] = field(name="generalDiagnostics")
    summary: _PyrightSummary


class _MypyDiagnostic(Struct):
    file: str
    line: Position
    column: Position
    message: str
    severity: str
    code: str | None = None


class _Mark(Struct):
    line: Count
    column: Count = 0


class _Positions(Struct):
    begin: _Mark


class _Lines(Struct):
    begin: Count


class _GitlabLocation(Struct):
    path: str
    positions: _Positions | None = None
    lines: _Lines | None = None


class _GitlabIssue(Struct):
    check_name: str
    description: str
    location: _GitlabLocation
    severity: str = "major"


def parse_pyright(source: Source) -> Report:
    """Return the report of ``pyright --outputjson``: ``errors`` and ``warnings``.

    ``--level`` hides diagnostics from the list, not from the summary: the greater number counts.
    """
    result = source.json(_Pyright)
    findings = tuple(_pyright_finding(source, each) for each in result.diagnostics)
    metrics = _count(findings)
    metrics["errors"] = max(metrics["errors"], float(result.summary.errors))
    metrics["warnings"] = max(metrics["warnings"], float(result.summary.warnings))
    return Report(metrics=metrics, examined=result.summary.files, unit="files", findings=findings)


def parse_mypy(source: Source) -> Report:
    """Return the report of ``mypy --output json``: one object a line, none where all is well.

    It does not say how many files it checked, but exits with 2 where there is none: at least one.
    """
    if source.data and not source.data.endswith(b"\n"):
        raise source.refuse("the last line is incomplete")
    lines = [line for line in source.data.splitlines() if line.strip()]
    findings = tuple(_mypy_finding(source, source.json(_MypyDiagnostic, line)) for line in lines)
    files = {finding.path for finding in findings}
    return Report(metrics=_count(findings), examined=max(1, len(files)), unit="files", findings=findings)


def parse_gitlab(source: Source) -> Report:
    """Return a code quality report: ``errors`` (major and worse), ``warnings`` (minor), all ``findings``."""
    issues = source.json(list[_GitlabIssue])
    findings = tuple(_gitlab_finding(source, issue) for issue in issues)
    metrics = {**_count(findings), "findings": float(len(findings))}
    examined = len({finding.path for finding in findings})
    return Report(metrics=metrics, examined=examined, unit="files", findings=findings)


def _count(findings: tuple[Finding, ...]) -> dict[str, float]:
    return {
        "errors": float(sum(finding.severity == "error" for finding in findings)),
        "warnings": float(sum(finding.severity == "warning" for finding in findings)),
    }


def _pyright_finding(source: Source, each: _PyrightDiagnostic) -> Finding:
    return Finding(
        rule=each.rule,
        path=source.relative(each.file),
        line=each.range.start.line + 1 if each.range else 0,
        column=each.range.start.character + 1 if each.range else 0,
        message=each.message,
        severity=severity_of(each.severity, _SEVERITIES),
    )


def _mypy_finding(source: Source, each: _MypyDiagnostic) -> Finding:
    return Finding(
        rule=each.code or "",
        path=source.relative(each.file),
        line=max(0, each.line),
        column=each.column + 1,  # from 0, and -1 for none
        message=each.message,
        severity=severity_of(each.severity, _SEVERITIES),
    )


def _gitlab_finding(source: Source, issue: _GitlabIssue) -> Finding:
    place = issue.location
    mark = place.positions.begin if place.positions else _Mark(place.lines.begin if place.lines else 0)
    return Finding(
        rule=issue.check_name,
        path=source.relative(place.path),
        line=mark.line,
        column=mark.column,
        message=issue.description.removeprefix(f"{issue.check_name}: "),
        severity=severity_of(issue.severity, _GITLAB_SEVERITIES),
    )
