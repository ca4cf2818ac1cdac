"""Reports come from a measured project: truncated, damaged or hostile, they never look better than they are."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.gates.reports import FORMATS, ReportUnreadable, parse_report
from ledger.measurements import Report

ROOT = Path("/tree")
BY_LINE = {"mypy", "ruff-files", "paths"}

TREE = {
    "a.py": 'import os\nimport subprocess\n\nx: int = "a"\nsubprocess.call("ls")\n',
    "b.py": "def f(x):\n  if x:\n    return 1\n  return 2\n\n\ny: str = 1\nz: int = ''\n",
    "test_b.py": "import b\ndef test_pass(): assert b.f(1)\ndef test_fail(): assert 0\n",
    "r.txt": "https://example.invalid/x-1.0.tar.gz\nhttps://example.invalid/y-1.0.tar.gz\n",
    "noxfile.py": "import nox\n@nox.session(venv_backend='none')\ndef bad(session): session.error('x')\n",
}
PYTEST = ("pytest", "-q", "-p", "no:cacheprovider", "test_b.py", "--cov=b", "--cov-branch")
TOKENS = """
import subprocess, sys
from pathlib import Path

ledger = Path(sys.executable).with_name("ledger")
git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com"]
for command in (["git", "init"], ["git", "add", "."], [*git, "commit", "-m", "base"]):
    subprocess.run(command, check=True, capture_output=True)
for number in range(2):
    Path("new.py").write_text(f"x = {number}\\n")
    subprocess.run([ledger, "record"], check=True, capture_output=True)
sys.stdout.buffer.write(subprocess.check_output([ledger, "tokens", "--json"]))
"""
COMMANDS = {
    "ruff-check": (("ruff", "check", ".", "--output-format", "json"), "-"),
    "ruff-format": (("ruff", "format", "--check", ".", "--output-format", "json"), "-"),
    "ruff-files": (("ruff", "check", ".", "--show-files"), "-"),
    "junit": ((*PYTEST, "--junitxml={scratch}/j.xml"), "j.xml"),
    "coverage": ((*PYTEST, "--cov-report=json:{scratch}/c.json"), "c.json"),
    "cobertura": ((*PYTEST, "--cov-report=xml:{scratch}/c.xml"), "c.xml"),
    "sarif": (("ruff", "check", ".", "--output-format", "sarif"), "-"),
    "pyright": (("basedpyright", "--outputjson", "b.py"), "-"),
    "mypy": (("mypy", "--output", "json", "a.py", "b.py"), "-"),
    "gitlab": (("ty", "check", "--output-format", "gitlab", "b.py"), "-"),
    "bandit": (("bandit", "-q", "-f", "json", "-r", "."), "-"),
    "detect-secrets": (("detect-secrets", "scan", "--all-files", "."), "-"),
    "pip-audit": (("pip-audit", "-f", "json", "--disable-pip", "--no-deps", "-r", "r.txt"), "-"),
    "pip-licenses": (("pip-licenses", "--format", "json", "--packages", "pytest", "ruff"), "-"),
    "nox": (("nox", "--report", "{scratch}/n.json"), "n.json"),
    "tokens": (("python", "-c", TOKENS), "-"),
    "audit": (("ledger", "audit", "capabilities", "--only", "git", "--json"), "-"),
}


def read(name: str, data: bytes, exit_code: int = 0) -> Report | None:
    """Return a report that can be recorded, None where the bytes are refused; anything else fails the test."""
    try:
        report = parse_report(name, data, exit_code=exit_code, root=ROOT)
    except ReportUnreadable:
        return None
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report
    return report


def test_the_commands_are_of_every_format():
    """No format is left out of what follows."""
    assert COMMANDS.keys() | {"exit", "paths"} == FORMATS.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_truncated_report_never_passes(bench, green: Callable[[Report, str], bool], name):
    """Cut at any byte, a real report is refused, says the same as the whole, or is a problem.

    What is written line by line can be cut between two lines: it still passes at 0 only where the whole does.
    """
    command, left = COMMANDS[name]
    bench.write(TREE).run(*command, report=left)
    data, exit_code = bench.last.data, bench.last.exit_code
    assert data
    whole = read(name, data, exit_code)
    assert whole
    refused = 0
    for size in range(len(data)):
        part = read(name, data[:size], exit_code)
        refused += part is None
        if part is None or part == whole:
            continue
        if name in BY_LINE:
            assert part.examined <= whole.examined
            better = [metric for metric in whole.metrics if green(part, metric) and not green(whole, metric)]
            assert not better, f"cut at {size}"
        else:
            assert part.problems, f"cut at {size}"
    assert refused > len(data) / 2 or name in BY_LINE


texts = st.text(max_size=8) | st.sampled_from(
    ["error", "2.1.0", "HIGH", "a.py", "/tree/a.py", "file:", "file:///x"]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
KEYS = (  # of all formats
    "code filename message location row column generalDiagnostics summary "
    "filesAnalyzed errorCount warningCount severity file line range start "
    "character check_name description path positions begin results errors "
    "metrics version plugins_used filters_used type line_number min_level dependencies "
    "name vulns id skip_reason License Name Version result "
    "sessions result_code runs tool driver rules ruleId ruleIndex "
    "level kind locations physicalLocation artifactLocation uri index uriBaseId "
    "originalUriBaseIds region startLine suppressions invocations executionSuccessful artifacts text "
    "meta format files totals covered_lines num_statements percent_covered num_branches "
    "covered_branches "
)
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS.split()), inner, max_size=8)
    ),
    max_leaves=30,
)


@given(
    name=st.sampled_from([*FORMATS, "none"]), data=st.binary(max_size=200), exit_code=st.integers(-70, 300)
)
def test_arbitrary_bytes_raise_nothing_else(name, data, exit_code):
    """Bytes are a report that can be recorded, or refused."""
    read(name, data, exit_code)


@given(name=st.sampled_from([*FORMATS]), document=documents, exit_code=st.integers(0, 2))
def test_arbitrary_documents_raise_nothing_else(name, document, exit_code):
    """So is any JSON, with the right names in the wrong places."""
    read(name, msgspec.json.encode(document), exit_code)


SAMPLES = {
    "sarif": b"""{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"t","rules":[{"id":"R"}]}},"results":[{"ruleId":"R",
"ruleIndex":0,"message":{"text":"m"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a.py","index":0},
"region":{"startLine":1}}}],"suppressions":[{"status":"accepted"}]}],"artifacts":[{"location":{"uri":"a.py"}}]}]}""",
    "junit": b"""<testsuites><testsuite failures="1"><testcase classname="a" name="b" time="0.1"><failure message="m">
