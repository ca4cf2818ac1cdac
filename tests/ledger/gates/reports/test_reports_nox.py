"""Nox, where 1 is success."""

from __future__ import annotations

from ledger.gates.reports import parse_report

NOX = ("nox", "--report", "{scratch}/nox.json")
HEAD = "import nox\nnox.options.default_venv_backend = 'none'\n"
OK = "@nox.session\ndef ok(session): session.run('true', external=True)\n"
BAD = "@nox.session\ndef bad(session): session.run('false', external=True)\n"
GIVEN_UP = "@nox.session\ndef given_up(session): session.error('no reason')\n"
SKIPPED = "@nox.session\ndef skipped(session): session.skip('not today')\n"


def nox(bench, *sessions, arguments=()):
    bench.write({"noxfile.py": HEAD + "".join(sessions)})
    return bench.measure("nox", *NOX, *arguments, report="nox.json")


def test_success_is_1(bench, green):
    """The plain pass."""
    report = nox(bench, OK)
    assert green(report, "failed")
    assert (report.metrics, report.examined, report.unit) == (
        {"failed": 0, "skipped": 0, "passed": 1}, 1, "sessions",
    )  # fmt: skip


def test_failure_is_0_and_less(bench):
    """Sessions that fail or give up count, with their reason."""
    report = nox(bench, OK, BAD, GIVEN_UP, SKIPPED)
    assert bench.last.exit_code == 1
    assert (report.metrics, report.examined) == ({"failed": 2, "skipped": 1, "passed": 1}, 3)
    assert [each.rule for each in report.findings] == ["bad", "given_up"]
    assert report.findings[1].message == "aborted: no reason"
    assert report.problems == ()


def test_skipped_sessions_are_not_green(bench, green):
    """Nox exits with 0 where every session was skipped, for want of an interpreter say."""
    report = nox(bench, SKIPPED)
    assert bench.last.exit_code == 0
    assert report.problems == ("nox examined no sessions",)


def test_no_session_is_not_green(bench, green):
    """Where none is selected it lists them, exits with 0 and leaves no report."""
    report = nox(bench, "nox.options.sessions = []\n", OK)
    assert bench.last.exit_code == 0
    assert report.problems == ("nox left no report (exit code 0)",)


def test_an_unknown_session_is_a_problem(bench):
    """Exit code 3."""
    report = nox(bench, OK, arguments=("-s", "missing"))
    assert "exit code 3 is no result of nox (no such session)" in report.problems


def test_a_noxfile_that_fails_is_a_problem(bench):
    """A traceback exits with 1 as a failed session does, but leaves no report."""
    report = nox(bench, "1 / 0\n")
    assert bench.last.exit_code == 1
    assert report.problems == ("nox left no report (exit code 1)",)


def test_a_failure_that_no_session_shows_is_a_problem(tmp_path):
    """The whole says failed, its parts do not."""
    report = parse_report("nox", b'{"result": 0, "sessions": []}', exit_code=1, root=tmp_path)
    assert len(report.problems) == 2
