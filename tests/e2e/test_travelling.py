"""Going back and forth on the command line: what is said, where it is said, and what was asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from shell import FIX, SECOND, Shell


def applied(shell: Shell) -> list[str]:
    """Apply two patches and return their events."""
    return [shell("apply", "-", data=patch.encode()).out.strip() for patch in (FIX, SECOND)]


def text(shell: Shell, path: str = "a.txt") -> str:
    return (shell.root / path).read_text("utf-8")


def test_undo_and_redo_say_the_command_that_takes_them_back(shell: Shell) -> None:
    """The event on stdout, the rest on stderr; what is said to lead back does."""
    first, second = applied(shell)
    undone = shell("undo")
    assert undone.code == 0
    assert undone.out.strip() == f"{first.rpartition(':')[0]}:5"
    assert "modify b.txt" in undone.err
    assert "back: `ledger redo`" in undone.err
    assert "zwei" in text(shell)
    assert "zwei" not in text(shell, "b.txt")
    redone = shell("redo")
    assert "back: `ledger undo`" in redone.err
    assert "zwei" in text(shell, "b.txt")
    assert "back: `ledger redo 2`" in shell("undo", "2").err
    assert "back: `ledger undo 2`" in shell("redo", "2").err
    assert "back: `ledger redo 2`" in shell("undo", first).err
    shell("undo").refuses(3, "1 to undo, and nothing was changed since the run's base", "`ledger log`")
    shell("redo", "3").refuses(3, "3 to redo, and only 2 can be", "`ledger apply --again EVENT`")
    shell("undo", second).refuses(
        3, f"{second}: it changed no file, was undone already", "`ledger restore EVENT`"
    )
    shell("undo", "0").refuses(3, "0: ")
    shell("redo", "0").refuses(2, "Usage")


def test_restore_lists_what_is_in_the_way(shell: Shell) -> None:
    """All of it, exit code 7, nothing is touched; then it goes, and says how to come back."""
    first, second = applied(shell)
    (shell.root / "a.txt").write_text("mine\n", "utf-8")
    (shell.root / "b.txt").write_text("mine too\n", "utf-8")
    shell("restore", f"{first.rpartition(':')[0]}:1").refuses(7, "a.txt", "b.txt")
    assert (text(shell), text(shell, "b.txt")) == ("mine\n", "mine too\n")
    (shell.root / "b.txt").write_text("zwei\n", "utf-8")
    restored = shell("restore", first, "b.txt", "-m", "not that one")
    assert restored.code == 0
    assert "back: `ledger undo`" in restored.err
    assert text(shell, "b.txt") == "bee\n"
    assert "not that one" in shell("show", restored.out.strip()).out
    again = shell("restore", first, "b.txt")
    assert (again.code, again.out) == (0, restored.out)
    assert "restore: nothing to do" in again.err
    assert "restore: " in shell("log").out
    shell("restore", second, "nowhere.txt").refuses(3, "nowhere.txt")
    shell("restore", "nothing:1").refuses(3, "nothing:1")


def test_paths_are_those_of_the_directory(shell: Shell) -> None:
    """As everywhere on the command line."""
    patch = FIX.replace("a.txt", "dir/c.txt").replace(" one\n-two\n+zwei\n three\n", "-sea\n+See\n")
    event = shell("apply", "-", data=patch.replace("-1,3 +1,3", "-1 +1").encode()).out.strip()
    assert shell("-C", "dir", "restore", f"{event.rpartition(':')[0]}:1", "c.txt").code == 0
    assert text(shell, "dir/c.txt") == "sea\n"


def test_a_branch(shell: Shell, git: Callable[..., str], identity: dict[str, str]) -> None:
    """Its commit on stdout, for `git` to take; refusals leave it as it was."""
    assert identity
    applied(shell)
    made = shell("branch", "port")
    assert made.code == 0
    assert made.out.strip() == git("rev-parse", "port", cwd=shell.root)
    assert "branch port: 2 commits on the base" in made.err
    shell("branch", "port").refuses(7, "branch port exists", "`ledger branch --force port EVENT`")
    squashed = shell("branch", "--force", "--squash", "port")
    assert "branch port: 1 commit on the base" in squashed.err
    assert git("rev-parse", "port^{tree}", cwd=shell.root) == git(
        "rev-parse", f"{made.out.strip()}^{{tree}}", cwd=shell.root
    )
    shell("branch", "a..b").refuses(2, "no name of a branch", "`git help check-ref-format`")
    shell("branch", "--force", git("branch", "--show-current", cwd=shell.root)).refuses(7, "is checked out")
