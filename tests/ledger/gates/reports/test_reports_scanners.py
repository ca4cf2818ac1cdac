"""Scanners, which exit with 0 over files that they could not read and secrets that they found."""

from __future__ import annotations

from ledger.gates.reports import merge_reports
from ledger.measurements import Finding

BANDIT = ("bandit", "-q", "-f", "json", "-r")
SECRETS = ("detect-secrets", "scan")
LISTED = ("detect-secrets", "scan", "--all-files", ".")
KEY = "aws_key = " + '"AKIA' + 'IOSFODNN7REALKEY"\n'  # in two, so that no scanner finds it here


def test_bandit_findings_have_severities(bench):
    """The plain fail: how many there are in all and of each severity, and where."""
    bench.write({"s.py": 'import subprocess\nsubprocess.call("ls -l", shell=True)\nexec("1")\n'})
    report = bench.measure("bandit", *BANDIT, ".")
    assert bench.last.exit_code == 1
    assert (
        report.metrics["findings"]
        == len(report.findings)
        == sum(report.metrics[n] for n in ("high", "medium", "low"))
    )
    assert report.metrics["medium"] == 1
    assert Finding("B102", "s.py", 3, 1, "Use of exec detected.", "warning") in report.findings
    assert (report.examined, report.unit, report.problems) == (1, "files", ())


def test_bandit_passes_clean_files(bench, green):
    """The plain pass, with the number of files."""
    report = bench.write({"a.py": "x = 1\n", "p/b.py": "y = 1\n"}).measure("bandit", *BANDIT, ".")
    assert green(report, "findings")
    assert report.examined == 2


def test_bandit_over_nothing_is_not_green(bench, green):
    """An empty tree and a missing file are exit code 0 and no finding."""
    assert bench.measure("bandit", *BANDIT, ".").problems == ("bandit examined no files",)
    assert bench.last.exit_code == 0
    report = bench.measure("bandit", *BANDIT, "missing.py")
    assert bench.last.exit_code == 0
    assert report.problems == ("bandit could not read missing.py: No such file or directory",)


def test_bandit_does_not_fail_over_a_file_that_it_cannot_parse(bench, green):
    """It exits with 0 and no finding: that file was not examined, and that is a problem."""
    bench.write({"a.py": "x = 1\n", "b.py": 'def f(:\nexec("1")\n'})
    report = bench.measure("bandit", *BANDIT, ".")
    assert bench.last.exit_code == 0
    assert report.problems == ("bandit could not read b.py: syntax error while parsing AST from file",)
    assert report.examined == 1


def test_bandit_with_a_bad_configuration_is_a_problem(bench):
    """Exit code 2, and no report."""
    report = bench.write({"a.py": "x = 1\n"}).measure("bandit", *BANDIT, ".", "-c", "missing.toml")
    assert "exit code 2 is no result of bandit" in report.problems[0]


def test_secrets_are_found_though_the_exit_code_is_0(bench, green):
    """The report decides."""
    report = bench.write({"k.py": KEY}).measure("detect-secrets", *LISTED)
    assert bench.last.exit_code == 0
    assert not green(report, "findings")
    assert Finding("AWS Access Key", "k.py", 1) in report.findings
    assert report.problems == ()


def test_secrets_in_no_repository_are_not_found(bench, green, git):
    """It looks at tracked files: without a repository there is none, and it says so to people alone."""
    bench.write({"k.py": KEY})
    assert not green(bench.measure("detect-secrets", *SECRETS), "findings")
    heard = bench.measure("detect-secrets", *SECRETS, heard=True)
    assert bench.last.exit_code == 0
    assert heard.metrics == {"findings": 0}
    assert len(heard.problems) == 1
    git("init", "--quiet", cwd=bench.tree)
    git("add", "k.py", cwd=bench.tree)
    assert bench.measure("detect-secrets", *SECRETS, heard=True).metrics == {"findings": 1}


def test_a_clean_scan_needs_a_count(bench, green, git):
    """It does not name files without secrets: `git ls-files` says how many there are."""
    git("init", "--quiet", cwd=bench.write({"a.py": "x = 1\n"}).tree)
    git("add", "a.py", cwd=bench.tree)
    clean = bench.measure("detect-secrets", *SECRETS)
    assert not green(clean, "findings")
    listed = bench.measure("paths", "/usr/bin/env", "git", "ls-files")
    assert green(merge_reports([clean, listed]), "findings")
    assert listed.examined == 1


def test_what_cannot_be_verified_is_not_dropped_unseen(bench):
    """With ``--only-verified`` and no network, no secret is ever found."""
    report = bench.write({"k.py": KEY}).measure("detect-secrets", *LISTED, "--only-verified", "--no-verify")
    if bench.last.exit_code != 0:  # the two exclude one another in some versions
        report = bench.measure(
            "detect-secrets", *LISTED, "--only-verified", env={"https_proxy": "http://127.0.0.1:9"}
        )
    assert report.metrics == {"findings": 0}
    assert len(report.problems) == 1


def test_a_scan_without_detectors_is_a_problem(bench):
    """All of them can be switched off."""
    bench.write({"k.py": KEY})
    bench.measure("detect-secrets", *LISTED)
    import json

    assert bench.last.data
    names = [each["name"] for each in json.loads(bench.last.data)["plugins_used"]]
    off = [word for name in names for word in ("--disable-plugin", name)]
    report = bench.measure("detect-secrets", *LISTED, *off)
    assert bench.last.exit_code == 0
    assert report.problems == ("detect-secrets ran without a single detector",)
