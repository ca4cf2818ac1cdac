"""What pytest says in JUnit's format, compared with what it tells people in the same run."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest

from ledger.gates.reports import ReportUnreadable, merge_reports, parse_report
from ledger.measurements import TestResult

JUNIT = ("pytest", "-q", "-p", "no:cacheprovider", "--junitxml={scratch}/junit.xml")

EVERYTHING = """\
import pytest

def test_pass(): pass
def test_fail(): assert 0, "boom"
@pytest.mark.skip(reason="expected failure")
def test_skip(): pass
@pytest.mark.xfail(reason="known")
def test_xfail(): assert 0
@pytest.mark.xfail(reason="never run", run=False)
def test_notrun(): assert 0
@pytest.mark.xfail(reason="lax")
def test_xpass(): pass
@pytest.mark.xfail(strict=True, reason="strict")
def test_xpass_strict(): pass
@pytest.fixture
def broken():
    yield
    raise RuntimeError("teardown")
def test_teardown(broken): pass
def test_twice(broken): assert 0
@pytest.mark.parametrize("x", ["ä", ""])
def test_param(x): pass
class TestIn:
    def test_method(self): pass
"""


def junit(bench, *arguments):
    return bench.measure("junit", *JUNIT, *arguments, report="junit.xml")


def test_every_outcome(bench):
    """Each test has one outcome, also one that failed twice; xfail is told from skip, strict xpass fails."""
    report = junit(bench.write({"test_all.py": EVERYTHING}))
    outcomes = {test.name.removeprefix("test_all::"): test.outcome for test in report.tests}
    assert outcomes == {
        "test_pass": "passed",
        "test_fail": "failed",
        "test_skip": "skipped",
        "test_xfail": "xfailed",
        "test_notrun": "skipped",
        "test_xpass": "passed",
        "test_xpass_strict": "failed",
        "test_teardown": "error",
        "test_twice": "error",
        "test_param[\\xe4]": "passed",
        "test_param[]": "passed",
        "test_all.TestIn::test_method": "passed",
    }
    assert report.metrics == {
        "passed": 5, "failed": 2, "errors": 2, "broken": 4, "skipped": 2, "xfailed": 1,
    }  # fmt: skip
    assert (report.examined, report.unit, report.problems) == (10, "tests", ())
    found = [(each.rule, each.path, each.line) for each in report.findings]
    assert found[0] == ("failed", "test_all.py", 4)
    assert ("xpassed", "", 0) in found
    assert "boom" in report.findings[0].message


def read_summary(output: bytes) -> dict[str, set[str]]:
    """Return what pytest's summary for people says of each test, named as in JUnit."""
    told: dict[str, set[str]] = defaultdict(set)
    line = re.compile(r"^([A-Z]+) (?:at setup of )?([\w/]+)\.py::(\S+)", re.MULTILINE)
    for word, module, rest in line.findall(output.decode()):
        told[f"{module}::{rest}".replace(f"{module}::TestIn::", f"{module}.TestIn::")].add(word)
    return told


def test_the_outcomes_are_those_that_pytest_tells_people(bench):
    """Names, failures, errors and skips agree with the summary of the same run, which is no XML."""
    report = junit(bench.write({"test_all.py": EVERYTHING}), "-rA", "--no-fold-skipped")
    told = read_summary(bench.last.stdout)
    assert len(told) == 12
    assert {test.name for test in report.tests} == told.keys()
    outcomes = {test.name: test.outcome for test in report.tests}
    broken = {name for name, words in told.items() if words & {"FAILED", "ERROR"}}
    assert {name for name, outcome in outcomes.items() if outcome in {"failed", "error"}} == broken
    assert {name for name, outcome in outcomes.items() if outcome == "error"} == {
        name for name, words in told.items() if "ERROR" in words
    }
    skipped = {name for name, words in told.items() if words & {"SKIPPED", "XFAIL"}}
    assert {name for name, outcome in outcomes.items() if outcome in {"skipped", "xfailed"}} == skipped
    assert report.metrics["passed"] == len(told) - len(broken) - len(skipped)


def test_a_clean_suite_passes(bench, green):
    """The plain pass."""
    report = junit(bench.write({"test_a.py": "def test_a(): pass\n"}))
    assert green(report, "broken")
    assert report.tests[0].name == "test_a::test_a"


