"""What type checkers say of a clean tree, a wrong one and an empty one."""

from __future__ import annotations

import pytest

from ledger.gates.reports import merge_reports, parse_report
from ledger.measurements import Finding

CLEAN = {"a.py": "x: int = 1\n", "b.py": "y = 2\n"}
WRONG = {"a.py": 'x: int = "a"\n'}
PYRIGHT = ("pyright", "--outputjson")
BASEDPYRIGHT = ("basedpyright", "--outputjson")
MYPY = ("mypy", "--output", "json")
TY = ("ty", "check", "--output-format", "gitlab")

CHECKERS = [
    pytest.param("pyright", PYRIGHT, "reportAssignmentType", 10, id="pyright"),
    pytest.param("pyright", BASEDPYRIGHT, "reportAssignmentType", 10, id="basedpyright"),
    pytest.param("mypy", (*MYPY, "."), "assignment", 10, id="mypy"),
    pytest.param("gitlab", TY, "invalid-assignment", 10, id="ty"),
]


@pytest.mark.parametrize(("format", "command", "rule", "column"), CHECKERS)
def test_an_error_has_a_place(bench, format, command, rule, column):  # noqa: A002
    """The same mistake is found in the same line and column, which count from 1 in all of them."""
    report = bench.write(WRONG).measure(format, *command)
    assert bench.last.exit_code == 1
    assert (report.metrics["errors"], report.problems) == (1, ())
    (finding,) = report.findings
    assert (finding.rule, finding.path, finding.line, finding.column) == (rule, "a.py", 1, column)
    assert "int" in finding.message


@pytest.mark.parametrize("command", [PYRIGHT, BASEDPYRIGHT], ids=lambda command: command[0])
def test_pyright_counts_files(bench, green, command):
    """The plain pass, and an empty tree, over which it exits with 0 and no error."""
    assert bench.measure("pyright", *command).problems == ("pyright examined no files",)
    assert bench.last.exit_code == 0
    report = bench.write(CLEAN).measure("pyright", *command)
    assert green(report, "errors")
    assert report.examined == 2


@pytest.mark.parametrize("command", [PYRIGHT, BASEDPYRIGHT], ids=lambda command: command[0])
def test_pyright_without_the_file_it_was_given(bench, command):
    """A missing file is exit code 4, and no JSON."""
    report = bench.measure("pyright", *command, "missing.py")
    assert bench.last.exit_code == 4
    assert "exit code 4 is no result of pyright" in report.problems[0]


def test_pyright_exits_badly_with_a_clean_report(bench, green):
    """Pyright writes JSON without an error over a configuration that it cannot read, and exits with 3."""
    bench.write({**CLEAN, "pyrightconfig.json": "{bad"})
    report = bench.measure("pyright", *PYRIGHT)
    assert bench.last.exit_code == 3
    assert (report.metrics["errors"], report.examined) == (0, 2)
    assert not green(report, "errors")
    assert report.problems == ("exit code 3 is no result of pyright (a bad configuration)",)


def test_basedpyright_goes_on_without_its_configuration(bench, green):
    """It exits with 0 and a clean report: only what it prints for people says what it did not read."""
    bench.write({**CLEAN, "pyrightconfig.json": "{bad"})
    report = bench.measure("pyright", *BASEDPYRIGHT, heard=True)
    assert bench.last.exit_code == 0
    assert not green(report, "errors")
    assert report.problems == ("pyright: it could not read its configuration and went on without it",)


MISSPELLED = '{"typeCheckingMod": "strict"}'
MISSPELLED_WITHIN = '{"executionEnvironments": [{"root": "src", "typeCheckingMod": "strict"}]}'


@pytest.mark.parametrize(
    ("command", "settings"),
    [
        (PYRIGHT, MISSPELLED),
        (BASEDPYRIGHT, MISSPELLED),
        (PYRIGHT, MISSPELLED_WITHIN),
        (BASEDPYRIGHT, MISSPELLED_WITHIN),
        (PYRIGHT, '{"typeCheckingMode": "strickt"}'),
        (PYRIGHT, '{"strict": "a.py"}'),
        (PYRIGHT, '{"defineConstant": {"DEBUG": 1}}'),
        (PYRIGHT, '{"extends": "pyrightconfig.json"}'),
    ],
)
def test_a_setting_that_pyright_passes_over_is_a_problem(bench, command, settings):
    """A misspelled name or value turns a stricter check into none: exit code 0, and a word for people."""
    bench.write({**CLEAN, "pyrightconfig.json": settings})
    report = bench.measure("pyright", *command, heard=True)
    assert (bench.last.exit_code, report.metrics["errors"]) == (0, 0)
    assert report.problems == ("pyright: it passed over a setting that it does not understand",)


