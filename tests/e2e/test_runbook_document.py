"""The runbook, typed in from its first command to its last: each ends as the page says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from check_docs import shown_commands

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = ROOT / "docs/ops/RUNBOOK.md"
CODE = re.compile(r"#.*\bexit code (\d+)")
APP = b'"""What it is about."""\n\n\ndef mean(total: float, count: int) -> float:\n    """Return the mean."""\n    return total / count\n'
FILES = {
    ".gitignore": b".coverage\n__pycache__/\n.pytest_cache/\n.ruff_cache/\n",
    "Makefile": (
        b"wheel:\n\t@echo 'no wheel here' >&2; exit 1\n\n"
        b"lint:\n\t@ruff check src tests\n\ntest:\n\t@pytest -q\n\n"
        b"runbook:\n\t@python tools/runbook.py .\n\n.PHONY: wheel lint test runbook\n"
    ),
    "NOTES.md": b"Notes.\n",
    "pyproject.toml": b"[tool.pytest.ini_options]\npythonpath = ['src']\n\n[tool.pyright]\nextraPaths = ['src']\n",
    "src/app.py": APP,
    "src/app.py.bak": APP.replace(b"What", b"That"),
    "src/app_new.py": b'"""Nothing yet."""\n',
    "tests/test_app.py": b"from app import mean\n\n\ndef test_mean() -> None:\n    assert mean(6, 3) == 2\n",
}


@pytest.fixture
def project(make_repo: Callable[..., Path], tmp_path: Path) -> Path:
    """A repository with this checkout's tools and questions in it, a remote, and patches beside it."""
    root = make_repo(FILES)
    git(root, "clone", "--quiet", "--bare", root, tmp_path / "remote.git")
    git(root, "remote", "add", "origin", tmp_path / "remote.git")
    for name in ("tools", "queries"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "noxfile.py", root)
    (root / ".git/info/exclude").write_text("/tools/\n/queries/\n/noxfile.py\n/SHA256SUMS\n", "utf-8")
    more = b"--- /dev/null\n+++ b/src/more.py\n@@ -0,0 +1 @@\n" + b'+"""More."""\n'
    (root.parent / "more.diff").write_bytes(more)
    (root.parent / "errors.ndjson").write_text(
        '{"step": "3:build", "err": "no space left", "ctx": "wheel"}\n', "utf-8"
    )
    return root


def git(root: Path, *words: str | Path) -> None:
    subprocess.run(["git", *words], cwd=root, check=True)


def test_every_command_ends_as_the_page_says(project: Path, identity: dict[str, str]) -> None:
    environment = os.environ | identity
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    wrong: list[str] = []

    def type_in(command: str, allowed: Collection[int]) -> None:
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
        if done.returncode not in allowed:
            wrong.append(f"{command}: exit code {done.returncode}\n{done.stdout}")

    checklist = RUNBOOK.read_text("utf-8").partition("\n## Checklist\n")[2]
    listed = re.findall(r"`(ledger [a-z -]+)`", checklist)
    assert len(listed) >= 9
    listed.remove("ledger run finish")
    for _, command in shown_commands(RUNBOOK):
        if command == "ledger run finish":
            for each in listed:
                type_in(each, [0])
        type_in(command, [int(found[1]) if (found := CODE.search(command)) else 0])
    assert not wrong, "\n".join(wrong)