def test_a_collection_error_is_a_finding(bench):
    """Exit code 2 with an error in the report is what the patch broke, not a failure to measure."""
    report = junit(bench.write({"test_a.py": "import missing_module\n"}))
    assert bench.last.exit_code == 2
    assert (report.metrics["broken"], report.examined, report.problems) == (1, 1, ())
    assert report.findings[0].path == "test_a.py"


def test_no_tests_collected_is_a_problem(bench):
    """Exit code 5, whether there is no file or every module skips itself."""
    assert "no tests were collected" in junit(bench).problems[0]
    bench.write({"test_a.py": "import pytest\npytest.skip('no', allow_module_level=True)\n"})
    assert "no tests were collected" in junit(bench).problems[0]
    assert bench.last.exit_code == 5


def test_a_suite_of_skipped_tests_is_not_green(bench, green):
    """Pytest exits with 0 where every test was skipped: nothing was measured."""
    report = junit(bench.write({"test_a.py": "import pytest\n@pytest.mark.skip\ndef test_a(): pass\n"}))
    assert bench.last.exit_code == 0
    assert not green(report, "broken")
    assert report.examined == 0
    assert report.problems == ("pytest examined no tests",)


def test_a_path_that_does_not_exist_is_a_problem(bench):
    """Exit code 4 leaves a report without a test."""
    report = junit(bench, "missing.py")
    assert bench.last.exit_code == 4
    assert "exit code 4 is no result of pytest" in report.problems[0]


def test_an_internal_error_is_a_problem(bench):
    """Exit code 3 is pytest's own failure, though its report names an error."""
    bench.write(
        {
            "test_a.py": "def test_a(): pass\n",
            "conftest.py": "def pytest_runtest_protocol(item): raise RuntimeError\n",
        }
    )
    report = junit(bench)
    assert bench.last.exit_code == 3
    assert "an internal error" in report.problems[0]


def test_a_process_that_ends_itself_is_a_problem(bench):
    """`os._exit(0)` in a test ends the run with 0 and without a report."""
    report = junit(bench.write({"test_a.py": "import os\ndef test_a(): os._exit(0)\n"}))
    assert bench.last.exit_code == 0
    assert report.problems == ("pytest left no report (exit code 0)",)


def test_an_interrupted_run_is_a_problem(bench):
    """The test that was interrupted has no name in the report, and does not count as passed."""
    bench.write({"test_a.py": "def test_a(): pass\ndef test_b(): raise KeyboardInterrupt\n"})
    report = junit(bench)
    assert bench.last.exit_code == 2
    assert [test.name for test in report.tests] == ["test_a::test_a"]
    assert any("interrupted" in problem for problem in report.problems)


def test_a_test_without_a_name_is_a_problem(tmp_path):
    """It is the one that ended the run, and did not pass, whatever the exit code."""
    data = b'<testsuite><testcase name="a"/><testcase time="0.1"/></testsuite>'
    report = parse_report("junit", data, exit_code=0, root=tmp_path)
    assert (report.examined, report.metrics["passed"]) == (1, 1)
    assert report.problems == ("a test without a name or a result: the run was interrupted in it",)


def test_collecting_alone_is_not_green(bench, green):
    """`--collect-only` exits with 0 and runs nothing."""
    report = junit(bench.write({"test_a.py": "def test_a(): pass\n"}), "--collect-only")
    assert bench.last.exit_code == 0
    assert not green(report, "broken")


def test_a_failure_that_no_test_shows_is_a_problem(bench):
    """A threshold of another plugin turns the exit code to 1 while every test passed."""
    bench.write({"test_a.py": "import m\ndef test_a(): pass\n", "m.py": "def f():\n    return 1\n"})
    report = junit(bench, "--cov=m", "--cov-fail-under=100")
    assert bench.last.exit_code == 1
    assert report.problems == ("exit code 1, but the report of pytest shows no finding",)


def test_a_linter_in_disguise_is_not_green(bench, green):
    """Ruff writes a passing test for a tree without a file."""
    report = bench.measure("junit", "ruff", "check", ".", "--output-format", "junit")
    assert b"No errors found" in bench.last.stdout
    assert not green(report, "broken")


