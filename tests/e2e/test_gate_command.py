"""The real `ledger gate`: where it measures, what runs beside what, how it is interrupted, and what is flaky."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from gate_bench import (
    ADD,
    JUNIT,
    PROJECT,
    PYTEST,
    TEST_ADD,
    TOOLS,
    Bench,
    is_running,
    make_environment,
    numbers_in,
    strict_policy,
    verdicts,
)
from shell import LEDGER

COVERAGE = "{scratch}/coverage.json"
TESTS = {"command": PYTEST, "format": "junit", "report": JUNIT}
# Nothing says where the package is: as in a project that is tested as it is installed.
INSTALLED = {**PROJECT, "pyproject.toml": b'[project]\nname = "demo"\n', ".gitignore": b"/.venv\n"}
WRONG = ADD.replace(b"+", b"-")
NOTE = b"diff --git a/note.txt b/note.txt\nnew file mode 100644\n--- /dev/null\n+++ b/note.txt\n@@ -0,0 +1 @@\n+note\n"


@pytest.fixture
def bench(make_repo: Callable[..., Path], git: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Makes the bench around an empty repository: tests commit what they measure."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    return Bench(make_repo({}), git)


def python(code: str) -> tuple[str, ...]:
    return ("python3", "-c", code)


# ── which tree is measured ───────────────────────────────────────────────────────────────────────


def test_a_linked_work_tree_is_not_measured_on_the_main_tree(bench: Bench, tmp_path: Path) -> None:
    """There, pytest exits with 0, having imported the main tree: a commit that fails was green."""
    bench.commit({**INSTALLED, "ledger.toml": strict_policy(tests=TESTS)})
    environment = make_environment(bench.root / ".venv", bench.root / "src")
    linked = Bench(tmp_path / "linked", bench.git)
    bench.git("worktree", "add", "--quiet", "-b", "topic", linked.root, cwd=bench.root)
    linked.commit({"src/demo/__init__.py": WRONG})
    path = f"{environment / 'bin'}{os.pathsep}{TOOLS}{os.pathsep}{os.environ['PATH']}"

    command = ["pytest", "-q", "-p", "no:cacheprovider"]
    outer = os.environ | {"PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=linked.root, env=outer, capture_output=True, check=False)
    assert (done.returncode, b"1 passed" in done.stdout) == (0, True)

    gating = linked.gate(PATH=path)
    assert not gating.is_green()
    assert gating.done.code == 4
    assert gating.measured[0]["exit_codes"] == [0]
    where = bench.root / "src/demo"
    assert f"demo was imported from {where}, not from the measured tree" in gating.result("tests")["reasons"]


ISOLATED = """
[isolated]
link = [".venv"]
"""


def test_an_isolated_tree_is_not_measured_on_the_main_tree(bench: Bench) -> None:
    """With the main tree's environment linked into it, what is installed there is the main tree."""
    bench.commit({**INSTALLED, "ledger.toml": strict_policy(ISOLATED, tests=TESTS)})
    make_environment(bench.root / ".venv", bench.root / "src")
    assert bench.gate().result("tests")["verdict"] == "pass"

    patch = bench.file(bench.git_diff({"src/demo/__init__.py": WRONG}))
    assert bench("apply", patch).code == 0
    # The user tries something that repairs it, in the main tree alone.
    bench.write("src/demo/__init__.py", ADD)
    gating = bench.gate("--isolated", "tests")
    assert gating.done.code == 4
    assert not gating.record["accepted"]
    assert "not from the measured tree" in " ".join(gating.result("tests")["reasons"])
    assert gating.measured[-1]["place"] == "isolated"


