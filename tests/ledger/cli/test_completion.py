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


CASES = [
    (("ap",), ["apply"]),
    (("show", "work:"), ["work:1", "work:2"]),
    (("log", "wo"), ["work"]),
    (("gate", "l"), ["lint"]),
    (("bisect", "--gate", "te"), ["tests"]),
    (("phase", "P"), ["P1", "P2", "P3", "P4", "P5", "P6"]),
    (("policy", "di"), ["diff"]),
    (("apply", "--thei"), ["--theirs"]),
]

# A zsh on a terminal of its own, in which Tab is typed; what it shows is read until it is what is waited for.
IN_ZSH = r"""
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PROMPT=; autoload -Uz compinit; compinit -u; eval "$(ledger completion zsh)"; echo REA''DY'
zpty -r shell shown '*READY*'
zpty -w -n shell "$1"$'\t'
zpty -r shell shown "*$2*" && print found
zpty -d shell
"""


@pytest.mark.parametrize(("words", "offered"), CASES, ids=str)
def test_bash_completes(shell: Shell, words: tuple[str, ...], offered: list[str]) -> None:
    """Commands, options, events, runs, gates, phases."""
    assert sorted(in_bash(shell, *words)) == offered


@pytest.mark.needs("fish")
@pytest.mark.parametrize(("words", "offered"), CASES, ids=str)
def test_fish_completes(shell: Shell, words: tuple[str, ...], offered: list[str]) -> None:
    """The same, each with what it is."""
    script = "ledger completion fish | source; complete -C $argv[1]"
    typed = " ".join(("ledger", *words))
    command = ["fish", "--no-config", "-c", script, typed]
    done = subprocess.run(command, cwd=shell.root, capture_output=True, check=True, text=True)
    lines = [line.partition("\t") for line in done.stdout.splitlines()]
    assert sorted(name for name, _, _ in lines) == offered
    assert all(said for _, _, said in lines) or words[0] == "log"


@pytest.mark.needs("zsh")
@pytest.mark.parametrize(("words", "offered"), [CASES[0], CASES[1], CASES[3], CASES[7]], ids=str)
def test_zsh_completes(shell: Shell, words: tuple[str, ...], offered: list[str]) -> None:
    """What can be meant only is put into the line; else all of it is shown below, the newest first."""
    typed = " ".join(("ledger", *words))
    shown = (
        f"{' '.join(('ledger', *words[:-1]))} {offered[0]}" if len(offered) == 1 else "*".join(offered[::-1])
    )
    done = subprocess.run(
        ["zsh", "-f", "-c", IN_ZSH, "zsh", typed, shown],
        cwd=shell.root,
        capture_output=True,
        check=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.strip() == "found"


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
