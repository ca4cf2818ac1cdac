"""SARIF: of real tools, and what its standard says of suppressions, kinds and levels."""

from __future__ import annotations

import json

import pytest

from ledger.gates.reports import ReportUnreadable, merge_reports, parse_report
from ledger.measurements import Finding


def sarif(tmp_path, *results, exit_code=0, **run):
    """Parse one run with these results, whose driver has a rule with the default level note."""
    rules = [{"id": "R0"}, {"id": "R1", "defaultConfiguration": {"level": "note"}}]
    run = {"tool": {"driver": {"name": "scan", "rules": rules}}, "results": list(results), **run}
    data = json.dumps({"version": "2.1.0", "runs": [run]}).encode()
    return parse_report("sarif", data, exit_code=exit_code, root=tmp_path)


def result(rule="R0", **fields):
    return {"ruleId": rule, "message": {"text": "it is wrong"}, **fields}


def test_ruff_says_the_same_in_both_formats(bench):
    """Ruff's SARIF and its own JSON name the same rules in the same places."""
    bench.write({"a b.py": "import os\n\n\ndef f(:\n", "c.py": "import sys\n"})
    native = bench.measure("ruff-check", "ruff", "check", ".", "--output-format", "json")
    report = bench.measure("sarif", "ruff", "check", ".", "--output-format", "sarif")
    key = [(each.rule, each.path, each.line, each.column, each.message) for each in report.findings]
    assert key == [(each.rule, each.path, each.line, each.column, each.message) for each in native.findings]
    assert report.metrics["findings"] == native.metrics["violations"] > 0
    assert report.problems == ()


def test_a_clean_run_that_does_not_say_over_what_is_not_green(bench, green):
    """Ruff and ty write the same SARIF over nothing as over a clean tree: another step has to count."""
    for command in (
        ("ruff", "check", "--output-format", "sarif"),
        ("ty", "check", "--output-format", "sarif"),
    ):
        report = bench.measure("sarif", *command)
        assert bench.last.exit_code == 0
        assert not green(report, "findings")
        assert bench.measure("sarif", *command, heard=True).problems
    bench.write({"a.py": "x = 1\n"})
    report = bench.measure("sarif", "ruff", "check", "--output-format", "sarif")
    listed = bench.measure("ruff-files", "ruff", "check", "--show-files")
    assert green(merge_reports([report, listed]), "findings")


def test_artifacts_are_what_was_examined(tmp_path, green):
    """A run that lists the files it analysed passes with their number; what it only mentions does not count."""
    artifacts = [
        {"location": {"uri": "a.py"}, "roles": ["analysisTarget"]},
        {"location": {"uri": "b.py"}},
        {"location": {"uri": "rules.yml"}, "roles": ["policy"]},
    ]
    report = sarif(tmp_path, artifacts=artifacts)
    assert report.examined == 2
    assert green(report, "findings")


@pytest.mark.parametrize(
    ("fields", "metric", "severity"),
    [
        ({}, "warnings", "warning"),
        ({"level": "error"}, "errors", "error"),
        ({"level": "none"}, None, None),
        ({"rule": "R1"}, "notes", "note"),
        ({"rule": "R1", "level": "error"}, "errors", "error"),
        ({"rule": "unknown"}, "warnings", "warning"),
        ({"rule": "", "ruleIndex": 1}, "notes", "note"),
        ({"rule": "", "rule_": {"id": "R1"}}, "notes", "note"),
        ({"kind": "pass"}, None, None),
        ({"kind": "notApplicable"}, None, None),
        ({"kind": "open"}, "undecided", None),
        ({"kind": "review"}, "undecided", None),
        ({"suppressions": []}, "warnings", "warning"),
        ({"suppressions": [{"kind": "inSource"}]}, "suppressed", None),
        ({"suppressions": [{"kind": "external", "status": "accepted"}]}, "suppressed", None),
        ({"suppressions": [{"kind": "external", "status": "underReview"}]}, "warnings", "warning"),
        (
            {"suppressions": [{"kind": "inSource"}, {"kind": "external", "status": "rejected"}]},
            "warnings",
            "warning",
        ),
        ({"baselineState": "absent"}, None, None),
        ({"baselineState": "unchanged"}, "warnings", "warning"),
    ],
)
def test_what_a_result_counts_as(tmp_path, fields, metric, severity):
    """A result counts in one metric or in none, and is a finding where it has a severity."""
    fields = dict(fields)
    rule = fields.pop("rule", "R0")
    if "rule_" in fields:
        fields["rule"] = fields.pop("rule_")
    report = sarif(tmp_path, {**result(rule), **fields})
    counted = {name for name, value in report.metrics.items() if value and name != "findings"}
    assert counted == ({metric} if metric else set())
    assert [each.severity for each in report.findings] == ([severity] if severity else [])
    assert report.metrics["findings"] == len(report.findings)


