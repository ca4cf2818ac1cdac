"""The real tools, run in a small tree, and their reports."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from ledger.gates.reports import parse_report
from ledger.measurements import Report

TOOLS = Path(sys.executable).parent


class Ran(NamedTuple):
    """What a tool left: its exit code, standard output, all output, and the report as bytes."""

    exit_code: int
    stdout: bytes
    output: bytes
    data: bytes | None


class Bench:
    """A tree, and the tools that measure it."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self.scratch = tree.parent / "scratch"
        self.last = Ran(0, b"", b"", None)
        for directory in (self.tree, self.scratch):
            directory.mkdir()

    def write(self, files: dict[str, str]) -> Bench:
        for name, text in files.items():
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            (self.tree / name).write_text(text, encoding="utf-8")
        return self

    def run(self, *command: str, report: str = "-", env: dict[str, str] | None = None) -> Ran:
        """Run a tool of the environment that runs the tests; ``{scratch}`` is a directory outside the tree."""
        left = self.scratch / report
        left.unlink(missing_ok=True)
        arguments = [word.replace("{scratch}", str(self.scratch)) for word in command[1:]]
        done = subprocess.run(
            [TOOLS / command[0], *arguments],
            cwd=self.tree,
            env={**os.environ, "MYPY_CACHE_DIR": str(self.scratch / "mypy"), "RUFF_NO_CACHE": "true"}
            | (env or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=120,
        )
        data = done.stdout if report == "-" else left.read_bytes() if left.exists() else None
        self.last = Ran(done.returncode, done.stdout, done.stdout + done.stderr, data)
        return self.last

    def measure(
        self,
        format: str,  # noqa: A002
        *command: str,
        report: str = "-",
        env: dict[str, str] | None = None,
        heard: bool = False,
    ) -> Report:
        """Run a tool and read its report; where ``heard``, with what it printed for people too."""
        ran = self.run(*command, report=report, env=env)
        output = ran.output if heard else b""
        result = parse_report(format, ran.data, exit_code=ran.exit_code, root=self.tree, output=output)
        assert msgspec.json.decode(msgspec.json.encode(result), type=Report) == result
        return result


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An empty tree with the real tools."""
    return Bench(tmp_path / "tree")


Green = Callable[[Report, str], bool]


@pytest.fixture
def green() -> Green:
    """The plainest judge: nothing in the way, something examined, and the metric at 0."""

    def judge(report: Report, metric: str) -> bool:
        return not report.problems and report.examined > 0 and report.metrics.get(metric) == 0

    return judge