def test_counts_without_tests_contradict(tmp_path):
    """A report that counts failures and names none did not come from a whole run."""
    data = b'<testsuites><testsuite failures="1" errors="0"><testcase name="a"/></testsuite></testsuites>'
    report = parse_report("junit", data, exit_code=0, root=tmp_path)
    assert report.problems == ("the report counts 1 broken tests, but none of those that it names is",)


@pytest.mark.parametrize("text", ["1,234.5", "nan", "inf", "soon", "-1", ""])
def test_a_duration_is_a_number_that_can_be_recorded(tmp_path, text):
    """Whatever a time attribute says, the duration is finite."""
    data = f'<testsuite><testcase name="a" time="{text}"/></testsuite>'.encode()
    (test,) = parse_report("junit", data, exit_code=0, root=tmp_path).tests
    assert test == TestResult("a", "passed", {"1,234.5": 1234.5, "-1": -1}.get(text, 0))


def test_two_tests_of_one_name_are_two(tmp_path):
    """Other tools name tests as they like; none of them gets lost."""
    data = b'<testsuite><testcase name="a"/><testcase name="a"><failure/></testcase></testsuite>'
    report = parse_report("junit", data, exit_code=1, root=tmp_path)
    assert [test.outcome for test in report.tests] == ["passed", "failed"]


def test_suites_within_suites_are_read_in_their_order(tmp_path):
    """Other tools nest suites, more deeply than Python may recurse, or have tests beside them."""
    depth = 5_000
    inner = b"<testsuite>" * depth + b'<testcase name="d"><failure/></testcase>' + b"</testsuite>" * depth
    data = b'<testsuites><testcase name="a"/><testsuite><testcase name="b"/><testsuite><testcase name="c"/>'
    data += b"</testsuite></testsuite>" + inner + b"</testsuites>"
    report = parse_report("junit", data, exit_code=1, root=tmp_path)
    assert [test.name for test in report.tests] == ["a", "b", "c", "d"]
    assert (report.metrics["broken"], report.problems) == (1, ())


@pytest.mark.parametrize("place", [b"<group>%b</group>", b'<testcase name="a">%b</testcase>'])
def test_a_test_where_the_format_has_none_is_a_problem(tmp_path, place):
    """It is not read as a test of its own, and does not vanish: what it said is not known."""
    data = b"<testsuite>%b</testsuite>" % place % b'<testcase name="b"><failure/></testcase>'
    report = parse_report("junit", data, exit_code=0, root=tmp_path)
    assert "tests stand outside of every suite, where the format has none: 1" in report.problems
    assert report.metrics["passed"] == 0


def test_the_file_that_a_tool_names_is_where_a_failure_is(tmp_path):
    """Where the text tells no line, the case may name a file."""
    data = (
        b'<testsuite><testcase name="a" file="lib/a_spec.rb"><failure message="no"/></testcase></testsuite>'
    )
    (finding,) = parse_report("junit", data, exit_code=1, root=tmp_path).findings
    assert (finding.path, finding.line, finding.message) == ("lib/a_spec.rb", 0, "a: no")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_the_encoding_is_what_the_document_declares(tmp_path, encoding):
    """A name is the same text in each."""
    text = f'<?xml version="1.0" encoding="{encoding}"?><testsuite><testcase name="café"/></testsuite>'
    report = parse_report("junit", text.encode(encoding), exit_code=0, root=tmp_path)
    assert [test.name for test in report.tests] == ["café"]


def test_another_document_is_refused(tmp_path):
    """XML that is no JUnit is unreadable, not an empty suite."""
    with pytest.raises(ReportUnreadable, match="root element is <html>"):
        parse_report("junit", b"<html/>", exit_code=0, root=tmp_path)


def test_tests_of_several_steps_add_up(tmp_path):
    """Two steps with one test each are two tests; a command before them does not hide them."""
    one = parse_report("junit", b'<testsuite><testcase name="a"/></testsuite>', exit_code=0, root=tmp_path)
    built = parse_report("exit", None, exit_code=0, root=tmp_path)
    merged = merge_reports([built, one, one])
    assert (merged.examined, merged.unit, merged.metrics["passed"], len(merged.tests)) == (2, "tests", 2, 2)