@pytest.mark.parametrize("ignored", [b"/.venv", b".venv/"], ids=["link-too", "directory-alone"])
def test_an_isolated_tree_is_measured_with_what_is_linked_and_set_up(bench: Bench, ignored: bytes) -> None:
    """`setup` makes what Git does not hold, `link` brings the environment; neither counts as a change.

    ``.venv/`` ignores the directory, and not the link that stands for it in the temporary tree.
    """
    setup = ISOLATED + f"setup = ['{TOOLS}/python make.py']\n"
    files = {
        "tests/test_made.py": b"from pathlib import Path\n\n\ndef test_made():\n    assert Path('made.txt').exists()\n",
        "make.py": b"open('made.txt', 'w').close()\n",
        ".gitignore": ignored + b"\n/made.txt\n",
    }
    bench.commit({**PROJECT, **files, "ledger.toml": strict_policy(setup, tests=TESTS)})
    make_environment(bench.root / ".venv")
    bench.write("src/demo/__init__.py", WRONG)
    gating = bench.gate("--isolated")
    assert gating.result("tests")["verdict"] == "pass", gating.done.err
    assert gating.record["accepted"]
    assert gating.measured[0]["examined"] == 2
    # The user's own tree was not used and not touched, and the temporary one is gone.
    assert (bench.root / "src/demo/__init__.py").read_bytes() == WRONG
    assert not (bench.root / "made.txt").exists()
    assert bench.git("worktree", "list", "--porcelain", cwd=bench.root).count("worktree ") == 1


@pytest.mark.parametrize(
    ("isolated", "said"),
    [("setup = ['false']", "false: exit code 1"), ("link = ['nowhere']", "link nowhere: ")],
    ids=["setup", "link"],
)
def test_an_isolated_tree_that_cannot_be_made(bench: Bench, isolated: str, said: str) -> None:
    """Nothing is measured, and no work tree stays behind."""
    bench.commit({**PROJECT, "ledger.toml": strict_policy(f"[isolated]\n{isolated}\n", tests=TESTS)})
    done = bench("gate", "--isolated")
    done.refuses(2, said, "ledger policy show")
    assert not [event for event in bench.events if event["kind"].startswith("gate.")]
    assert bench.git("worktree", "list", "--porcelain", cwd=bench.root).count("worktree ") == 1


@pytest.mark.parametrize("remedy", [("record",), ("gate", "--isolated")], ids=["record", "isolated"])
def test_unrelated_dirt_is_named_with_two_ways_out(bench: Bench, remedy: tuple[str, ...]) -> None:
    """The work tree is not the candidate: nothing is measured before one of the two was chosen."""
    bench.commit({**PROJECT, "ledger.toml": strict_policy(tests=TESTS)})
    bench.write("scratch.txt", b"mine\n")
    done = bench("gate")
    done.refuses(7, "scratch.txt", "`ledger record`", "`ledger gate --isolated`")
    assert not [event for event in bench.events if event["kind"].startswith("gate.")]
    assert bench(*remedy).code == 0
    gating = bench.gate(*remedy[1:])
    assert gating.done.code == 0, gating.done.err
    assert gating.record["accepted"]
    assert (bench.root / "scratch.txt").read_bytes() == b"mine\n"


def test_all_that_is_measured_by_default_leaves_nothing_in_the_tree(bench: Bench) -> None:
    """No `.coverage`, no caches, no bytecode, though nothing is ignored; and the same for `pytest --cov`."""
    bench.commit({**PROJECT, "ledger.toml": b'profile = "release"\n'})
    before = bench.traces(), bench.everything().keys()
    gating = bench.gate()
    assert gating.done.code == 0, gating.done.err
    assert verdicts(gating.measured) == {"lint": "pass", "tests": "pass", "cov": "pass"}
    assert bench.traces() == before[0] == ""
    left = {path for path in bench.everything() if not path.startswith(".git/")}
    assert left == {path for path in before[1] if not path.startswith(".git/")}


def test_lint_does_not_repair_what_it_measures(bench: Bench) -> None:
    """Where the project says `fix = true`, ruff by itself repairs the tree, exits with 0 and finds nothing."""
    files = {"a.py": b"import os\n", "ruff.toml": b"fix = true\nfix-only = true\n"}
    bench.commit({**files, "ledger.toml": b'profile = "release"\n'})
    gating = bench.gate("lint")
    assert (bench.root / "a.py").read_bytes() == b"import os\n"
    assert gating.result("lint")["reasons"] == ["problems 1 is above 0"]
    assert gating.done.code == 1


# ── what is compared with the accepted state ─────────────────────────────────────────────────────