def test_hidden_diagnostics_count(bench):
    """``--level error`` takes warnings out of the list, and not out of the metric."""
    bench.write({"a.py": "import os\ndef f(x): return x\n"})
    report = bench.measure("pyright", *BASEDPYRIGHT, "--level", "error")
    assert not any(finding.severity == "warning" for finding in report.findings)
    assert report.metrics["warnings"] > 0


def test_mypy_says_nothing_over_a_clean_tree(bench, green):
    """An empty line: that is a pass with 0, because it exits with 2 where there is no file at all."""
    report = bench.write(CLEAN).measure("mypy", *MYPY, ".")
    assert bench.last.stdout.strip() == b""
    assert green(report, "errors")
    assert report.examined == 1  # at least


@pytest.mark.parametrize("arguments", [(".",), ("missing.py",), ("--no-such-option",)])
def test_mypy_without_a_file_is_a_problem(bench, arguments):
    """An empty tree, a missing file and a wrong option are exit code 2, whatever it prints."""
    report = bench.measure("mypy", *MYPY, *arguments)
    assert bench.last.exit_code == 2
    assert "exit code 2 is no result of mypy" in report.problems[0]


def test_mypy_gives_up_over_a_syntax_error(bench):
    """Exit code 2 with an error in the report is a finding: what is wrong is in the tree."""
    report = bench.write({"a.py": "def f(:\n"}).measure("mypy", *MYPY, ".")
    assert bench.last.exit_code == 2
    assert report.metrics["errors"] >= 1
    assert (report.problems, report.findings[0].rule) == ((), "syntax")


def test_mypy_errors_promised_and_not_shown(tmp_path):
    """Exit code 1 with nothing in the report, or notes alone, is a problem."""
    note = b'{"file":"a.py","line":-1,"column":-1,"message":"m","hint":null,"code":null,"severity":"note"}\n'
    for data in (b"", note):
        report = parse_report("mypy", data, exit_code=1, root=tmp_path)
        assert report.problems == ("exit code 1, but the report of mypy shows no finding",)
    assert report.findings == (Finding("", "a.py", message="m", severity="note"),)


def test_ty_does_not_say_what_it_examined(bench, green):
    """An empty tree and a clean one give the same report: neither is green without a count from elsewhere."""
    empty = bench.measure("gitlab", *TY)
    assert (bench.last.exit_code, bench.last.stdout.strip()) == (0, b"[]")
    clean = bench.write(CLEAN).measure("gitlab", *TY)
    assert (bench.last.exit_code, bench.last.stdout.strip()) == (0, b"[]")
    assert not green(empty, "errors")
    assert not green(clean, "errors")
    listed = bench.measure("ruff-files", "ruff", "check", ".", "--show-files")
    assert green(merge_reports([clean, listed]), "errors")
    assert not green(
        merge_reports([empty, bench.measure("ruff-files", "ruff", "check", "none", "--show-files")]), "errors"
    )


def test_a_verbose_ty_says_what_it_examined(bench, green):
    """With ``-v`` it prints how many files it indexed, which counts where the output is heard."""
    empty = bench.measure("gitlab", *TY, "-v", heard=True)
    assert empty.problems == ("the checker: it found no Python file where it looked",)
    clean = bench.write(CLEAN).measure("gitlab", *TY, "-v", heard=True)
    assert green(clean, "errors")
    assert clean.examined == 2


def test_ty_with_a_bad_configuration_is_a_problem(bench):
    """Exit code 2, and no report."""
    report = bench.write({**CLEAN, "ty.toml": '[rules]\nx = "y"\n'}).measure("gitlab", *TY)
    assert bench.last.exit_code == 2
    assert "exit code 2 is no result" in report.problems[0]


def test_ty_with_a_missing_path_is_a_problem(bench):
    """It reports the path as an issue and exits with 2: that is no result."""
    report = bench.measure("gitlab", *TY, "missing.py")
    assert report.metrics["errors"] == 1
    assert "exit code 2 is no result" in report.problems[0]


def test_gitlab_severities(bench):
    """Major and worse are errors, minor is a warning, info a note."""
    bench.write({"a.py": 'x: int = "a"\nreveal_type(1)\n'})
    report = bench.measure("gitlab", *TY)
    assert [(each.rule, each.severity) for each in report.findings] == [
        ("invalid-assignment", "error"), ("undefined-reveal", "warning"), ("revealed-type", "note"),
    ]  # fmt: skip
    assert report.metrics == {"errors": 1, "warnings": 1, "findings": 3}
