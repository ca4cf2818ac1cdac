"""Packages: an audit that could not reach anything, one that could, and licences."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ledger.gates.reports import parse_report
from ledger.gates.reports.packages import normalize_license
from ledger.measurements import Finding

# Nothing is resolved or installed: what the requirements file pins is what is audited.
AUDIT = ("pip-audit", "-f", "json", "--progress-spinner=off", "--disable-pip", "--no-deps", "-r", "r.txt")
OFFLINE = dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy"), "http://127.0.0.1:9")
ADVISORY = {
    "id": "PYSEC-2099-1",
    "summary": "It is wrong.",
    "aliases": ["CVE-2099-1"],
    "affected": [
        {
            "package": {"name": "wrong", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}]}],
            "versions": ["1.0"],
        }
    ],
}


class Advisories(BaseHTTPRequestHandler):
    """Answers as the OSV service does: one advisory for ``wrong``, nothing for the others."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = json.dumps({"vulns": [ADVISORY]} if asked["package"]["name"] == "wrong" else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing."""


@pytest.fixture
def osv() -> Iterator[tuple[str, ...]]:
    """Options that let pip-audit ask a service on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Advisories) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield "-s", "osv", "--osv-url", f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_vulnerable_package_is_a_finding(bench, osv):
    """The plain fail says which package, which advisory, and what fixes it."""
    report = bench.write({"r.txt": "wrong==1.0\nright==1.0\n"}).measure("pip-audit", *AUDIT, *osv)
    assert bench.last.exit_code == 1
    assert report.findings == (Finding("PYSEC-2099-1", message="wrong 1.0: fixed in 2.0"),)
    assert (report.metrics, report.examined, report.problems) == ({"vulnerabilities": 1}, 2, ())


def test_an_audit_that_was_answered_passes(bench, green, osv):
    """The plain pass counts packages."""
    report = bench.write({"r.txt": "right==1.0\nother==2.0\n"}).measure("pip-audit", *AUDIT, *osv)
    assert green(report, "vulnerabilities")
    assert (report.examined, report.unit) == (2, "packages")


def test_a_skipped_dependency_is_a_problem(bench, green):
    """It says "No known vulnerabilities found" and exits with 0, having audited nothing."""
    bench.write({"r.txt": "https://example.invalid/x-1.0.tar.gz\n-e ./local\n", "local/setup.py": ""})
    report = bench.measure("pip-audit", *AUDIT, env=OFFLINE)
    assert bench.last.exit_code == 0
    assert b"No known vulnerabilities found" in bench.last.output
    assert not green(report, "vulnerabilities")
    assert report.examined == 0
    assert "pip-audit skipped 2 of its dependencies" in report.problems[0]
    assert "could not deduce package version" in report.problems[0]


def test_an_index_that_does_not_know_a_package_is_a_problem(tmp_path):
    """What pip-audit writes where the index answers 404 to everything, as a proxy without a network does."""
    data = b"""{"dependencies": [{"name": "click", "skip_reason":
        "Dependency not found on PyPI and could not be audited: click (8.1.0)"}], "fixes": []}"""
    report = parse_report("pip-audit", data, exit_code=0, root=tmp_path)
    assert report.metrics == {"vulnerabilities": 0}
    assert "click: Dependency not found on PyPI" in report.problems[0]


def test_a_dependency_of_which_nothing_is_said_was_not_audited(tmp_path):
    """Without a list of vulnerabilities there is not even an empty one."""
    data = b'{"dependencies": [{"name": "a", "version": "1", "vulns": []}, {"name": "b", "version": "1"}]}'
    report = parse_report("pip-audit", data, exit_code=0, root=tmp_path)
    assert report.examined == 1
    assert report.problems == ("pip-audit skipped 1 of its dependencies: b: not audited",)


def test_one_skipped_among_many_is_a_problem(bench, osv):
    """One dependency that nobody looked at is enough."""
    bench.write({"r.txt": "right==1.0\nhttps://example.invalid/x-1.0.tar.gz\n"})
    report = bench.measure("pip-audit", *AUDIT, *osv)
    assert (report.examined, len(report.problems)) == (1, 1)


def test_no_network_is_a_problem(bench):
    """Without an index it ends with a traceback, and 1 as if it had found something."""
    report = bench.write({"r.txt": "click==8.1.0\n"}).measure("pip-audit", *AUDIT, env=OFFLINE)
    assert bench.last.exit_code == 1
    assert report.problems == ("pip-audit left no report (exit code 1)",)


def test_no_dependency_is_not_green(bench, green):
    """An empty requirements file has no vulnerability, and nothing was examined."""
    report = bench.write({"r.txt": ""}).measure("pip-audit", *AUDIT, env=OFFLINE)
    assert bench.last.exit_code == 0
    assert report.problems == ("pip-audit examined no packages",)


def test_a_dry_run_is_not_green(bench, green):
    """It collects dependencies and audits none."""
    report = bench.write({"r.txt": "click==8.1.0\n"}).measure("pip-audit", *AUDIT, "--dry-run", env=OFFLINE)
    assert bench.last.exit_code == 0
    assert not green(report, "vulnerabilities")


def test_licences_are_counted_by_their_spdx_name(bench):
    """Packages are counted by licence, whatever spelling their metadata use."""
    report = bench.measure("pip-licenses", "pip-licenses", "--format", "json")
    assert bench.last.data
    packages = json.loads(bench.last.data)
    spellings = {package["License"] for package in packages}
    assert {"MIT", "MIT License"} <= spellings  # or this test shows nothing
    named = [{name.strip() for name in package["License"].split(";")} for package in packages]
    assert report.metrics["license:MIT"] == sum(bool(names & {"MIT", "MIT License"}) for names in named)
    assert "license:MIT License" not in report.metrics
    assert report.examined == report.metrics["packages"] == len(packages)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("MIT License", ("MIT",)),
        ("Apache Software License; BSD License", ("Apache-2.0", "BSD")),
        ("Mozilla Public License 2.0 (MPL 2.0)", ("MPL-2.0",)),
        ("MIT OR Apache-2.0", ("MIT OR Apache-2.0",)),
        ("UNKNOWN", ("UNKNOWN",)),
        ("", ("UNKNOWN",)),
        (" Apache  2.0 ", ("Apache-2.0",)),
    ],
)
def test_a_licence_has_one_name(text, names):
    """Classifiers and old spellings become SPDX names; expressions stay as they are."""
    assert normalize_license(text) == names


def test_no_package_is_not_green(bench, green):
    """A list of packages that are not there is exit code 0 and an empty report."""
    report = bench.measure("pip-licenses", "pip-licenses", "--format", "json", "--packages", "not-there")
    assert (bench.last.exit_code, report.problems) == (0, ("pip-licenses examined no packages",))


def test_a_refused_licence_leaves_no_report(bench):
    """``--fail-on`` exits with 1 before it writes anything: not green, and the remedy is named."""
    report = bench.measure(
        "pip-licenses", "pip-licenses", "--format", "json", "--fail-on", "MIT", "--packages", "pytest"
    )
    assert (bench.last.exit_code, bench.last.stdout) == (1, b"")
    assert "the format `exit` measures that" in report.problems[0]


def test_an_unknown_licence_is_a_finding(tmp_path):
    """A package without a licence is what to look at."""
    data = b'[{"License": "UNKNOWN", "Name": "x", "Version": "1"}, {"License": "MIT", "Name": "y", "Version": "2"}]'
    report = parse_report("pip-licenses", data, exit_code=0, root=tmp_path)
    assert report.findings == (Finding("unknown-license", message="x 1: UNKNOWN"),)
    assert report.metrics == {
        "findings": 1, "packages": 2, "licenses": 2, "license:MIT": 1, "license:UNKNOWN": 1,
    }  # fmt: skip
