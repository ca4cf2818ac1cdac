"""`ledger apply --3way` on the real command line: a conflict changes nothing, or is kept and said."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from shell import Shell


def diff(shell: Shell, **edits: str) -> Path:
    """Return the patch file of edits of the base, which is in the work tree again afterwards."""
    for name, text in edits.items():
        (shell.root / f"{name}.txt").write_text(text, "utf-8")
    made = subprocess.run(["git", "diff", "--full-index"], cwd=shell.root, capture_output=True, check=True)
    subprocess.run(["git", "checkout", "--quiet", "."], cwd=shell.root, check=True)
    file = shell.root.parent / f"{len(list(shell.root.parent.iterdir()))}.diff"
    file.write_bytes(made.stdout)
    return file


@pytest.fixture
def clash(shell: Shell) -> Path:
    """A patch of two files that conflicts with the candidate in one of them."""
    theirs = diff(shell, a="one\ndeux\nthree\n", b="bee\nsea\n")
    assert shell("apply", diff(shell, a="one\nzwei\nthree\n")).code == 0
    return theirs


def test_a_conflict_is_refused_with_its_lines_and_what_helps(shell: Shell, clash: Path):
    before = (shell.root / "b.txt").read_text("utf-8")
    shell("apply", "--3way", clash).refuses(
        3,
        "error: 1 file is in conflict, and nothing was applied\n  a.txt: lines 2-6 of the merged file",
        "hint: let the markers in with `--conflicts=keep`, or decide with `--ours`, `--theirs` or `--union`",
    )
    shell("apply", "--3way", "--check", clash).refuses(3, "a.txt: lines 2-6")
    assert (shell.root / "b.txt").read_text("utf-8") == before
    done = shell("apply", "--3way", "--theirs", clash)
    assert done.code == 0, done.err
    assert (shell.root / "a.txt").read_text("utf-8") == "one\ndeux\nthree\n"


def test_a_kept_conflict_is_said_and_stops_the_gates(shell: Shell, clash: Path):
    checked = shell("apply", "--3way", "--conflicts=keep", "--check", clash)
    assert "warning: would be in conflict, with markers: a.txt: lines 2-6" in checked.err
    done = shell("apply", "--3way", "--conflicts=keep", clash)
    assert done.code == 0, done.err
    assert "warning: in conflict, with markers: a.txt: lines 2-6" in done.err
    assert "warning: no gate measures this candidate until they are resolved" in done.err
    assert "<<<<<<< ours\nzwei\n=======\ndeux\n>>>>>>> theirs\n" in (shell.root / "a.txt").read_text("utf-8")
    shell("gate").refuses(1, "unresolved conflicts\n  a.txt: line 2", "`ledger record`", "`ledger undo`")