def test_fewer_tests_than_in_the_accepted_state(bench: Bench) -> None:
    """A patch that takes a test away is rolled back, though pytest exits with 0."""
    two = TEST_ADD + b"\n\ndef test_more():\n    assert add(2, 2) == 4\n"
    bench.commit({**PROJECT, "tests/test_add.py": two, "ledger.toml": strict_policy(tests=TESTS)})
    assert bench.gate().record["accepted"]
    patch = bench.file(bench.git_diff({"tests/test_add.py": TEST_ADD}))
    done = bench("apply", "--gate", patch)
    assert done.code == 1
    assert "tests: 1 test, the accepted state has 2" in done.err
    assert bench.events[-1]["kind"] == "patch.rolled_back/1"
    assert (bench.root / "tests/test_add.py").read_bytes() == two
    assert bench.traces() == ""


def test_a_flaky_test_is_never_accepted(bench: Bench, tmp_path: Path) -> None:
    """`--again 3` shows how often it passed; a later pass does not overwrite the failure."""
    body = b"import os\nfrom pathlib import Path\n\n\ndef test_it():\n    count = Path(os.environ['COUNT'])\n"
    body += b"    count.write_text(count.read_text() + '1\\n')\n    assert len(count.read_text()) != 4\n"
    flaky = strict_policy(tests={**TESTS, "env": ("COUNT",)})
    bench.commit({**PROJECT, "tests/test_add.py": body, "ledger.toml": flaky})
    count = tmp_path / "count"
    count.touch()
    first = bench.gate("--again", "3", COUNT=str(count))
    result = first.result("tests")
    assert [each["verdict"] for each in first.measured] == ["pass", "fail", "pass"]
    assert (result["flaky"], result["passes"], result["measured"]) == (True, 2, 3)
    assert (result["verdict"], first.done.code) == ("fail", 1)

    again = bench.gate("--again", COUNT=str(count))
    assert again.measured[-1]["verdict"] == "pass"
    assert (again.result("tests")["verdict"], again.done.code) == ("fail", 1)
    assert not bench("apply", bench.file(NOTE)).code
    done = bench("commit", "-m", "no")
    assert done.code == 7, done.err


# ── what runs beside what ────────────────────────────────────────────────────────────────────────


