"""What a gate's command sees, and that measuring leaves the tree as it was."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from execution_lab import HERE, execute, make_venv, python, surround

from ledger.gates.surroundings import GUARD_DIR, Surroundings

PRINT_ENVIRONMENT = python("import os, json; print(json.dumps(dict(os.environ)))")


def seen(*arguments: str, root: Path, **changes: object) -> dict[str, str]:
    """Return the environment that a command sees."""
    return json.loads(execute(surround(root, **changes), *PRINT_ENVIRONMENT).report or b"")


def test_a_command_sees_the_usual_variables_and_those_that_its_rule_names(repo: Path) -> None:
    passed = {
        "HOME": "/h", "USER": "u", "LOGNAME": "u", "SHELL": "/bin/zsh", "LANG": "de_DE.UTF-8",
        "LC_ALL": "C.UTF-8", "LC_TIME": "C", "TZ": "Asia/Tokyo", "SOURCE_DATE_EPOCH": "1", "PIP_CERT": "/c",
        "SSL_CERT_FILE": "/c", "REQUESTS_CA_BUNDLE": "/c", "https_proxy": "http://p", "NO_PROXY": "localhost",
    }  # fmt: skip
    kept_out = {
        "AWS_SECRET_ACCESS_KEY": "s", "GITHUB_TOKEN": "t", "PYTHONHASHSEED": "1", "PYTEST_ADDOPTS": "-x",
        "LEDGER_ACTOR": "agent:a", "COVERAGE_PROCESS_START": "x", "FORCE_COLOR": "1", "LD_PRELOAD": "",
    }  # fmt: skip
    variables = {**passed, **kept_out, "DATABASE_URL": "postgres:", "TERM": "xterm"}
    around = Surroundings(
        root=repo,
        cache_dir=repo.parent / "cache",
        tree_paths=[],
        variables=variables,
        env=("DATABASE_URL", "NOT_SET"),
    )
    found = json.loads(execute(around, *PRINT_ENVIRONMENT).report or b"")
    ours = {
        "COVERAGE_FILE", "HYPOTHESIS_STORAGE_DIRECTORY", "LEDGER_IMPORTS", "MYPY_CACHE_DIR", "NOX_ENVDIR",
        "NUMBA_CACHE_DIR", "PATH", "PYTHONPATH", "PYTHONPYCACHEPREFIX", "RUFF_CACHE_DIR", "TERM",
        "TOX_ENV_DIR", "TOX_WORK_DIR",
    }  # fmt: skip
    assert found.keys() == passed.keys() | ours | {"DATABASE_URL"}
    assert {name: found[name] for name in passed} == passed
    assert (found["TERM"], found["DATABASE_URL"]) == ("dumb", "postgres:")


def test_what_an_outer_git_command_set_never_leaks(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate that a hook starts works in the measured tree, not in the hook's repository; not even when asked."""
    monkeypatch.setenv("GIT_DIR", "/elsewhere/.git")
    monkeypatch.setenv("GIT_INDEX_FILE", "/elsewhere/.git/index.lock")
    monkeypatch.setenv("GIT_SSH_COMMAND", "ssh -v")
    names = ("GIT_DIR", "GIT_INDEX_FILE", "GIT_SSH_COMMAND")
    around = Surroundings(root=repo, cache_dir=repo.parent / "cache", tree_paths=[], env=names)
    found = json.loads(execute(around, *PRINT_ENVIRONMENT).report or b"")
    assert [name for name in found if name.startswith("GIT_")] == ["GIT_SSH_COMMAND"]


def test_what_a_rule_names_is_the_users_but_the_guard_stays_first(repo: Path) -> None:
    variables = {"PYTHONPATH": "/mine", "RUFF_CACHE_DIR": "/mine", "PATH": "/usr/bin"}
    found = seen(root=repo, variables=variables, env=("PYTHONPATH", "RUFF_CACHE_DIR", "PATH"))
    assert found["PYTHONPATH"] == f"{GUARD_DIR}:/mine"
    assert found["RUFF_CACHE_DIR"] == "/mine"
    assert found["PATH"].startswith("/usr/bin:")


def test_path_is_the_trees_environment_then_the_users_then_this_interpreters(repo: Path) -> None:
    variables = {"PATH": "/usr/bin:node_modules/.bin::/bin"}
    users = ["/usr/bin", str(repo / "node_modules/.bin"), "/bin"]
    assert seen(root=repo, variables=variables)["PATH"].split(":") == [*users, str(HERE)]
    (repo / ".venv/bin").mkdir(parents=True)  # one without a Python is none
    assert seen(root=repo, variables=variables)["PATH"].split(":") == [*users, str(HERE)]
    (repo / ".venv/bin/python").symlink_to(sys.executable)
    own = str(repo / ".venv/bin")
    assert seen(root=repo, variables=variables)["PATH"].split(":") == [own, *users, str(HERE)]


def test_a_ledger_called_by_its_path_finds_the_tool_beside_it(repo: Path) -> None:
    found = execute(surround(repo, variables={"PATH": "/nowhere"}), "ruff", "--version")
    assert (found.report or b"").startswith(b"ruff ")