a.py:1: E</failure></testcase><testcase name="c"><skipped type="pytest.xfail" message="m"/></testcase></testsuite></testsuites>""",
    "cobertura": b"""<coverage><sources><source>/tree</source></sources><packages><package><classes><class filename="a.py">
<lines><line number="1" hits="1" branch="true" condition-coverage="50% (1/2)"/></lines></class></classes></package></packages></coverage>""",
    "coverage": b"""{"meta":{"format":3,"version":"7"},"files":{"a.py":{"summary":{"covered_lines":1,"num_statements":2,
"percent_covered":50.0}}},"totals":{"covered_lines":1,"num_statements":2,"percent_covered":50.0}}""",
    "bandit": b"""{"results":[{"filename":"./a.py","issue_severity":"LOW","issue_text":"t","test_id":"B1","line_number":1,
"col_offset":0}],"errors":[{"filename":"./b.py","reason":"r"}],"metrics":{"./a.py":{"loc":1},"_totals":{}}}""",
}


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    name=st.sampled_from(sorted(SAMPLES)),
    at=st.floats(0, 1),
    cut=st.integers(0, 20),
    put=st.binary(max_size=6)
    | st.sampled_from([b"99999999999999999999", b"-1", b"1e308", b"null", b"&#0;", b"<"]),
)
def test_damaged_reports_raise_nothing_else(name, at, cut, put):
    """So is a report in which some bytes are others."""
    sample = SAMPLES[name]
    start = int(at * len(sample))
    read(name, sample[:start] + put + sample[start + cut :])


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "exit"])
@pytest.mark.parametrize(
    "data", [b"[" * 200_000, b'{"a":' * 200_000, b"<a>" * 100_000], ids=["list", "object", "xml"]
)
def test_deep_nesting_is_refused(name, data):
    """A report cannot exhaust the stack."""
    assert read(name, data) is None


@pytest.mark.parametrize("name", ["junit", "cobertura"])
def test_deep_xml_is_read_without_recursion(name):
    """A well-formed one neither."""
    tag = b"testsuite" if name == "junit" else b"coverage"
    depth = 100_000
    read(name, b"<%s>" % tag * depth + b"</%s>" % tag * depth)


LAUGHS = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10))
BOMBS = {
    "billion laughs": b'<!DOCTYPE t [<!ENTITY l0 "lol">' + LAUGHS + b"]><testsuites>&l9;</testsuites>",
    "quadratic blowup": b'<!DOCTYPE t [<!ENTITY a "' + b"a" * 50_000 + b'">]><testsuites>' + b"&a;" * 50_000 + b"</testsuites>",
    "default attributes": b'<!DOCTYPE t [<!ATTLIST testcase name CDATA "' + b"a" * 50_000 + b'">]><testsuites>'
    + b"<testcase/>" * 50_000 + b"</testsuites>",
    "external entity": b'<!DOCTYPE t [<!ENTITY e SYSTEM "file:///etc/passwd">]><testsuites><testcase name="&e;"/></testsuites>',
    "external parameter entity": b'<!DOCTYPE t [<!ENTITY % e SYSTEM "http://127.0.0.1:9/x"> %e;]><testsuites/>',
}  # fmt: skip


@pytest.mark.parametrize("name", ["junit", "cobertura"])
@pytest.mark.parametrize("bomb", BOMBS)
def test_xml_bombs_are_refused_at_once(name, bomb):
    """A document type with declarations is refused before it costs anything."""
    data = BOMBS[bomb]
    tracemalloc.start()
    started = time.perf_counter()
    with pytest.raises(ReportUnreadable, match="declares entities"):
        parse_report(name, data, exit_code=0, root=ROOT)
    elapsed, peak = time.perf_counter() - started, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert elapsed < 1
    assert peak < 5_000_000 + 2 * len(data)
