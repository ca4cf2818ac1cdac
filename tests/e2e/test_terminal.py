"""What a person sees in a terminal: pages only where the screen is too small. Each test has a real one."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping

import pytest
from shell import FIX, LEDGER, Shell
from terminal import Terminal

TALL = (200, 100)
AGO = re.compile(r"[0-9]+ (second|minute)s? ago|\bnow\b")
RFC_3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,15}Z")
OURS = {"LEDGER_PAGER": "PAGER"}
LONG = {"a.txt": b"one\ntwo\nthree\n", "long.txt": b"".join(b"line %d\n" % n for n in range(60))}


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory, sealed_commands: dict[str, str]) -> Shell:
    """A repository with a long file, a run of one patch, and a question; the tests only read it."""
    root = tmp_path_factory.mktemp("terminal") / "repo"
    root.mkdir()
    shell = Shell(root)
    for path, content in LONG.items():
        (root / path).write_bytes(content)
    patch = shell.file(FIX)
    for words in (
        ("git", "init", "-q"),
        ("git", "add", "."),
        ("git", "commit", "-qm", "base"),
        (LEDGER, "run", "start", "work", "--name", "work"),
        (LEDGER, "apply", patch),
        (LEDGER, "error", "--step", "3:build", "it broke"),
    ):
        subprocess.run(words, cwd=root, check=True, env=sealed_commands)
    return shell


def paged(
    shell: Shell, *words: str, size: tuple[int, int] = (24, 100), env: Mapping[str, str] = OURS
) -> tuple[str, str]:
    """Run a command in a terminal, and return what was shown, and what the pager was given."""
    given = shell.root.parent / "given"
    given.unlink(missing_ok=True)
    named = {name: value.replace("PAGER", f"cat >{given}") for name, value in env.items()}
    terminal = Terminal(shell.root, words, named, size)
    assert terminal.end() == 0, terminal.shown
    return terminal.shown, given.read_text() if given.exists() else ""


@pytest.mark.parametrize(
    "words",
    [("cat", "long.txt"), ("blame", "long.txt"), ("schema",), ("sql", "from range(99)")],
    ids=" ".join,
)
def test_the_pager_has_what_a_pipe_has(shell: Shell, words: tuple[str, ...]) -> None:
    """What is longer than the screen goes through the pager, and nothing of it is shown past it."""
    shown, given = paged(shell, *words, size=(6, 300))
    piped = shell(*words).out
    assert given == piped
    assert piped not in shown


def test_what_fits_is_printed(shell: Shell) -> None:
    shown, given = paged(shell, "cat", "long.txt", size=TALL)
    assert (shown.encode(), given) == (LONG["long.txt"], "")


def test_a_line_that_wraps_counts_as_those_it_fills(shell: Shell) -> None:
    """60 lines of up to 7 letters fit 100 lines; in 4 columns they fill twice as many."""
    assert not paged(shell, "cat", "long.txt", size=(100, 80))[1]
    assert paged(shell, "cat", "long.txt", size=(100, 4))[1]


@pytest.mark.parametrize(
    "words", [("cat", "long.txt", "--no-pager"), ("--no-pager", "cat", "long.txt")], ids=["after", "before"]
)
def test_no_pager(shell: Shell, words: tuple[str, ...]) -> None:
    shown, given = paged(shell, *words)
    assert (shown.encode(), given) == (LONG["long.txt"], "")


@pytest.mark.parametrize(
    ("env", "is_paged"),
    [
        ({"LEDGER_PAGER": "PAGER", "GIT_PAGER": "false", "PAGER": "false"}, True),
        ({"LEDGER_PAGER": "", "GIT_PAGER": "PAGER"}, False),
        ({"GIT_PAGER": "PAGER", "PAGER": "false"}, True),
        ({"GIT_PAGER": "cat", "PAGER": "PAGER"}, False),
        ({"PAGER": "PAGER"}, True),
        ({"PAGER": "no-such-pager-there"}, False),
    ],
    ids=str,
)
def test_which_pager(shell: Shell, env: dict[str, str], is_paged: bool) -> None:
    """Ledger's own, then Git's in Git's order; empty or `cat` is none, and one that is not there no error."""
    shown, given = paged(shell, "cat", "long.txt", env=env)
    text = LONG["long.txt"].decode()
    assert given == (text if is_paged else "")
    assert shown.endswith(text) is not is_paged


def test_core_pager(shell: Shell) -> None:
    """Git's configuration counts as for `git log`."""
    configured = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.pager", "GIT_CONFIG_VALUE_0": "PAGER"}
    assert (
        paged(shell, "cat", "long.txt", env={"PAGER": "false", **configured})[1].encode() == LONG["long.txt"]
    )


def test_a_pager_that_is_left_early(shell: Shell) -> None:
    """`q` in less is no error; the lines that were not asked for are not shown."""
    terminal = Terminal(shell.root, ["cat", "long.txt"], {"PAGER": "less"})
    terminal.wait_for("line 20")
    terminal.type("q")
    assert terminal.end() == 0
    assert "line 59" not in terminal.shown


@pytest.mark.parametrize(("words", "is_paged"), [((), True), (("--no-pager",), False)], ids=["", "none"])
def test_a_diff_is_paged_by_git_with_the_same_pager(
    shell: Shell, words: tuple[str, ...], is_paged: bool
) -> None:
    shown, given = paged(shell, "diff", "work:1", *words, env=OURS | {"GIT_PAGER": "false"})
    assert ("zwei" in given, "zwei" in shown) == (is_paged, not is_paged)


def test_a_pipe_is_never_paged(shell: Shell) -> None:
    assert shell("schema", "--json", LEDGER_PAGER="false", LINES="3").out.startswith("[")


@pytest.mark.parametrize("words", [("log",), ("run", "list"), ("questions",), ("show",)], ids=" ".join)
def test_a_person_reads_how_long_ago_and_a_program_when(shell: Shell, words: tuple[str, ...]) -> None:
    """On a terminal "5 seconds ago"; in a pipe, and as JSON even there, RFC 3339 in UTC."""
    shown, _ = paged(shell, *words, "--no-pager")
    assert AGO.search(shown), shown
    piped = shell(*words).out
    assert RFC_3339.search(piped)
    assert not AGO.search(piped)
    as_data, _ = paged(shell, *words, "--json", "--no-pager")
    assert RFC_3339.search(as_data)
    assert not AGO.search(as_data)
