"""Ctrl-C, typed in a real terminal: what was recorded by then is said, and is what the log has."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from gate_bench import strict_policy
from shell import BASE, NEW, Shell
from terminal import Terminal

from ledger.cli.interruptions import hear_interrupts

MANY = 600


def events(shell: Shell, run: str = "work") -> list[str]:
    """Return a run's events, the oldest first."""
    rows = json.loads(shell("log", run, "--json").out)
    return [row["event"] for row in reversed(rows)]


def said(terminal: Terminal) -> str:
    """Type Ctrl-C, and return the line that the command ends with; it exits with 130."""
    terminal.type("\x03")
    assert terminal.end() == 130, terminal.shown
    assert "Traceback" not in terminal.shown
    found = re.findall("interrupted; .*", terminal.shown)
    assert len(found) == 1, terminal.shown
    return found[0]


@pytest.fixture
def shell(make_repo: Callable[..., Path]) -> Shell:
    shell = Shell(make_repo(BASE))
    assert shell("run", "start", "work", "--name", "work").code == 0
    return shell


def test_a_long_series(shell: Shell) -> None:
    """Those that are in are named, the candidate is theirs, and the next command works."""
    files = [
        shell.file(
            NEW.replace("a/new b/new", f"a/new{n} b/new{n}").replace("+++ b/new", f"+++ b/new{n}"),
            f"{n}.diff",
        )
        for n in range(MANY)
    ]
    before = events(shell)
    terminal = Terminal(shell.root, ["apply", *files], {})
    terminal.wait_for("work:7")
    line = said(terminal)
    there = events(shell)
    new = there[len(before) :]
    assert 3 < len(new) < MANY
    assert line.startswith(f"interrupted; {len(new)} events were recorded, {new[0]} to {new[-1]}; ")
    tree = json.loads(shell("status", "--json").out)["candidate"]
    assert f"the candidate is tree {tree[:12]}" in line
    assert shell("verify").code == 0
    assert shell("record").code == 0
    applied = {path.name for path in shell.root.glob("new*")}
    assert len(applied) == len(new)


def test_one_in_a_finalizer_is_not_lost() -> None:
    """Python drops what is raised there; it is raised as soon as that is over."""

    class Closing:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    def close_and_wait() -> None:
        Closing()
        time.sleep(30)

    before = signal.getsignal(signal.SIGINT)
    try:
        hear_interrupts()
        with pytest.raises(KeyboardInterrupt):
            close_and_wait()
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_gate(make_repo: Callable[..., Path]) -> None:
    """A measurement that was cut off is none: nothing but what preceded it is recorded."""
    slow = {"command": "sh -c 'echo ready; sleep 60'"}
    shell = Shell(make_repo({**BASE, "ledger.toml": strict_policy(slow=slow)}))
    assert shell("run", "start", "work", "--name", "work").code == 0
    before = events(shell)
    terminal = Terminal(shell.root, ["gate"], {})
    terminal.wait_for("ready")
    assert said(terminal) == "interrupted; nothing was recorded"
    assert events(shell) == before


def test_import_and_replay(shell: Shell) -> None:
    """Commits that are in are named, and the same command goes on after them; replaying records nothing."""
    stream = "".join(
        f"commit refs/heads/long\ncommitter A <a@b> {n + 1} +0000\ndata 1\nm\n"
        + ("from refs/heads/main^0\n" if n == 0 else "")
        + f"M 644 inline file{n}\ndata 2\n{n % 10}\n\n"
        for n in range(MANY)
    )
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=shell.root, check=True, capture_output=True, text=True
    )
    stream = stream.replace("refs/heads/main^0", head.stdout.strip())
    subprocess.run(["git", "fast-import", "--quiet"], cwd=shell.root, check=True, input=stream.encode())
    words = ["import", "git", "HEAD..long", "--run", "long"]
    terminal = Terminal(shell.root, words, {})
    terminal.wait_for(f" of {MANY} commits")
    line = said(terminal)
    there = events(shell, "long")
    assert 1 < len(there) < MANY
    assert f"{len(there)} events were recorded, long:1 to {there[-1]}" in line
    assert shell(*words).code == 0
    assert len(events(shell, "long")) >= MANY
    before = shell.everything()
    terminal = Terminal(shell.root, ["replay", "--until", "long:@"], {})
    terminal.wait_for("replay:")
    assert said(terminal) == "interrupted; nothing was recorded"
    assert shell.everything() == before
