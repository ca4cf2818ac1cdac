"""Coverage in two formats, compared with one another and with what coverage prints."""

from __future__ import annotations

import json

import pytest

from ledger.gates.reports import ReportUnreadable, merge_reports, parse_report
from ledger.measurements import FileCoverage

PYTEST = ("pytest", "-q", "-p", "no:cacheprovider", "--cov-fail-under=0")
COVERAGE = {
    "n.py": "def f(x):\n    if x:\n        return 1\n    return 2\n",
    "p/__init__.py": "",
    "p/m.py": "def g():\n    return 1\n",
    "test_n.py": "import n, p.m\ndef test_n(): assert n.f(1)\n",
}
SOURCES = ("--cov=n", "--cov=p")


def measure(bench, format, *options, name="c"):  # noqa: A002
    kind = "json" if format == "coverage" else "xml"
    return bench.measure(
        format, *PYTEST, *options, f"--cov-report={kind}:{{scratch}}/{name}", report=name,
        env={"COVERAGE_FILE": str(bench.scratch / "data")},
    )  # fmt: skip


def test_statements_branches_and_both(bench):
    """The three percentages differ, and each is named; files say how much of them was run."""
    report = measure(bench.write(COVERAGE), "coverage", *SOURCES, "--cov-branch")
    assert report.metrics == pytest.approx(
        {"combined": 100 * 5 / 8, "statements": 100 * 4 / 6, "branches": 50}
    )
    assert (report.examined, report.unit, report.problems) == (6, "statements", ())
    assert FileCoverage("n.py", 4, 3, 2, 1) in report.files
    assert FileCoverage("p/m.py", 2, 1) in report.files
    bench.run(
        "coverage",
        "report",
        "--format=total",
        "--precision=5",
        env={"COVERAGE_FILE": str(bench.scratch / "data")},
    )
    assert float(bench.last.stdout) == pytest.approx(report.metrics["combined"], abs=1e-5)


def test_without_branches_there_is_no_such_metric(bench):
    """A gate on branches finds no metric where branches were not measured."""
    report = measure(bench.write(COVERAGE), "coverage", *SOURCES)
    assert report.metrics.keys() == {"combined", "statements"}
    assert report.metrics["combined"] == report.metrics["statements"]


@pytest.mark.parametrize("options", [(), ("--cov-branch",)])
def test_cobertura_says_the_same(bench, options):
    """Both formats of one run agree, file by file, and paths are the tree's in both."""
    native = measure(bench.write(COVERAGE), "coverage", *SOURCES, *options)
    cobertura = measure(bench, "cobertura", *SOURCES, *options)
    assert cobertura.metrics == pytest.approx(native.metrics)
    assert cobertura.examined == native.examined
    assert set(cobertura.files) == {file for file in native.files if file.statements}


def test_tests_that_fail_do_not_spoil_the_coverage(bench):
    """Exit code 1 says that tests failed: their gate says so, this one measured what ran."""
    bench.write({**COVERAGE, "test_n.py": "import n\ndef test_n(): assert not n.f(1)\n"})
    report = measure(bench, "coverage", "--cov=n")
    assert bench.last.exit_code == 1
    assert (report.metrics["combined"], report.problems) == (75, ())


def test_nothing_measured_is_not_a_hundred_percent(bench):
    """Coverage calls a tree without a statement wholly covered."""
    bench.write({"p/__init__.py": "", "test_p.py": "import p\ndef test_p(): pass\n"})
    report = measure(bench, "coverage", "--cov=p")
    assert bench.last.data
    assert json.loads(bench.last.data)["totals"]["percent_covered"] == 100
    assert report.metrics == {}
    assert report.problems == ("coverage examined no statements",)
    assert measure(bench, "cobertura", "--cov=p").problems == ("coverage examined no statements",)


def test_no_data_leaves_no_report(bench):
    """Pytest exits with 0 where coverage measured nothing and wrote nothing."""
    report = measure(bench.write({"test_a.py": "def test_a(): pass\n"}), "coverage", "--cov=missing")
    assert bench.last.exit_code == 0
    assert report.problems == ("coverage left no report (exit code 0)",)


def test_an_uncollected_suite_is_a_problem(bench):
    """Where tests could not be collected, coverage of the rest is no coverage of the tree."""
    bench.write({**COVERAGE, "test_z.py": "import missing_module\n"})
    report = measure(bench, "coverage", *SOURCES)
    assert bench.last.exit_code == 2
    assert "exit code 2 is no result of coverage" in report.problems[0]


def test_another_version_is_refused(bench):
    """A report in another format version may mean something else: it is named, not guessed at."""
    measure(bench.write(COVERAGE), "coverage", *SOURCES)
    assert bench.last.data
    data = json.loads(bench.last.data)
    data["meta"]["format"] = 4
    with pytest.raises(ReportUnreadable, match="wrote format 4, not 3"):
        parse_report("coverage", json.dumps(data).encode(), exit_code=0, root=bench.tree)


def test_percentages_do_not_add_up(bench):
    """Two coverage steps in one gate are a problem, not 130 %."""
    report = measure(bench.write(COVERAGE), "coverage", *SOURCES)
    assert any("cannot be summed" in problem for problem in merge_reports([report, report]).problems)


def test_a_document_type_elsewhere_is_allowed(tmp_path):
    """Other tools name Cobertura's document type; it is not fetched. Classes of one file share its lines."""
    line = '<line number="1" hits="1"/>'
    data = f"""<?xml version="1.0"?>
<!DOCTYPE coverage SYSTEM "http://127.0.0.1:9/coverage-04.dtd">
<coverage><sources><source>{tmp_path}/src</source></sources><packages><package><classes>
<class filename="a.py"><lines>{line}<line number="2" hits="0"/></lines></class>
<class filename="a.py"><lines>{line}</lines></class>
</classes></package></packages></coverage>"""
    report = parse_report("cobertura", data.encode(), exit_code=0, root=tmp_path)
    assert report.files == (FileCoverage("src/a.py", 2, 1),)
    assert report.metrics == {"combined": 50, "statements": 50}