@pytest.mark.parametrize(
    ("active", "own", "expected"),
    [
        ("/other/venv", False, None),
        ("env", False, "env"),
        ("/other/venv", True, ".venv"),
        (None, True, ".venv"),
        (None, False, None),
    ],
)
def test_virtual_env_is_the_trees_or_none(
    repo: Path, active: str | None, own: bool, expected: str | None
) -> None:
    """The one that is active elsewhere would contradict PATH: uv and ty would measure with another."""
    if own:
        (repo / ".venv/bin").mkdir(parents=True)
        (repo / ".venv/bin/python").symlink_to(sys.executable)
    variables = {"VIRTUAL_ENV": str(repo / active)} if active else {"VIRTUAL_ENV": ""}
    found = seen(root=repo, variables=variables).get("VIRTUAL_ENV")
    assert found == (str(repo / expected) if expected else None)


def test_a_linked_environment_is_used_where_it_is(repo: Path, tmp_path: Path) -> None:
    """So its libraries' bytecode, found by path, serves every isolated tree that it is linked into."""
    bin_dir = make_venv(tmp_path / "venv")
    (repo / ".venv").symlink_to(tmp_path / "venv")
    found = execute(surround(repo), *("python", "-c", "import sys; print(sys.prefix, sys.executable)"))
    assert found.output.decode().split() == [str(tmp_path / "venv"), str(bin_dir / "python")]


# ── by-products ──────────────────────────────────────────────────────────────────────────────────

PROJECT = {
    "app.py": b"def mean(total: int, count: int) -> float:\n    return total / count\n",
    "test_app.py": b"""import subprocess, sys
from hypothesis import given, strategies as st
from app import mean

@given(st.integers(), st.integers(1))
def test_mean(total, count):
    assert mean(total * count, count) == mean(total * count, count)

def test_child():
    subprocess.run([sys.executable, "-c", "import app"], check=True)
""",
}
COMMANDS = {
    "ruff": ("ruff", "check", "."),
    "ruff-format": ("ruff", "format", "--check", "."),
    "pytest": ("pytest", "-q", "--junitxml={scratch}/junit.xml"),
    "cov": ("pytest", "-q", "--cov", "--cov-report=json:{scratch}/coverage.json"),
    "coverage": ("coverage", "run", "--branch", "-m", "pytest", "-q"),
    "mypy": ("mypy", "app.py"),
}


def picture(root: Path, git: Callable[..., str]) -> tuple[str, dict[str, tuple[int, int, bytes]]]:
    """Return what git says of a work tree, ignored files included, and what every file in it is."""
    files = [path for path in root.rglob("*") if ".git" not in path.parts and path.is_file()]
    facts = {str(path): (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes()) for path in files}
    return git("status", "--porcelain", "--ignored", "-uall", cwd=root), facts


@pytest.mark.parametrize("tool", COMMANDS)
def test_measuring_does_not_change_the_tree(
    make_repo: Callable[..., Path], git: Callable[..., str], tool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a .gitignore nothing hides: caches, coverage data and bytecode all go elsewhere."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    root = make_repo(PROJECT)
    before = picture(root, git)
    found = execute(surround(root), *COMMANDS[tool])
    assert (found.exit_code, found.problems) == (1 if tool.startswith("ruff") else 0, ()), (
        found.output.decode()
    )
    assert picture(root, git) == before


def test_those_commands_would_change_it(
    make_repo: Callable[..., Path], git: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run plainly, they leave what the test above did not find."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    root = make_repo(PROJECT)
    for tool in ("ruff", "cov", "mypy"):
        command = [
            str(HERE / COMMANDS[tool][0]),
            *COMMANDS[tool][1:3],
            *(["app.py"] if tool == "mypy" else []),
        ]
        subprocess.run(command, cwd=root, capture_output=True, check=False)
    left = {
        line.split("/")[0].strip("?! ")
        for line in git("status", "--porcelain", "-uall", "--ignored", cwd=root).splitlines()
    }
    assert left >= {".coverage", ".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache", "__pycache__"}


def test_caches_last_from_one_execution_to_the_next(make_repo: Callable[..., Path]) -> None:
    root = make_repo(PROJECT)
    around = surround(root)
    execute(around, "pytest", "-q")
    execute(around, "ruff", "check", ".")
    found = {path.name for path in around.cache_dir.iterdir()}
    assert found >= {"bytecode", "hypothesis", "pytest", "ruff"}
    assert (around.cache_dir / "pytest/.pytest_cache/v/cache/nodeids").exists()
    again = execute(around, "pytest", "-q", "--cache-show", "nodeids")
    assert b"test_app.py::test_mean" in again.output


@pytest.mark.parametrize("options", [("-p", "no:cacheprovider", "--strict-config"), ("-o", "cache_dir=mine")])
def test_pytests_own_options_stay_valid(make_repo: Callable[..., Path], options: tuple[str, ...]) -> None:
    """An option `-o cache_dir` of ours would be an error where the user has no cache provider."""
    root = make_repo({"test_a.py": b"def test_a(): pass\n"})
    found = execute(surround(root), "pytest", "-q", *options)
    assert (found.exit_code, found.problems) == (0, ()), found.output.decode()


def test_a_venv_of_the_tree_runs_its_own_tools(make_repo: Callable[..., Path]) -> None:
    root = make_repo({"test_a.py": b"import sys\ndef test_a(): assert '.venv' in sys.prefix\n"})
    make_venv(root / ".venv")
    found = execute(surround(root), "python", "-m", "pytest", "-q")
    assert (found.exit_code, found.problems, found.watched) == (0, (), True), found.output.decode()