def test_suppressed_results_do_not_explain_an_exit_code(tmp_path):
    """Exit code 1 over suppressed results alone contradicts the report."""
    report = sarif(tmp_path, result(suppressions=[{"kind": "inSource"}]), exit_code=1)
    assert report.problems == ("exit code 1, but the report of the scanner shows no finding",)


def test_paths_have_bases(tmp_path):
    """A base with a URI is put before a path; one without is the root; an index names an artifact."""

    def at(**location):
        place = {
            "physicalLocation": {"artifactLocation": location, "region": {"startLine": 3, "startColumn": 7}}
        }
        return result(locations=[place])

    report = sarif(
        tmp_path,
        at(uri="a%20b.py", uriBaseId="SRC"),
        at(uri="c.py", uriBaseId="ROOT"),
        at(index=0),
        at(uri=(tmp_path / "e.py").as_uri()),
        at(uri="file:///elsewhere/f.py"),
        originalUriBaseIds={"SRC": {"uri": f"{(tmp_path / 'src').as_uri()}/"}, "ROOT": {}},
        artifacts=[{"location": {"uri": "d.py"}}],
    )
    assert [each.path for each in report.findings] == [
        "src/a b.py",
        "c.py",
        "d.py",
        "e.py",
        "/elsewhere/f.py",
    ]
    assert report.findings[0] == Finding("R0", "src/a b.py", 3, 7, "it is wrong", "warning")


@pytest.mark.parametrize(
    ("run", "problem"),
    [
        ({"invocations": [{"executionSuccessful": False}]}, "did not run successfully"),
        (
            {
                "invocations": [
                    {
                        "executionSuccessful": True,
                        "toolExecutionNotifications": [
                            {"level": "error", "message": {"text": "out of memory"}}
                        ],
                    }
                ]
            },
            "out of memory",
        ),
        (
            {
                "invocations": [
                    {
                        "executionSuccessful": True,
                        "toolConfigurationNotifications": [{"level": "error", "message": {"id": "bad-rule"}}],
                    }
                ]
            },
            "bad-rule",
        ),
        ({"results": None}, "has no results"),
        ({"externalPropertyFileReferences": {"results": [{}]}}, "left its results in other files"),
    ],
)
def test_a_run_that_failed_is_a_problem(tmp_path, run, problem):
    """A tool that says it failed, or left no results, cannot be green."""
    report = sarif(tmp_path, **run, artifacts=[{"location": {"uri": "a.py"}}])
    assert any(problem in each for each in report.problems)


def test_a_warning_of_the_tool_is_no_problem(tmp_path, green):
    """Notifications below error are the tool's talk."""
    invocation = {"executionSuccessful": True, "toolExecutionNotifications": [{"message": {"text": "slow"}}]}
    report = sarif(tmp_path, invocations=[invocation], artifacts=[{"location": {"uri": "a.py"}}])
    assert green(report, "findings")


def test_another_version_is_refused(tmp_path):
    """An older SARIF has the same names with other meanings."""
    with pytest.raises(ReportUnreadable, match=r"version '2\.0\.0', not 2\.1\.0"):
        parse_report("sarif", b'{"version": "2.0.0", "runs": []}', exit_code=0, root=tmp_path)
