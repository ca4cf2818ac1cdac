"""`ledger bisect` as a user meets it: what it prints, its exit codes, and an interrupt."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "e2e"))
from shell import LEDGER, Shell  # pyright: ignore[reportMissingImports] - its folder is added above

CONFIGURED = (
    b"gates.lint.mode = 'off'\ngates.tests.mode = 'off'\ngates.cov.mode = 'off'\n"
    b"[gates.small]\ncommand = 'sh check.sh'\nformat = 'exit'\n"
)
CHECK = b'n=$(cat n)\necho "n is $n"\ntest -e /dev/null -a $n != wait || sleep 60\ntest $n -lt 4\n'


def set_n(old: object, new: object) -> str:
    return f"diff --git a/n b/n\n--- a/n\n+++ b/n\n@@ -1 +1 @@\n-{old}\n+{new}\n"


@pytest.fixture
def shell(make_repo, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A run whose patches set n to 1, 2, …, 6; the gate fails from 4 on."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    shell = Shell(make_repo({"ledger.toml": CONFIGURED, "check.sh": CHECK, "n": b"0\n"}))
    shell("run", "start", "port", "--name", "port")
    for number in range(1, 7):
        patch = shell.file(set_n(number - 1, number), f"{number}.diff")
        assert shell("apply", patch, LEDGER_ACTOR="agent:ann").code == 0
    return shell


def test_it_ends_with_the_event_its_patch_and_the_evidence(shell: Shell) -> None:
    """The patch of the event is the one; the second time nothing is measured."""
    done = shell("bisect", "--gate", "small", "--json")
    assert done.code == 0
    found = json.loads(done.out)
    shown = json.loads(shell("show", found["bad"]["event"], "--json").out)
    assert shown["source"].endswith("4.diff")
    assert shown["patch"] == found["bad"]["patch"]
    assert (found["found"], found["bad"]["actor"], found["bad"]["findings"]) == (True, "ann", ["n is 4"])
    assert found["measured"] != []
    assert f"{found['bad']['event']}: n is 4" in done.err
    again = shell("bisect", "--gate", "small")
    assert "0 measurements" in again.err
    last_good, first_bad = again.out.splitlines()[2:]
    assert last_good.split()[:4] == ["last", "good", found["good"]["event"], "pass"]
    assert first_bad.split()[:4] == ["first", "bad", found["bad"]["event"], "fail"]


def test_exit_codes(shell: Shell) -> None:
    """2 where an end is not what it has to be, 4 where the first failure is one of several."""
    shell("bisect", "--gate", "small", "--good", "patch:5").refuses(2, "so it is not the good end", "--good")
    shell("bisect", "--gate", "small", "--bad", "patch:2").refuses(2, "so it is not the bad end", "--bad")
    shell("bisect", "--gate", "large").refuses(2, "large")
    shell("bisect").refuses(2, "--gate")
    text = CONFIGURED.replace(b"'sh check.sh'", b"\"sh -c 'exit 127'\"")
    (shell.root / "ledger.toml").write_bytes(text)
    assert shell("policy", "accept").code == 0
    done = shell("bisect", "--gate", "small")
    assert (done.code, done.out) == (4, "")
    assert "inconclusive" in done.err


def test_a_range_is_said_plainly(shell: Shell) -> None:
    """The states that could not be told stand between the last good and the first that is known to fail."""
    text = CONFIGURED.replace(
        b"'sh check.sh'", b"\"sh -c 'case $(cat n) in 3|4) exit 127;; 5|6) exit 1;; esac'\""
    )
    (shell.root / "ledger.toml").write_bytes(text)
    assert shell("policy", "accept").code == 0
    done = shell("bisect", "--gate", "small")
    assert done.code == 4
    assert [line.split()[:2] for line in done.out.splitlines()[2:]] == [
        ["last", "good"],
        ["may", "be"],
        ["may", "be"],
        ["may", "be"],
    ]
    assert "the first failure is one of 3 states: 2 could not be told" in done.err


def test_an_interrupt_keeps_what_was_measured(shell: Shell) -> None:
    """What had ended is recorded, what ran is ended, and no work tree stays."""
    assert shell("apply", shell.file(set_n(6, "wait"), "wait.diff")).code == 0
    command = [LEDGER, "bisect", "--gate", "small"]
    process = subprocess.Popen(
        command, cwd=shell.root, env=os.environ, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    log = next((shell.root / ".git/ledger/log").iterdir())
    deadline = time.monotonic() + 60
    while b'"gate.measured/1"' not in log.read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    rows = json.loads(shell("sql", "select state_v, verdict from gates", "--json").out)
    assert rows == [{"state_v": 1, "verdict": "pass"}]
    listed = subprocess.run(["git", "worktree", "list"], cwd=shell.root, capture_output=True, check=True)
    assert listed.stdout.count(b"\n") == 1
