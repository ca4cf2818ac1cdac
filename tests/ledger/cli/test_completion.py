"""Completion in the shells themselves: the script that `ledger completion` prints, sourced, and a Tab."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "e2e"))
from shell import LEDGER, Shell  # pyright: ignore[reportMissingImports] - its folder is added above


@pytest.fixture
def shell(make_repo, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setenv("PATH", f"{Path(LEDGER).parent}{os.pathsep}{os.environ['PATH']}")
    shell = Shell(make_repo({"a.txt": b"one\n"}))
    assert shell("run", "start", "work", "--name", "work").code == 0
    return shell


def in_bash(shell: Shell, *words: str) -> list[str]:
    """Return what bash offers after these words; the last is what was typed of the next one."""
    script = (
        'eval "$(ledger completion bash)"; '
        f"COMP_WORDS=({shlex.join(('ledger', *words))}); COMP_CWORD={len(words)}; "
        '_ledger_completion ledger; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", script], cwd=shell.root, capture_output=True, check=True, text=True)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("ap",), ["apply"]),
        (("show", "work:"), ["work:1", "work:2"]),
        (("log", "wo"), ["work"]),
        (("gate", "l"), ["lint"]),
        (("bisect", "--gate", "te"), ["tests"]),
        (("phase", "P"), ["P1", "P2", "P3", "P4", "P5", "P6"]),
        (("policy", "di"), ["diff"]),
        (("apply", "--thei"), ["--theirs"]),
    ],
    ids=str,
)
def test_bash_completes(shell: Shell, words: tuple[str, ...], offered: list[str]) -> None:
    """Commands, options, events, runs, gates, phases."""
    assert sorted(in_bash(shell, *words)) == offered


def test_where_there_is_no_ledger_nothing_is_offered(tmp_path: Path) -> None:
    """And nothing is said: a message would stand in the middle of the line that is being typed."""
    done = subprocess.run(
        [LEDGER],
        cwd=tmp_path,
        env=os.environ
        | {"_LEDGER_COMPLETE": "bash_complete", "COMP_WORDS": "ledger gate ", "COMP_CWORD": "2"},
        capture_output=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == (b"\n", b"")


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(shell: Shell, name: str) -> None:
    """It asks the command itself, in the form that the shell reads."""
    assert f"_LEDGER_COMPLETE={name}_complete" in shell("completion", name).out
