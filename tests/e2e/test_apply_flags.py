"""`ledger apply` with the flags of git apply, and with several patches, as one types it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from shell import FIX, MISMATCH, NEW, SECOND, Shell


def mail(patch: str, number: int) -> str:
    """Return a message as git format-patch writes it."""
    return (
        f"From {number:040d} Mon Sep 17 00:00:00 2001\nFrom: Grace <grace@example.org>\n"
        f"Date: Tue, 3 Feb 2026 04:05:06 +0100\nSubject: [PATCH {number}/3] Change number {number}\n\n"
        f"Why {number}.\n---\n{patch}-- \n2.55.0\n\n"
    )


def test_flags_are_told_and_shown(shell: Shell) -> None:
    """The event shows them as they were typed, in the order of git's manual."""
    done = shell(
        "apply",
        "-R",
        "--whitespace=fix",
        "--exclude=b.*",
        "--include=*",
        shell.file(FIX.replace("-two\n+zwei", "-zwei\n+two")),
    )
    assert done.code == 0, done.err
    assert (shell.root / "a.txt").read_bytes() == b"one\nzwei\nthree\n"
    shown = shell("show").out
    assert "--reverse --exclude=b.* --include=* --whitespace=fix" in shown
    assert "\ngiven:\n" in shown
    assert "--reverse" in shell("log").out


def test_the_first_rule_that_matches_decides(shell: Shell) -> None:
    """As in git apply: the order of --include and --exclude is that of the command line."""
    both = shell.file(FIX + SECOND)
    assert shell("apply", "--check", "--numstat", "--exclude=b*", "--include=*", both).out == "1\t1\ta.txt\n"
    assert shell("apply", "--check", "--numstat", "--include=*", "--exclude=b*", both).out.count("\n") == 2


def test_looking_writes_nothing(shell: Shell) -> None:
    """--check, --stat, --numstat and --summary leave everything as it is, and tell what would be refused."""
    before = shell.everything()
    assert shell("apply", "--numstat", "--summary", shell.file(FIX + NEW)).out == (
        "1\t1\ta.txt\n1\t0\tnew\n create mode 100644 new\n"
    )
    assert "a.txt | 2 +-" in shell("apply", "--stat", shell.file(FIX)).out
    assert shell("apply", "--check", shell.file(FIX)).code == 0
    shell("apply", "--check", shell.file(MISMATCH)).refuses(3, "a.txt", "the patch is")
    assert shell.everything() == before


def test_merging_flags_need_a_merge(shell: Shell) -> None:
    """As git apply says it."""
    shell("apply", "--ours", shell.file(FIX)).refuses(2, "--3way")


def test_a_mailbox_stops_at_the_first_bad_patch(shell: Shell) -> None:
    """Those before it stay; the message names them, and the command that goes on."""
    box = shell.file(mail(FIX, 1) + mail(SECOND.replace("-bee", "-bzz"), 2) + mail(NEW, 3), "s.mbox")
    done = shell("apply", box)
    assert done.code == 3
    (first,) = done.out.split()
    assert first in done.err
    assert "(2 of 3)" in done.err
    assert "--from 2" in done.err
    assert "--from 3" in done.err
    event = json.loads(shell("show", first, "--json").out)
    assert (event["author"], event["date"]) == ("Grace <grace@example.org>", "Tue, 3 Feb 2026 04:05:06 +0100")
    assert event["message_text"].splitlines() == ["Change number 1", "", "Why 1."]
    assert shell("apply", "--from", "3", box).code == 0
    assert (shell.root / "new").exists()


def test_an_atomic_series_is_all_or_nothing(shell: Shell) -> None:
    """Of files as of a mailbox."""
    before = shell.everything()
    bad = mail(FIX, 1) + mail(NEW, 2) + mail(SECOND.replace("-bee", "-bzz"), 3)
    shell("apply", "--atomic", shell.file(bad, "s.mbox")).refuses(3, "b.txt")
    assert {
        name for name in shell.everything().keys() - before.keys() if not name.startswith(".git")
    } == set()
    done = shell(
        "apply", "--atomic", "-q", shell.file(FIX, "1"), shell.file(NEW, "2"), shell.file(SECOND, "3")
    )
    assert len(done.out.split()) == 3
    assert done.err == ""
    assert shell("verify").code == 0


def test_a_quilt_series_is_recognised(shell: Shell) -> None:
    """The files that it lists are applied in turn, with the stripping that it says."""
    directory = shell.root.parent / "debian"
    directory.mkdir()
    directory.joinpath("series").write_text("# first\none.diff\nthird.diff -p0\n", "utf-8")
    directory.joinpath("one.diff").write_text(FIX, "utf-8")
    directory.joinpath("third.diff").write_text("--- /dev/null\n+++ third\n@@ -0,0 +1 @@\n+x\n", "utf-8")
    done = shell("apply", directory / "series")
    assert done.code == 0, done.err
    assert len(done.out.split()) == 2
    assert (shell.root / "third").read_bytes() == b"x\n"
    assert "third.diff" in shell("log").out


def test_an_envelope_is_read(shell: Shell) -> None:
    """What was done to read it is said, and shown."""
    text = "*** Begin Patch\n*** Update File: a.txt\n@@\n one\n-two\n+zwei\n*** End Patch\n"
    done = shell("apply", "-", data=text.encode())
    assert done.code == 0, done.err
    assert "normalised: codex envelope" in done.err
    assert "codex envelope" in shell("log").out
