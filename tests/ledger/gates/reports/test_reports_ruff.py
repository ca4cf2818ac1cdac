"""What ruff says, and what it does not."""

from __future__ import annotations

import pytest

from ledger.gates.reports import ReportUnreadable, merge_reports, parse_report
from ledger.measurements import Finding

CHECK = ("ruff", "check", ".", "--output-format", "json")
FORMAT = ("ruff", "format", "--check", ".", "--output-format", "json")
FILES = ("ruff", "check", ".", "--show-files")


def lint(bench, *, heard=False):
    """Measure as the default lint gate does."""
    return merge_reports(
        [
            bench.measure("ruff-check", *CHECK, heard=heard),
            bench.measure("ruff-format", *FORMAT, heard=heard),
            bench.measure("ruff-files", *FILES, heard=heard),
        ]
    )


def test_clean_files_pass(bench, green):
    """A clean tree passes, with the number of files that were looked at."""
    report = lint(bench.write({"a.py": "x = 1\n", "p/b.py": "y = 1\n"}))
    assert green(report, "problems")
    assert (report.examined, report.unit) == (2, "files")
    assert report.metrics == {"violations": 0, "reformat": 0, "files": 2, "problems": 0}


def test_violations_and_unformatted_files_are_findings(bench, green):
    """Each violation has a rule and a place; a file that is not formatted counts once."""
    bench.write({"a.py": "import os\n", "b.py": "x  =  1\ny  =  2\n"})
    report = lint(bench)
    assert report.metrics["violations"] == 1
    assert report.metrics["reformat"] == 1
    assert report.metrics["problems"] == 2
    assert not report.problems
    assert not green(report, "problems")
    assert report.findings[0] == Finding("F401", "a.py", 1, 8, "`os` imported but unused")
    assert [(each.rule, each.path) for each in report.findings[1:]] == [("unformatted", "b.py")]


def test_a_syntax_error_is_a_finding_of_both(bench):
    """`ruff format` gives up with 2 where `ruff check` exits with 1: both say where the error is."""
    bench.write({"a.py": "def f(:\n"})
    checked = bench.measure("ruff-check", "ruff", "check", "a.py", "--output-format", "json")
    formatted = bench.measure("ruff-format", *FORMAT)
    assert bench.last.exit_code == 2
    assert {each.rule for each in checked.findings + formatted.findings} == {"invalid-syntax"}
    assert checked.metrics["violations"] == 2
    assert formatted.metrics["reformat"] == 1
    assert (checked.problems, formatted.problems) == ((), ())


def test_a_missing_path_is_a_finding(bench):
    """Ruff calls a path that does not exist a violation (E902)."""
    report = bench.measure("ruff-check", "ruff", "check", "missing.py", "--output-format", "json")
    assert [(each.rule, each.path) for each in report.findings] == [("E902", "missing.py")]


def test_no_file_at_all_is_not_green(bench, green):
    """Where there is no Python file ruff exits with 0 and writes what it writes over a clean tree."""
    bench.write({"README.md": "# Nothing\n", "pyproject.toml": '[project]\nname = "x"\nversion = "1"\n'})
    report = bench.measure("ruff-check", *CHECK)
    assert (bench.last.exit_code, bench.last.stdout) == (0, b"[]")
    assert not green(report, "violations")
    assert bench.measure("ruff-files", *FILES).problems == ("ruff check --show-files examined no files",)
    assert "pyproject.toml" in bench.last.stdout.decode()  # which it lists all the same
    assert not green(lint(bench), "problems")


def test_an_empty_tree_is_not_green(bench, green):
    """Over an empty tree `ruff format` writes nothing, not even an empty list."""
    report = bench.measure("ruff-format", *FORMAT)
    assert (bench.last.exit_code, bench.last.stdout) == (0, b"")
    assert report.problems == ("ruff format found no file",)
    heard = bench.measure("ruff-check", *CHECK, heard=True)
    assert heard.problems == ("ruff check: it found no Python file where it looked",)


def test_a_listing_that_ends_inside_a_line_is_refused(bench):
    """Half a listing is no smaller tree."""
    bench.write({"a.py": "x = 1\n"})
    bench.measure("ruff-files", *FILES)
    with pytest.raises(ReportUnreadable, match="last line is incomplete"):
        parse_report("ruff-files", bench.last.stdout[:-1], exit_code=0, root=bench.tree)


def test_a_bad_configuration_is_a_problem(bench):
    """Exit code 2 without a report says why; it is not a clean run."""
    bench.write({"a.py": "x = 1\n", "ruff.toml": "bad\n"})
    for name, command in (("ruff-check", CHECK), ("ruff-format", FORMAT), ("ruff-files", FILES)):
        report = bench.measure(name, *command)
        assert bench.last.exit_code == 2
        assert report.problems[0].startswith(f"exit code 2 is no result of {' '.join(command[:2])}")


def test_exit_zero_does_not_hide_findings(bench):
    """Where the exit code was silenced the report decides."""
    bench.write({"a.py": "import os\n"})
    report = bench.measure("ruff-check", *CHECK, "--exit-zero")
    assert bench.last.exit_code == 0
    assert (report.metrics, report.problems) == ({"violations": 1}, ())


def test_findings_promised_and_not_shown_contradict(tmp_path):
    """Exit code 1 with an empty report is a problem, not a pass."""
    report = parse_report("ruff-check", b"[]", exit_code=1, root=tmp_path)
    assert report.problems == ("exit code 1, but the report of ruff check shows no finding",)
