"""`ledger replay` and `ledger state` as a user meets them: from an event, and under another policy."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "e2e"))
from shell import LEDGER, Shell  # pyright: ignore[reportMissingImports] - its folder is added above

CONFIGURED = (
    b"gates.lint.mode = 'off'\ngates.tests.mode = 'off'\ngates.cov.mode = 'off'\n"
    b"[gates.small]\ncommand = 'sh check.sh'\nformat = 'exit'\n"
)
CHECK = b"exit $(cat bad)\n"


def set_bad(old: int, new: int) -> str:
    return f"diff --git a/bad b/bad\n--- a/bad\n+++ b/bad\n@@ -1 +1 @@\n-{old}\n+{new}\n"


@pytest.fixture
def shell(make_repo, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A run of four patches: 1 and 0 measured, 2 taken back, 3 not measured; its events are 1 to 10."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    shell = Shell(make_repo({"ledger.toml": CONFIGURED, "check.sh": CHECK, "bad": b"5\n"}))
    for words in (
        ("run", "start", "port", "--name", "port"),
        ("apply", shell.file(set_bad(5, 1))),
        ("gate",),
        ("apply", shell.file(set_bad(1, 0), "0.diff")),
        ("gate",),
        ("apply", shell.file(set_bad(0, 2), "2.diff")),
        ("undo",),
        ("apply", shell.file(set_bad(0, 3), "3.diff")),
    ):
        assert shell(*words).code == 0, words
    return shell


def events_of(shell: Shell, kind: str) -> list[str]:
    rows = json.loads(shell("log", "--json").out)
    return [row["event"] for row in reversed(rows) if row["kind"] == kind]


# ── replay from an event ─────────────────────────────────────────────────────────────────────────


def test_replay_begins_at_an_event(shell: Shell) -> None:
    """Its tree is taken as recorded; what follows is the same as from the base, and is written out the same."""
    whole = json.loads(shell("replay", "--json", "--into", "../whole").out)
    done = shell("replay", "--from", "patch:2", "--json", "--into", "../part")
    part = json.loads(done.out)
    assert part[0] == {**whole[2], "proved": False}
    assert part[1:] == whole[3:]
    assert f"began at {part[0]['event']}, whose tree {part[0]['tree'][:12]} is taken as recorded" in done.err
    assert f"{len(part) - 1} trees identical" in done.err
    for name in ("bad", "check.sh", "ledger.toml"):
        assert (shell.root.parent / "part" / name).read_bytes() == (
            shell.root.parent / "whole" / name
        ).read_bytes()


def test_a_rollback_to_before_the_beginning_is_not_proved(shell: Shell) -> None:
    """The tree that it goes back to is the recorded one: no patch of this replay leads to it."""
    third = events_of(shell, "patch.applied")[2]
    done = shell("replay", "--from", third, "--json")
    (back,) = [row for row in json.loads(done.out) if row["kind"] == "patch.rolled_back"]
    assert back["proved"] is False
    assert f"before the beginning: {back['event']}" in done.err


def test_replay_at_its_own_beginning(shell: Shell) -> None:
    """There is nothing to replay, and there is the tree."""
    done = shell("replay", "--from", "@", "--json", "--into", "../now")
    assert len(json.loads(done.out)) == 1
    assert "0 trees identical" in done.err
    assert (shell.root.parent / "now" / "bad").read_bytes() == b"3\n"


def test_a_beginning_after_the_end_is_refused(shell: Shell) -> None:
    shell("replay", "--from", "@", "--until", "patch:1").refuses(3, "comes after")
    shell("replay", "--from", "999").refuses(3, "has the versions 1 to")


def test_a_beginning_whose_objects_are_gone(shell: Shell) -> None:
    """From the base it can be replayed: the tree that was recorded is not needed."""
    tree = json.loads(shell("replay", "--json").out)[1]["tree"]
    (shell.root / ".git/objects" / tree[:2] / tree[2:]).unlink()
    shell("replay", "--from", "patch:1").refuses(8, tree)
    assert shell("replay").code == 0


def test_a_terminal_sees_how_far_it_is(shell: Shell) -> None:
    """On standard error alone; nothing of it goes elsewhere, and the line is taken away."""
    assert "\x1b" not in shell("replay").err
    master, slave = pty.openpty()
    done = subprocess.run(
        [LEDGER, "replay"], cwd=shell.root, stdout=subprocess.PIPE, stderr=slave, check=True
    )
    os.close(slave)
    said = os.read(master, 1 << 16).decode()
    os.close(master)
    last = shell("log", "-n", "1", "--json").out
    assert f"replay: port:1 of {json.loads(last)[0]['event'].partition(':')[2]}" in said
    assert said.rpartition("\x1b[2K")[2].strip().endswith("trees identical to the recorded ones")
    assert b"\x1b" not in done.stdout


# ── another policy ───────────────────────────────────────────────────────────────────────────────


def other(shell: Shell, text: str) -> Path:
    return shell.file(CONFIGURED.decode() + text, "other.toml")


def test_state_under_a_stricter_policy(shell: Shell) -> None:
    """In fact nothing was accepted, dev being soft; strict gates would have accepted what passes."""
    first, second = events_of(shell, "patch.applied")[:2]
    last = events_of(shell, "patch.applied")[-1]
    strict = other(shell, "mode = 'strict'\n")
    done = shell("state", "--policy", strict, "--json")
    assert done.out == shell("state", "--candidate", "--at", second, "--json").out
    assert f"it accepts {second}" in done.err
    assert "accepted in fact port:1" in done.err
    assert f"the candidate, {last}: small: not measured" in done.err
    before = shell("state", "--policy", strict, "--at", f"port:{int(second.partition(':')[2]) - 1}")
    assert "it accepts port:1," in before.err
    assert f"the candidate, {first}: small: fail: failed 1 is above 0" in before.err


def test_a_threshold_and_a_command(shell: Shell) -> None:
    """One failure more is judged from the facts, another command is inconclusive."""
    first, second = events_of(shell, "patch.applied")[:2]
    lenient = other(shell, "mode = 'strict'\nthreshold = 1\n")
    rows = json.loads(shell("replay", "--policy", lenient, "--json").out)
    small = [row for row in rows if row["gate"] == "small"]
    assert [(r["event"], r["then"], r["under"], r["accepts"]) for r in small] == [
        (first, "fail", "pass", True),
        (second, "pass", "pass", True),
    ]
    text = CONFIGURED.decode().replace("sh check.sh", "sh -e check.sh") + "mode = 'strict'\n"
    done = shell("replay", "--policy", shell.file(text, "command.toml"), "--json")
    small = [row for row in json.loads(done.out) if row["gate"] == "small"]
    assert {row["under"] for row in small} == {"inconclusive"}
    assert "`sh check.sh`, the policy asks for `sh -e check.sh`" in small[0]["why"]
    assert "trees identical" in done.err


def test_the_profile_of_the_run(shell: Shell) -> None:
    """Without a file, another profile of what the run has recorded; a file that names none goes by `dev`."""
    second = events_of(shell, "patch.applied")[1]
    assert f"it accepts {second}" in shell("state", "--profile", "release").err
    done = shell("state", "--policy", other(shell, ""))
    assert "no gate is strict there" in done.err
    shell("state", "--profile", "nightly").refuses(2, "nightly")
    shell("state", "--profile", "dev", "--candidate").refuses(2, "--candidate")
    shell("state", "--policy", "nowhere.toml").refuses(8, "nowhere.toml")
    shell("state", "--policy", other(shell, "treshold = 1\n")).refuses(2, "other.toml", "treshold")


def test_nothing_is_written(shell: Shell) -> None:
    """To ask needs no lock and leaves no trace."""
    strict = other(shell, "mode = 'strict'\n")
    before = shell.everything()
    for words in (("state", "--policy", strict), ("replay", "--policy", strict), ("replay", "--from", "2")):
        assert shell(*words).code == 0
    assert shell.everything() == before
    shutil.rmtree(shell.root / ".git/ledger/cache")
    assert shell("state", "--policy", strict).code == 0
