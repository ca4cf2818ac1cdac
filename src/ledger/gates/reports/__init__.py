"""Reports: what a gate's step says, read from the bytes that its tool left.

An exit code or a report that looks green although nothing was measured becomes a problem here: a tool that
found no file, skipped what it should have audited, stopped half-way, or contradicts itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ledger.gates.defaults import derive_metrics
from ledger.gates.reports.errors import ReportUnreadable
from ledger.gates.reports.exits import judge_exit
from ledger.gates.reports.formats import FORMATS, Format
from ledger.gates.reports.source import Source
from ledger.measurements import Report

__all__ = ["FORMATS", "Format", "ReportUnreadable", "merge_reports", "parse_report"]

_PERCENTS = frozenset({"combined", "statements", "branches"})


def parse_report(
    format: str,  # noqa: A002
    data: bytes | None,
    *,
    exit_code: int,
    root: Path,
    exit_codes: tuple[int, ...] = (0,),
    output: bytes = b"",
) -> Report:
    """Return what one step says.

    Args:
        format: A name of `FORMATS`.
        data: The report's bytes; None where the tool left none, which is a problem.
        exit_code: The command's, negative for a signal.
        root: The measured tree's root: paths in it are made relative.
        exit_codes: Those that mean "nothing found", for the format ``exit``.
        output: All that the command printed. Some tools say only there that they found nothing to look
            at, or could not read their configuration, and leave a clean report.

    Raises:
        ReportUnreadable: The bytes are not of the format, though the exit code is a result; or there is no
            such format. Nothing was written.
    """
    known = FORMATS.get(format)
    if known is None:
        raise ReportUnreadable(format, f"there is no such format; those there are: {', '.join(FORMATS)}")
    if format == "exit":
        return judge_exit(exit_code, exit_codes)
    if data is None or not (data.strip() or known.silent):
        return _nothing(known, exit_code, f"{known.codes.tool} left no report (exit code {exit_code})")
    try:
        report = known.parse(Source(format, data, root))
    except ReportUnreadable as error:
        if known.codes.is_result(exit_code):
            raise
        # A tool that gave up may print anything: why it did is what people need to know.
        return _nothing(known, exit_code, str(error))
    return _complete(known, report, exit_code, output)


def merge_reports(reports: Sequence[Report]) -> Report:
    """Return the report of a gate with several steps.

    Metrics are summed by name, sums of different ones are added (`derive_metrics`), and findings, tests,
    files and problems follow one another. Percentages cannot be summed: a second one of a name is a
    problem. What was examined is in the unit of the first report that counts anything but commands. Steps
    look at the same files, so the greatest number of files counts; of all else it is the sum.
    """
    if not reports:
        return Report(metrics={}, examined=0, unit="commands", problems=("no step was measured",))
    metrics: dict[str, float] = {}
    problems = [problem for report in reports for problem in report.problems]
    for name, value in (item for report in reports for item in report.metrics.items()):
        if name in metrics and name in _PERCENTS:
            problems.append(f"two steps report {name}, and percentages cannot be summed")
        metrics[name] = metrics.get(name, 0.0) + value
    unit = next((report.unit for report in reports if report.unit != "commands"), "commands")
    examined = [report.examined for report in reports if report.unit == unit]
    return Report(
        metrics=derive_metrics(metrics),
        examined=max(examined) if unit == "files" else sum(examined),
        unit=unit,
        findings=tuple(finding for report in reports for finding in report.findings),
        tests=tuple(test for report in reports for test in report.tests),
        files=tuple(file for report in reports for file in report.files),
        problems=tuple(dict.fromkeys(problems)),
    )


def _nothing(known: Format, exit_code: int, problem: str) -> Report:
    """Return the report of a step that left nothing to read, and why."""
    why = () if known.codes.is_result(exit_code) else (known.codes.explain(exit_code),)
    return Report(metrics={}, examined=0, unit=known.unit, problems=(*why, problem))


def _complete(known: Format, report: Report, exit_code: int, output: bytes) -> Report:
    """Return a report with what its exit code and the command's output add to it."""
    from msgspec.structs import replace

    found = any(report.metrics.get(name, 0) > 0 for name in known.decides)
    problems = [*known.codes.problems(exit_code, found=found), *report.problems]
    problems += [f"{known.codes.tool}: {why}" for sign, why in known.alarms if sign.search(output)]
    counted = known.counted.findall(output) if known.counted else []
    examined = max([report.examined, *map(int, counted)])
    if examined == 0 and (known.counts or counted) and not problems:
        problems.append(f"{known.codes.tool} examined no {known.unit}")
    return replace(report, examined=examined, problems=tuple(problems))