def spans(gating_events: list[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    return {
        each["gate"]: (each["started_at_ns"], each["started_at_ns"] + each["duration_ns"])
        for each in gating_events
    }


# Each leaves its mark and waits for the other's: one after the other, neither would ever end well.
MEET = """
import os, sys, time
from pathlib import Path
place, end = Path(os.environ["MEET"]), time.monotonic() + 20
(place / sys.argv[1]).touch()
while not (place / sys.argv[2]).exists():
    assert time.monotonic() < end
    time.sleep(0.01)
"""


def test_gates_run_side_by_side_but_after_what_they_need(bench: Bench, tmp_path: Path) -> None:
    """Two overlap in time; the third starts when the one it needs has passed."""
    meet = {"format": "exit", "env": ("MEET",)}
    policy = strict_policy(
        one={**meet, "command": (*python(MEET), "one", "two")},
        two={**meet, "command": (*python(MEET), "two", "one")},
        three={"command": ("true",), "format": "exit", "needs": ("one",)},
    )
    bench.commit({"ledger.toml": policy})
    gating = bench.gate(MEET=str(tmp_path))
    assert gating.done.code == 0, gating.done.err
    span = spans(gating.measured)
    assert span["one"][0] < span["two"][1]
    assert span["two"][0] < span["one"][1]
    assert span["three"][0] >= span["one"][1]


def test_what_is_needed_and_failed_leaves_the_rest_unmeasured(bench: Bench) -> None:
    """The gate that waits is inconclusive and did not run."""
    one = {"command": ("false",), "format": "exit"}
    two = {"command": ("touch", "ran"), "format": "exit", "needs": ("one",)}
    bench.commit({"ledger.toml": strict_policy(one=one, two=two)})
    gating = bench.gate()
    assert gating.done.code == 1
    assert (gating.result("one")["verdict"], gating.result("two")["verdict"]) == ("fail", "inconclusive")
    assert gating.result("two")["reasons"] == ["not measured: it needs one, which did not pass"]
    assert verdicts(gating.measured) == {"one": "fail"}
    assert not (bench.root / "ran").exists()


def test_one_pytest_feeds_two_gates(bench: Bench, tmp_path: Path) -> None:
    """`tests` reads what the run of `cov` left: there was exactly one process."""
    conftest = b"import os\nfrom pathlib import Path\n\n\ndef pytest_configure():\n"
    conftest += (
        b"    with Path(os.environ['COUNT']).open('a') as count:\n        count.write(f'{os.getpid()}\\n')\n"
    )
    cov = (*PYTEST, "--cov=demo", f"--cov-report=json:{COVERAGE}")
    policy = strict_policy(
        tests={**TESTS, "fed_by": "cov"},
        cov={"command": cov, "format": "coverage", "report": COVERAGE, "threshold": 90, "env": ("COUNT",)},
    )
    bench.commit({**PROJECT, "tests/conftest.py": conftest, "ledger.toml": policy})
    gating = bench.gate(COUNT=str(tmp_path / "count"))
    assert gating.done.code == 0, gating.done.err
    assert verdicts(gating.measured) == {"tests": "pass", "cov": "pass"}
    assert len(numbers_in(tmp_path / "count")) == 1
    assert {each["gate"]: each["unit"] for each in gating.measured} == {"tests": "tests", "cov": "statements"}


# ── how it ends ──────────────────────────────────────────────────────────────────────────────────


def test_interrupted(bench: Bench, tmp_path: Path) -> None:
    """Ctrl-C during a gate leaves no process behind and no verdict; the next `ledger gate` measures."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    body = b"import os\nimport subprocess\nimport time\nfrom pathlib import Path\n\n\ndef test_it():\n"
    body += (
        b"    if 'PIDS' not in os.environ:\n        return\n    child = subprocess.Popen(['sleep', '60'])\n"
    )
    body += (
        b"    Path(os.environ['PIDS']).write_text(f'{os.getpid()}\\n{child.pid}\\n')\n    time.sleep(60)\n"
    )
    policy = strict_policy(tests={**TESTS, "env": ("PIDS",)})
    bench.commit({**PROJECT, "tests/test_add.py": body, "ledger.toml": policy})
    pids = tmp_path / "pids"
    environment = os.environ | {"PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}", "PIDS": str(pids)}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [LEDGER, "gate"], cwd=bench.root, env=environment, stdout=pipe, stderr=pipe
    ) as process:
        try:
            deadline = time.monotonic() + 30
            while len(numbers_in(pids)) < 2 and time.monotonic() < deadline:
                time.sleep(0.05)
            started = numbers_in(pids)
            assert [is_running(pid) for pid in started] == [True, True]
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 130
    assert b"interrupted" in err
    assert b"Traceback" not in err
    assert [is_running(pid) for pid in started] == [False, False]
    assert not [event for event in bench.events if event["kind"].startswith("gate.")]
    assert bench.traces() == ""
    assert bench.gate().record["accepted"]


def test_a_skipped_gate_needs_a_reason_and_is_shown(bench: Bench) -> None:
    """From then on it is said beside every verdict, in `status`, in the log and in SQL."""
    bench.commit({**PROJECT, "ledger.toml": strict_policy(tests=TESTS, docs={"command": ("false",)})})
    done = bench("gate", "--skip", "docs")
    done.refuses(2, "--skip needs --reason")
    assert bench.events == []
    gating = bench.gate("--skip", "docs", "--reason", "the builder is gone")
    assert gating.done.code == 0
    assert verdicts(gating.measured) == {"tests": "pass"}
    said = "docs: skipped: the builder is gone"
    (set_at,) = (each["v"] for each in gating.events if each["kind"] == "policy.set/1" and each["weakened"])
    assert bench.gate().record["notes"] == [
        f"the policy asks for less since {gating.record['run']}:{set_at}: {said}"
    ]
    assert said in bench("status").out
    assert said in bench("log").out
    rows = json.loads(bench("sql", "select weakened from policies order by v desc limit 1", "--json").out)
    assert said in str(rows)
