"""Ruff: lint findings, files that are not formatted, and which files it would look at.

Its JSON names only files with findings, and a run that found no file at all writes the same ``[]`` as a
clean one. `parse_files` reads ``ruff check --show-files``, which says how many there are.
"""

from __future__ import annotations

from msgspec import Struct

from ledger.gates.reports.source import Count, Source, severity_of
from ledger.measurements import Finding, Report, Severity

_SEVERITIES: dict[str, Severity] = {"warning": "warning", "info": "note", "note": "note", "help": "note"}
_NOT_PYTHON = (".toml", ".md")


class _Location(Struct):
    row: Count
    column: Count


class _Diagnostic(Struct):
    code: str | None
    filename: str
    message: str | None
    location: _Location | None = None
    severity: str = "error"


def parse_check(source: Source) -> Report:
    """Return the report of ``ruff check --output-format json``: the metric ``violations``."""
    findings = _findings(source)
    examined = len({finding.path for finding in findings})
    metrics = {"violations": float(len(findings))}
    return Report(metrics=metrics, examined=examined, unit="files", findings=findings)


def parse_format(source: Source) -> Report:
    """Return the report of ``ruff format --check --output-format json``: the metric ``reformat``, in files.

    A file that cannot be parsed counts too: it is not formatted either.
    """
    if not source.data.strip():
        # Where there is no file, this command alone writes nothing at all.
        return Report(metrics={}, examined=0, unit="files", problems=("ruff format found no file",))
    findings = _findings(source)
    files = {finding.path for finding in findings}
    return Report(
        metrics={"reformat": float(len(files))}, examined=len(files), unit="files", findings=findings
    )


def parse_files(source: Source) -> Report:
    """Return how many Python files ``ruff check --show-files`` lists: the metric ``files``.

    It lists configuration and prose too, which do not count, and files that ``lint.exclude`` leaves out.
    """
    return _count(source, [path for path in _lines(source) if not path.lower().endswith(_NOT_PYTHON)])


def parse_paths(source: Source) -> Report:
    """Return how many paths any command lists, one a line, such as ``git ls-files '*.py'``."""
    return _count(source, _lines(source))


def _count(source: Source, paths: list[str]) -> Report:
    examined = len({source.relative(path) for path in paths})
    return Report(metrics={"files": float(examined)}, examined=examined, unit="files")


def _lines(source: Source) -> list[str]:
    if source.data and not source.data.endswith(b"\n"):
        raise source.refuse("the last line is incomplete")
    if b"\0" in source.data:
        raise source.refuse("a line holds a NUL byte")
    return [line.strip() for line in source.data.decode("utf-8", "replace").split("\n") if line.strip()]


def _findings(source: Source) -> tuple[Finding, ...]:
    return tuple(_finding(source, each) for each in source.json(list[_Diagnostic]))


def _finding(source: Source, each: _Diagnostic) -> Finding:
    place = each.location or _Location(0, 0)
    return Finding(
        # Earlier versions give a syntax error no code.
        rule=each.code or "invalid-syntax",
        path=source.relative(each.filename),
        line=place.row,
        column=place.column,
        message=each.message or "",
        severity=severity_of(each.severity, _SEVERITIES),
    )
