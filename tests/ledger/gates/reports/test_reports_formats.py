"""What holds for every format: exit codes, missing reports, signals, and the merge of several steps."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from ledger.gates.defaults import METRICS
from ledger.gates.reports import FORMATS, ReportUnreadable, merge_reports, parse_report
from ledger.measurements import Report

TOOLS = [name for name in FORMATS if name != "exit"]
ROOT = Path("/tree")

# The least that each format takes for a report without a finding.
EMPTY = {
    "ruff-check": b"[]",
    "ruff-format": b"[]",
    "ruff-files": b"",
    "paths": b"",
    "junit": b"<testsuites/>",
    "coverage": b'{"meta":{"format":3,"version":"7"},"files":{},"totals":{"covered_lines":0,"num_statements":0,"percent_covered":100}}',
    "cobertura": b"<coverage/>",
    "sarif": b'{"version":"2.1.0","runs":[]}',
    "pyright": b'{"generalDiagnostics":[],"summary":{"filesAnalyzed":0,"errorCount":0,"warningCount":0}}',
    "mypy": b"\n",
    "gitlab": b"[]",
    "bandit": b'{"results":[],"errors":[],"metrics":{}}',
    "detect-secrets": b'{"version":"1.5.0","results":{},"plugins_used":[{}],"filters_used":[]}',
    "pip-audit": b'{"dependencies":[]}',
    "pip-licenses": b"[]",
    "nox": b'{"result":1,"sessions":[]}',
    "audit": b'{"audit":"secrets","metrics":{"findings":0,"warnings":0},"examined":0,"unit":"files"}',
    "tokens": b"[]",
}


def read(name, exit_code=0, data=None, **options):
    return parse_report(
        name, EMPTY[name] if data is None else data, exit_code=exit_code, root=ROOT, **options
    )


@pytest.mark.parametrize("name", TOOLS)
def test_a_report_that_is_missing_is_a_problem(name):
    """Whatever the exit code, no report is no result."""
    for exit_code in (0, 1, 2, -9):
        report = parse_report(name, None, exit_code=exit_code, root=ROOT)
        assert (report.metrics, report.examined) == ({}, 0)
        assert "left no report" in report.problems[-1]


@pytest.mark.parametrize("exit_code", [-9, -11, -1, 70, 101, 126, 127, 130, 137, 255])
@pytest.mark.parametrize("name", TOOLS)
def test_no_tool_ends_well_with_these(name, exit_code):
    """A signal, a command that is not there and a crash are problems over the cleanest report."""
    report = read(name, exit_code)
    assert report.problems
    said = "was killed by signal" if exit_code < 0 else f"exit code {exit_code} is no result of"
    assert said in report.problems[0]


@pytest.mark.parametrize("name", TOOLS)
def test_an_empty_report_is_never_green(name, green):
    """Nothing examined is nothing measured; mypy alone promises that there was a file."""
    report = read(name)
    assert report.unit == FORMATS[name].unit
    if name != "mypy":
        assert not any(green(report, metric) for metric in report.metrics)
        assert report.problems or not FORMATS[name].counts


@pytest.mark.parametrize("name", [name for name in TOOLS if FORMATS[name].codes.findings])
def test_findings_that_are_not_shown_are_a_problem(name):
    """The exit code for findings over a report without one contradicts it."""
    (exit_code,) = FORMATS[name].codes.findings
    assert f"exit code {exit_code}, but the report" in read(name, exit_code).problems[0]


@pytest.mark.parametrize("name", [name for name in TOOLS if name not in {"ruff-files", "paths"}])
def test_other_bytes_are_refused(name):
    """What is no report is named as such, where the exit code promised one."""
    with pytest.raises(ReportUnreadable) as caught:
        read(name, data=b"<<<not a report>>>\n")
    assert caught.value.format == name
    assert caught.value.reason in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("name", [name for name in TOOLS if name not in {"ruff-files", "paths"}])
def test_other_bytes_with_a_bad_exit_code_say_both(name):
    """A tool that gave up may print anything: the exit code comes first."""
    report = read(name, 99, b"Traceback (most recent call last):\n")
    assert "exit code 99" in report.problems[0]
    assert f"the report is not {name}" in report.problems[1]


def test_an_unknown_format_is_refused():
    """A policy of another version may name a format that this one does not know."""
    with pytest.raises(ReportUnreadable, match="no such format; those there are: exit, ruff-check"):
        parse_report("checkstyle", b"", exit_code=0, root=ROOT)


@pytest.mark.parametrize(
    ("exit_code", "allowed", "failed"),
    [(0, (0,), 0), (1, (0,), 1), (1, (0, 1), 0), (0, (3,), 1), (127, (127,), 0)],
)
def test_an_exit_code_alone(exit_code, allowed, failed):
    """One command is examined, and it failed unless its exit code is allowed."""
    report = parse_report("exit", None, exit_code=exit_code, root=ROOT, exit_codes=allowed)
    assert report == Report(metrics={"failed": failed}, examined=1, unit="commands")


@pytest.mark.parametrize(
    ("exit_code", "problem"),
    [
        (-signal.SIGKILL, "the command was killed by signal 9 (SIGKILL)"),
        (-200, "the command was killed by signal 200"),
        (126, "exit code 126 is no result of the command (the command cannot be executed)"),
        (127, "exit code 127 is no result of the command (the command was not found)"),
    ],
)
def test_a_command_that_did_not_run_is_a_problem(exit_code, problem):
    """Killed or not found is neither passed nor failed."""
    report = parse_report("exit", b"", exit_code=exit_code, root=ROOT)
    assert (report.examined, report.problems) == (0, (problem,))


def test_every_format_is_one_that_configuration_knows():
    """What a format counts and what configuration lets people gate on are the same names."""
    assert METRICS.keys() <= FORMATS.keys()
    for name in TOOLS:
        extra = set(METRICS.get(name, ())) - set(read(name).metrics)
        # These name no metric where they would have to invent a number.
        assert name in {"coverage", "cobertura"} or extra <= {"xpassed"}, (name, extra)


def test_a_merge_adds_and_keeps_everything():
    """Metrics add up by name; findings, tests and problems follow one another, the same problem once."""
    first = Report(metrics={"a": 1, "b": 2}, examined=3, unit="tests", problems=("x", "y"))
    second = Report(metrics={"b": 3}, examined=4, unit="tests", problems=("y",))
    merged = merge_reports([first, second])
    assert (merged.metrics, merged.examined, merged.problems) == ({"a": 1, "b": 5}, 7, ("x", "y"))


def test_a_merge_counts_files_once():
    """Several steps look at the same files; what another step counts in another unit does not add to them."""
    units = [("commands", 1), ("files", 3), ("files", 5), ("packages", 9)]
    reports = [Report(metrics={}, examined=number, unit=unit) for unit, number in units]
    merged = merge_reports(reports)
    assert (merged.examined, merged.unit) == (5, "files")


def test_a_merge_of_nothing_is_a_problem():
    """A gate without a step that ran has measured nothing."""
    assert merge_reports([]).problems == ("no step was measured",)


def test_a_merge_of_one_is_that_one():
    """Nothing is lost or added for a gate with one step."""
    report = read("nox", data=b'{"result":1,"sessions":[{"name":"a","result":"success","result_code":1}]}')
    assert merge_reports([report]) == report


def test_lint_is_judged_by_one_sum():
    """Violations and files to reformat are one number; where a step measured nothing there is none."""
    checked = Report(metrics={"violations": 2}, examined=1, unit="files")
    formatted = Report(metrics={"reformat": 1}, examined=1, unit="files")
    assert merge_reports([checked, formatted]).metrics["problems"] == 3
    assert "problems" not in merge_reports([checked, read("ruff-format", data=b"")]).metrics


@pytest.mark.parametrize(
    ("path", "relative"),
    [
        ("/tree/a.py", "a.py"),
        ("/tree/./p/../a.py", "a.py"),
        ("./a.py", "a.py"),
        ("/treehouse/a.py", "/treehouse/a.py"),
        ("/tree/../etc/passwd", "/etc/passwd"),
        ("../a.py", "../a.py"),
        ("", ""),
    ],
)
def test_paths_are_the_trees(path, relative):
    """A path in the tree is relative to it, one outside stays as it is."""
    data = f'[{{"check_name": "c", "description": "d", "location": {{"path": "{path}"}}}}]'.encode()
    assert read("gitlab", 1, data).findings[0].path == relative


def test_a_root_behind_a_symlink_is_the_same_root(tmp_path):
    """Tools report the real path of a tree that they were started in through a link."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    data = '[{"check_name":"c","description":"d","location":{"path":"%s/a.py"}}]' % (tmp_path / "real")
    report = parse_report("gitlab", data.encode(), exit_code=1, root=tmp_path / "link")
    assert report.findings[0].path == "a.py"
