"""False greens: whatever a tool's exit code or report pretends, a strict gate accepts nothing that was not measured.

Every row of the table of traps runs with the real tool through the real `ledger gate`. Each tool has a sane
twin that does pass, so that a row is not red for another reason than its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from gate_bench import JUNIT, PROJECT, PYTEST, Bench, strict_policy

CLEAN = {"a.py": b'"""A module."""\n\nONE = 1\n'}
RUFF = ("ruff", "check", ".", "--output-format", "json")
RUFF_FORMAT = ("ruff", "format", "--check", ".", "--output-format", "json")
COVERAGE = "{scratch}/coverage.json"
PYTEST_COV = ("pytest", "-q", "--cov=demo", f"--cov-report=json:{COVERAGE}")
PYRIGHT = ("pyright", "--outputjson")
BANDIT = ("bandit", "-q", "-r", "-f", "json", ".")
NOX = ("nox", "--report", "{scratch}/nox.json")
NOXFILE = b"""import nox


@nox.session(venv_backend="none")
def one(session):
    session.run("%b", external=True)
"""
AUDIT = ("pip-audit", "-f", "json", "--progress-spinner=off", "--disable-pip", "--no-deps", "-r", "r.txt")
SECRET = b'AWS_KEY = "AKIAIOSFODNN7EXAMPLF"\n'  # pragma: allowlist secret
DEAD = "http://127.0.0.1:9"


def steps(*each: tuple[tuple[str, ...], str, str]) -> dict[str, object]:
    """Return a gate of several commands: each with its format and where its report is."""
    return {"steps": [{"command": list(c), "format": f, "report": r} for c, f, r in each]}


def one(command: tuple[str, ...], format: str, report: str = "-", **more: object) -> dict[str, object]:  # noqa: A002
    return {"command": command, "format": format, "report": report, **more}


def junit(*words: str, **more: object) -> dict[str, object]:
    return one((*PYTEST, *words), "junit", JUNIT, **more)


FILES = (("git", "ls-files"), "paths", "-")
SECRETS = steps((("detect-secrets", "scan"), "detect-secrets", "-"), FILES)
LINT = steps((RUFF, "ruff-check", "-"), (("ruff", "check", ".", "--show-files"), "ruff-files", "-"))


@pytest.fixture
def bench(make_repo: Callable[..., Path], git: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Makes the bench around an empty repository: tests commit what they measure."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    return Bench(make_repo({}), git)


class Trap(NamedTuple):
    """A gate on some files; what its commands exit with, and the verdict and the reason that must be given."""

    files: dict[str, bytes]
    gate: dict[str, object]
    exit_codes: tuple[int | None, ...]
    verdict: str
    reason: str


def suite(body: str) -> dict[str, bytes]:
    """Return the project with another test file."""
    return {**PROJECT, "tests/test_add.py": body.encode()}


TRAPS = {
    "ruff, missing file": Trap(
        CLEAN,
        one(("ruff", "check", "gone.py", "--output-format", "json"), "ruff-check"),
        (1,),
        "fail",
        "violations 1 is above 0",
    ),
    "ruff, bad configuration": Trap(
        {**CLEAN, "ruff.toml": b"nonsense = 1\n"}, LINT, (2, 2), "inconclusive", "exit code 2 is no result of ruff"
    ),
    "ruff, no file at all": Trap({"a.txt": b""}, LINT, (0, 0), "inconclusive", "it found no Python file"),
    "ruff, --exit-zero": Trap(
        {"a.py": b"import os\n"},
        steps(((*RUFF, "--exit-zero"), "ruff-check", "-")),
        (0,),
        "fail",
        "violations 1 is above 0",
    ),
    "ruff format, syntax error": Trap(
        {"a.py": b"def f(:\n"}, one(RUFF_FORMAT, "ruff-format"), (2,), "fail", "reformat"
    ),
    "pytest, os._exit(0) in a test": Trap(
        suite("import os\n\n\ndef test_leave():\n    os._exit(0)\n"),
        junit(),
        (0,),
        "inconclusive",
        "left no report (exit code 0)",
    ),
    "pytest, no tests": Trap(
        {**PROJECT, "tests/test_add.py": b""}, junit(), (5,), "inconclusive", "no tests were collected"
    ),
    "pytest, bad path": Trap(
        PROJECT, junit("tests/test_gone.py"), (4,), "inconclusive", "a path that does not exist"
    ),
    "pytest, collection error": Trap(suite("import nowhere\n"), junit(), (2,), "fail", "broken 1 is above 0"),
    "pytest, all skipped": Trap(
        suite("import pytest\n\n\n@pytest.mark.skip\ndef test_it():\n    assert False\n"),
        junit(),
        (0,),
        "inconclusive",
        "examined no tests",
    ),
    "pytest, collected only": Trap(PROJECT, junit("--collect-only"), (0,), "inconclusive", "no tests"),
    "pytest, all deselected": Trap(PROJECT, junit("-k", "nothing"), (5,), "inconclusive", "no tests"),
    "pytest, exit code made 0": Trap(
        {
            **suite("def test_it():\n    assert False\n"),
            "tests/conftest.py": b"def pytest_sessionfinish(session):\n    session.exitstatus = 0\n",
        },
        junit(),
        (0,),
        "fail",
        "broken 1 is above 0",
    ),
    "pytest, killed": Trap(
        suite("import os\nimport signal\n\n\ndef test_it():\n    os.kill(os.getpid(), signal.SIGKILL)\n"),
        junit(),
        (-9,),
        "inconclusive",
        "SIGKILL",
    ),
    "pytest, writes into the tree": Trap(
        suite("from pathlib import Path\n\n\ndef test_it():\n    Path('src/demo/__init__.py').write_text('')\n"),
        junit(),
        (0,),
        "inconclusive",
        "the tree was changed while it was measured",
    ),
    "coverage, --fail-under makes pytest exit with 1": Trap(
        {**PROJECT, "src/demo/more.py": b"ONE = 1\n"},
        junit("--cov=demo", "--cov-fail-under=99"),
        (1,),
        "inconclusive",
        "shows no finding",
    ),
    "coverage, --fail-under of its own": Trap(
        {**PROJECT, "src/demo/more.py": b"ONE = 1\n"},
        one(
            ("sh", "-c", f"coverage run --source=src -m pytest -q && coverage json --fail-under=99 -o {COVERAGE}"),
            "coverage",
            COVERAGE,
        ),
        (2,),
        "inconclusive",
        "exit code 2 is no result of coverage",
    ),
    "coverage, below the threshold with exit code 0": Trap(
        {**PROJECT, "src/demo/more.py": b"ONE = 1\n"},
        one(PYTEST_COV, "coverage", COVERAGE, threshold=90),
        (0,),
        "fail",
        "is below 90",
    ),
    "coverage, of no statement": Trap(
        PROJECT, one(("pytest", "-q", "--cov=nowhere", f"--cov-report=json:{COVERAGE}"), "coverage", COVERAGE),
        (0,), "inconclusive", "",
    ),
    "basedpyright, a configuration that it cannot read": Trap(
        {**CLEAN, "bad.json": b"{"},
        one(("basedpyright", "--outputjson", "-p", "bad.json"), "pyright"),
        (0,),
        "inconclusive",
        "went on without it",
    ),
    "basedpyright, a setting that it does not understand": Trap(
        {**CLEAN, "pyrightconfig.json": b'{"typeCheckingMode": "strickt"}'},
        one(("basedpyright", "--outputjson"), "pyright"),
        (0,),
        "inconclusive",
        "passed over a setting",
    ),
    "basedpyright, missing file": Trap(
        CLEAN, one(("basedpyright", "--outputjson", "gone.py"), "pyright"), (4,), "inconclusive", "a missing file"
    ),
    "pyright, bad configuration says 0 errors": Trap(
        {**CLEAN, "pyrightconfig.json": b"{"},
        one(PYRIGHT, "pyright"),
        (3,),
        "inconclusive",
        "exit code 3 is no result of pyright (a bad configuration)",
    ),
    "pyright, missing file": Trap(
        CLEAN, one((*PYRIGHT, "gone.py"), "pyright"), (4,), "inconclusive", "a missing file"
    ),
    "pyright, a setting that is misspelled": Trap(
        {"a.py": b"def f(x):\n    return x\n", "pyrightconfig.json": b'{"typeCheckingMod": "strict"}'},
        one(PYRIGHT, "pyright"),
        (0,),
        "inconclusive",
        "passed over a setting",
    ),
    "pyright, no file at all": Trap(
        {"a.txt": b""}, one(PYRIGHT, "pyright"), (0,), "inconclusive", "examined no files"
    ),
    "mypy, missing file": Trap(
        CLEAN, one(("mypy", "--output", "json", "gone.py"), "mypy"), (2,), "inconclusive", "no file to check"
    ),
    "mypy, ignored errors": Trap(
        {"a.py": b"ONE: int = ''\n", "mypy.ini": b"[mypy]\nwarn_unused_configs = maybe\n"},
        one(("mypy", "--output", "json", "a.py"), "mypy"),
        (1,),
        "fail",
        "errors 1 is above 0",
    ),
    "ty, missing file": Trap(
        CLEAN, one(("ty", "check", "-v", "--output-format", "gitlab", "gone.py"), "gitlab"), (2,), "inconclusive", "a path that does not exist"
    ),
    "ty, --exit-zero": Trap(
        {"a.py": b"ONE: int = ''\n"},
        one(("ty", "check", "-v", "--exit-zero", "--output-format", "gitlab"), "gitlab"),
        (0,),
        "fail",
        "errors 1 is above 0",
    ),
    "bandit, --exit-zero": Trap(
        {"a.py": b"import pickle\n\npickle.loads(b'')\n"},
        one((*BANDIT, "--exit-zero"), "bandit"),
        (0,),
        "fail",
        "findings 2 is above 0",
    ),
    "bandit, findings": Trap(
        {"a.py": b"import pickle\n\npickle.loads(b'')\n"}, one(BANDIT, "bandit"), (1,), "fail", "findings 2"
    ),
    "bandit, a file that it cannot read": Trap(
        {**CLEAN, "b.py": b"def f(:\n"}, one(BANDIT, "bandit"), (0,), "inconclusive", "could not read b.py"
    ),
    "detect-secrets, exit code 0 with a secret": Trap(
        {**CLEAN, "b.py": SECRET}, SECRETS, (0, 0), "fail", "findings 1 is above 0"
    ),
    "pip-audit, all skipped": Trap(
        {"r.txt": b"https://example.invalid/x-1.0.tar.gz\n"},
        one(AUDIT, "pip-audit"),
        (0,),
        "inconclusive",
        "pip-audit skipped 1 of its dependencies",
    ),
    "pip-audit, no network": Trap(
        {"r.txt": b"click==8.1.0\n"}, one(AUDIT, "pip-audit"), (1,), "inconclusive", "left no report"
    ),
    "pip-licenses, a package that is not there": Trap(
        CLEAN,
        one(("pip-licenses", "--format", "json", "--packages", "nosuch"), "pip-licenses"),
        (0,),
        "inconclusive",
        "examined no packages",
    ),
    "pip-licenses, --fail-on": Trap(
        CLEAN,
        one(
            ("pip-licenses", "--format", "json", "--packages", "click", "--fail-on=BSD-3-Clause"),
            "pip-licenses",
        ),
        (1,),
        "inconclusive",
        "refused a licence",
    ),
    "nox, a session that failed": Trap(
        {"noxfile.py": NOXFILE % b"false"}, one(NOX, "nox", "{scratch}/nox.json"), (1,), "fail", "failed 1"
    ),
    "nox, no such session": Trap(
        {"noxfile.py": NOXFILE % b"true"}, one((*NOX, "-s", "two"), "nox", "{scratch}/nox.json"), (3,),
        "inconclusive", "no such session",
    ),
    "a report that is old": Trap(
        {"old.xml": b'<testsuites><testsuite tests="1"><testcase name="a"/></testsuite></testsuites>'},
        one(("true",), "junit", "old.xml"),
        (0,),
        "inconclusive",
        "the report old.xml is an old one",
    ),
    "a timeout": Trap(
        PROJECT, junit(timeout="0.2s"), (None,), "inconclusive", "timed out after"
    ),
    "a missing tool": Trap(
        PROJECT, one(("pytset", *PYTEST[1:]), "junit", JUNIT), (None,), "inconclusive", "pytset: command not found"
    ),
    "a command in the background": Trap(PROJECT, one(("sh", "-c", f"sleep 1; {' '.join(PYTEST)} &"), "junit", JUNIT), (0,), "inconclusive", "no report"),
}  # fmt: skip


@pytest.mark.parametrize("name", TRAPS)
def test_no_trap_is_green(bench: Bench, name: str) -> None:
    """The exit code and the report are as the table says; the verdict says what they are worth."""
    trap = TRAPS[name]
    bench.commit({**trap.files, "ledger.toml": strict_policy(probe=trap.gate)})
    gating = bench.gate(HTTPS_PROXY=DEAD, https_proxy=DEAD, http_proxy=DEAD)
    (measured,) = gating.measured
    result = gating.result()
    assert not gating.is_green()
    assert tuple(measured["exit_codes"]) == trap.exit_codes
    assert (result["verdict"], measured["verdict"]) == (trap.verdict, trap.verdict), result
    assert trap.reason in " ".join(result["reasons"])
    assert gating.done.code == (1 if trap.verdict == "fail" else 4)


SANE = {
    "ruff": (CLEAN, LINT),
    "ruff format": (CLEAN, steps((RUFF_FORMAT, "ruff-format", "-"), FILES)),
    "pytest": (PROJECT, junit()),
    "coverage": (PROJECT, one(PYTEST_COV, "coverage", COVERAGE, threshold=90)),
    "basedpyright": (CLEAN, one(("basedpyright", "--outputjson"), "pyright")),
    "mypy": (CLEAN, one(("mypy", "--output", "json", "a.py"), "mypy")),
    "ty": (CLEAN, one(("ty", "check", "-v", "--output-format", "gitlab"), "gitlab")),
    "bandit": (CLEAN, one(BANDIT, "bandit")),
    "detect-secrets": (CLEAN, SECRETS),
    "pip-licenses": (CLEAN, one(("pip-licenses", "--format", "json", "--packages", "click"), "pip-licenses")),
    "nox": ({"noxfile.py": NOXFILE % b"true"}, one(NOX, "nox", "{scratch}/nox.json")),
}


@pytest.mark.parametrize("name", SANE)
def test_its_sane_twin_passes(bench: Bench, name: str) -> None:
    """The same tool on files without a fault passes, is accepted, and leaves the tree as it was."""
    files, gate = SANE[name]
    bench.commit({**files, "ledger.toml": strict_policy(probe=gate)})
    before = bench.traces()
    gating = bench.gate()
    assert gating.result()["verdict"] == "pass", gating.result()
    assert gating.record["accepted"]
    assert gating.accepted_refs
    assert gating.done.code == 0
    assert bench.traces() == before == ""


MISTYPED = {"a.py": b"ONE: int = ''\n"}
BROKEN_TABLE = b"[tool.pyright\n"


@pytest.mark.parametrize(
    ("files", "exit_code", "verdict", "errors"),
    [
        pytest.param(CLEAN, 0, "pass", 0, id="clean"),
        pytest.param(MISTYPED, 1, "fail", 1, id="an error"),
        pytest.param({**CLEAN, "pyproject.toml": BROKEN_TABLE}, 3, "inconclusive", 0, id="bad configuration"),
    ],
)
def test_the_gate_for_types_is_green_where_pyright_read_its_configuration_and_found_nothing(
    bench: Bench, files: dict[str, bytes], exit_code: int, verdict: str, errors: int
) -> None:
    """The built-in gate, its own command: pyright says 0 errors in the first case and in the last."""
    bench.commit({**files, "ledger.toml": strict_policy(types={})})
    gating = bench.gate()
    (measured,) = gating.measured
    assert measured["commands"] == [list(PYRIGHT)]
    assert measured["tools"]["pyright"] == version("pyright")
    assert measured["exit_codes"] == [exit_code]
    assert measured["metrics"]["errors"] == errors
    assert gating.result("types")["verdict"] == verdict
    assert gating.is_green() == (verdict == "pass")
