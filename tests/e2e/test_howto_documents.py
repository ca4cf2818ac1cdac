"""The five-minute start and the pages for single tasks, typed in as they stand: each command ends as the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from check_docs import shown_commands

ROOT = Path(__file__).resolve().parents[2]
OF_A_STORE = "ci.md"  # needs a database: `tests/ledger/sharing/test_ci_recipe.py` runs what it shows
PAGES = (
    ROOT / "docs/start.md",
    *(page for page in sorted((ROOT / "docs/howto").glob("*.md")) if page.name != OF_A_STORE),
)
CODE = re.compile(r"#.*\bexit code (\d+)")
APP = '"""Sums."""\n\n\ndef total(prices: list[int]) -> int:\n    """Return the sum."""\n    return sum(prices)\n'
MEAN = '\n\ndef mean(prices: list[int]) -> float:\n    """Return the mean."""\n    return total(prices) / max(len(prices), 1)\n'
FILES = {
    ".gitignore": b".coverage\n__pycache__/\n.pytest_cache/\n.ruff_cache/\n",
    "NOTES.md": b"Notes.\n",
    "pyproject.toml": b"[tool.pytest.ini_options]\npythonpath = ['src']\n\n[tool.coverage.run]\nsource = ['src']\n",
    "src/app.py": APP.encode(),
    "tests/test_app.py": b"from app import total\n\n\ndef test_total() -> None:\n    assert total([1, 2]) == 3\n",
}
SIDES = {
    "fix": {"src/app.py": APP + MEAN},
    "worse": {"src/app.py": APP.replace("sum(prices)", "sum(prices[1:])") + MEAN},
    "more": {"src/more.py": '"""More."""\n'},
}


@pytest.fixture
def project(make_repo: Callable[..., Path]) -> Path:
    """A repository with tests, and beside it a patch that is good, one that breaks them, and one more."""
    root = make_repo(FILES)
    git = ["git", "-C", str(root)]
    for name, files in SIDES.items():
        for path, text in files.items():
            (root / path).write_text(text, "utf-8")
        subprocess.run([*git, "add", "--intent-to-add", "."], check=True)
        patch = subprocess.check_output([*git, "diff"])
        (root.parent / f"{name}.diff").write_bytes(patch)
        subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "reset", "--quiet", "--hard"], check=True)
    return root


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_ends_as_the_page_says(page: Path, project: Path, identity: dict[str, str]) -> None:
    """An exit code that a comment names is the one that comes; everything else ends with 0."""
    environment = os.environ | identity
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    commands = [command for _, command in shown_commands(page)]
    assert len(commands) > 5
    wrong: list[str] = []
    for command in commands:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=project,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        print(f"$ {command}\n{done.stdout}")
        code = CODE.search(command)
        if done.returncode != (int(code[1]) if code else 0):
            wrong.append(f"{command}: exit code {done.returncode}\n{done.stdout}")
    assert wrong == []
