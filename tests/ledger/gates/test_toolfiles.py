"""Which files of a tree configure its gates."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from execution_lab import HERE

from ledger.gates.toolfiles import configuration_files, configuration_of, is_configuration, tools_of
from ledger.policies import Step
from ledger.repository import Repository

TREE = [
    b"pyproject.toml", b"setup.cfg", b"tox.ini", b"ruff.toml", b"pkg/ruff.toml", b"pkg/pyproject.toml",
    b"tests/conftest.py", b"conftest.py", b".coveragerc", b"mypy.ini", b"pyrightconfig.json", b"noxfile.py",
    b"src/app.py", b"ci/lint.toml", b"tests/mypy.ini", b"Makefile", b"ledger.toml",
]  # fmt: skip
BASE = [b"pyproject.toml"]


@pytest.mark.parametrize(
    ("command", "parser", "expected"),
    [
        (("ruff", "check", "."), "ruff-check", [*BASE, b"ruff.toml", b"pkg/ruff.toml", b"pkg/pyproject.toml"]),
        (("pytest",), "junit", [*BASE, b"setup.cfg", b"tox.ini", b"tests/conftest.py", b"conftest.py", b".coveragerc"]),
        (("mypy", "."), "mypy", [*BASE, b"setup.cfg", b"mypy.ini"]),
        (("mypy", "--config-file=tests/mypy.ini"), "mypy", [*BASE, b"setup.cfg", b"mypy.ini", b"tests/mypy.ini"]),
        (("basedpyright", "-p", "./ci/lint.toml"), "pyright", [*BASE, b"pyrightconfig.json", b"ci/lint.toml"]),
        (("/usr/bin/ty", "check"), "gitlab", BASE),
        (("python", "-m", "mypy"), "exit", [*BASE, b"setup.cfg", b"mypy.ini"]),
        (("make", "lint"), "exit", [path for path in TREE if path not in (b"src/app.py", b"ci/lint.toml", b"tests/mypy.ini")]),
    ],
)  # fmt: skip
def test_what_configures_a_step(command: tuple[str, ...], parser: str, expected: list[bytes]) -> None:
    """Its tools' files; for a command that could run anything, every tool's; and what it names itself."""
    assert configuration_of(Step(command=command, format=parser), TREE) == expected


def test_every_configuration_of_a_step_is_one() -> None:
    assert [path for path in TREE if not is_configuration(path)] == [
        b"src/app.py",
        b"ci/lint.toml",
        b"tests/mypy.ini",
    ]
    assert not is_configuration(b"\xff/setup.cfg")


def test_pytest_and_coverage_are_configured_together() -> None:
    assert (
        tools_of(Step(command=("pytest",)))
        == tools_of(Step(command=("coverage", "run")))
        == {"pytest", "coverage"}
    )


def test_the_oids_are_gits(make_repo: Callable[..., Path], git: Callable[..., str]) -> None:
    root = make_repo({"mypy.ini": b"[mypy]\n", "pyproject.toml": b"", "a.py": b""})
    repository = Repository.open(root)
    entries = repository.tree(repository.head().tree).entries()
    found = configuration_files(Step(command=("mypy", ".")), entries)
    assert found == {
        path: git("rev-parse", f"HEAD:{path}", cwd=root) for path in ("mypy.ini", "pyproject.toml")
    }


@pytest.mark.parametrize(
    "path", ["ruff.toml", ".ruff.toml", "pyproject.toml", "pkg/ruff.toml", "pkg/pyproject.toml"]
)
def test_ruff_reads_what_we_name(tmp_path: Path, path: str) -> None:
    """The tool's own behaviour: each of these files changes what it finds."""
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/a.py").write_text("import os\n", "utf-8")
    section = "[tool.ruff.lint]" if path.endswith("pyproject.toml") else "[lint]"
    command = [HERE / "ruff", "check", "--no-cache", "--quiet", "."]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 1
    (tmp_path / path).write_text(f'{section}\nignore = ["F401"]\n', "utf-8")
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    assert is_configuration(os.fsencode(path))


@pytest.mark.parametrize(
    "path",
    ["pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "tox.ini", "setup.cfg", "pyproject.toml"],
)
def test_pytest_reads_what_we_name(tmp_path: Path, path: str) -> None:
    section = {"setup.cfg": "tool:pytest", "pyproject.toml": "tool.pytest.ini_options"}.get(path, "pytest")
    value = '["other_*"]' if path.endswith("toml") else "other_*"
    (tmp_path / path).write_text(f"[{section}]\npython_functions = {value}\n", "utf-8")
    (tmp_path / "test_a.py").write_text("def test_a(): assert True\n", "utf-8")
    command = [HERE / "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 5  # no test has such a name
    assert is_configuration(os.fsencode(path))
