"""`--dry-run`: every writing command says which events it would append, touches nothing, and keeps its word."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from ledger.cli.app import cli

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "e2e"))
from shell import FIX, SECOND, Shell  # pyright: ignore[reportMissingImports] - its folder is added above

BASE = {"a.txt": b"one\ntwo\nthree\n", "b.txt": b"bee\n", "b.txt.bak": b"bee\n", "dir/c.txt": b"sea\n"}
CONFIGURED = {
    "ledger.toml": b"gates.lint.mode = 'off'\ngates.tests.mode = 'off'\ngates.cov.mode = 'off'\n"
    b"[gates.small]\ncommand = 'true'\nformat = 'exit'\n"
}
WITHOUT = {
    "archive": "appends no event; lists the segments",
    "project mlflow": "appends no event; asks the server",
    "import errors": "lists each error with what would become of it",
    "run-step": "what it appends is up to the command that it runs",
}
"""Writing commands whose dry run, if any, is another, and why."""


def snapshot(root: Path) -> dict[str, tuple[int, bytes]]:
    """Return mode and content of everything below a directory, Git's and the ledger's included."""
    found: dict[str, tuple[int, bytes]] = {}
    for path in root.rglob("*"):
        content = (
            bytes(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        )
        if "cache" not in path.parts:
            found[str(path.relative_to(root))] = path.lstat().st_mode, content
    return found


def kinds_of(shell: Shell) -> list[str]:
    rows = json.loads(shell("sql", "select kind from events order by position", "--json").out)
    return [row["kind"] for row in rows]


@pytest.fixture
def shell(make_repo: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, identity: dict[str, str]) -> Shell:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    return Shell(make_repo(BASE | CONFIGURED))


def prepared(shell: Shell, *commands: tuple[str, ...]) -> Shell:
    """Return the repository with a run of one patch, and what else a case needs."""
    for words in (("run", "start", "work", "--name", "work"), ("apply", str(shell.file(FIX))), *commands):
        assert shell(*words).code == 0, words
    return shell


GATED = (("gate",),)
CASES: dict[str, tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]] = {
    "apply": ((), ("apply", "../second.diff")),
    "apply again": ((("undo",),), ("apply", "--again", "work:3")),
    "undo": ((), ("undo",)),
    "redo": ((("undo",),), ("redo",)),
    "restore": ((), ("restore", "work:1")),
    "mv": ((), ("mv", "b.txt", "dir/b.txt")),
    "phase": ((), ("phase", "P3")),
    "error": ((), ("error", "--step", "3:build", "boom")),
    "answer": ((("error", "--step", "3:build", "boom"),), ("answer", "@", "because")),
    "retire": ((("error", "--step", "3:build", "boom"),), ("retire", "@")),
    "gate": ((), ("gate",)),
    "commit": (GATED, ("commit", "--candidate", "-m", "x")),
    "run start": ((("run", "finish"),), ("run", "start", "next")),
    "run finish": ((), ("run", "finish")),
    "run continue": ((("run", "finish"),), ("run", "continue", "work", "--candidate", "--name", "next")),
    "redact": ((), ("redact", "work:3")),
    "gc": ((("run", "finish"),), ("gc", "--keep", "0h", "--apply")),
    "import git": ((), ("import", "git", "--root", "HEAD")),
}


@pytest.mark.parametrize("name", CASES)
def test_a_dry_run_writes_nothing_and_the_real_one_appends_what_it_said(shell: Shell, name: str) -> None:
    """Ledger, index, refs and work tree stay byte for byte; then the same words append the same kinds."""
    commands, words = CASES[name]
    shell.file(SECOND, "second.diff")
    prepared(shell, *commands)
    before, count = snapshot(shell.root), len(kinds_of(shell))
    dry = shell(*words, "--dry-run", "--json")
    assert dry.code == 0, dry.err
    document = json.loads(dry.out)
    assert document["dry_run"] is True
    assert snapshot(shell.root) == before
    assert shell(*words).code == 0
    told = [event["kind"] for event in document["events"]]
    assert told
    kinds = kinds_of(shell)
    assert [kind.partition("/")[0] for kind in told] == kinds[-len(told) :]
    assert len(kinds) == count + len(told) or name == "gc"


def test_it_tells_the_fields(shell: Shell) -> None:
    """What is foretold is what the event then says, but for what only its writer can: id, time, chain."""
    prepared(shell)
    shell.file(SECOND, "second.diff")
    (told,) = json.loads(shell("apply", "--dry-run", "../second.diff", "--json").out)["events"]
    shell("apply", "../second.diff")
    shown = json.loads(shell("show", "--json").out)
    assert {name: shown[name] for name in told if name != "kind"} == {
        k: v for k, v in told.items() if k != "kind"
    }
    text = shell("undo", "-n")
    assert text.out.startswith("patch.rolled_back/1  work:5\n  base_tree  ")
    assert text.err == "dry run: 1 event would be appended, nothing was written\n"


def test_an_error_is_the_same_error(shell: Shell) -> None:
    """A patch that does not apply is refused with the same words, and it is said that nothing was recorded."""
    prepared(shell)
    before = kinds_of(shell)
    dry, real = (shell("apply", *flag, "../fix.diff", "-R", "-p", "3") for flag in (("--dry-run",), ()))
    note = "note: a dry run, on a copy: nothing was written, nothing of this is recorded\n"
    assert note in dry.err
    assert (dry.code, dry.err.replace(note, "")) == (real.code, real.err)
    assert before == kinds_of(shell)[: len(before)]


def test_in_a_linked_work_tree_and_below(shell: Shell) -> None:
    """Paths are those of the directory that the command is run in."""
    import subprocess

    subprocess.run(["git", "worktree", "add", "-q", "../linked"], cwd=shell.root, check=True)
    linked = Shell(shell.root.parent / "linked")
    before = snapshot(linked.root), snapshot(shell.root)
    below = linked("-C", "dir", "mv", "c.txt", "d.txt", "--dry-run", "--json")
    assert below.code == 0, below.err
    moved = json.loads(below.out)["events"][-1]
    assert [(file["old_path"], file["path"]) for file in moved["files"]] == [("dir/c.txt", "dir/d.txt")]
    assert (snapshot(linked.root), snapshot(shell.root)) == before


def test_every_writing_command_has_one() -> None:
    """Whoever takes an id for its event takes --dry-run; what does not is listed, with the reason."""
    lacking: list[str] = []

    def walk(command: click.Command, context: click.Context, name: str) -> None:
        if isinstance(command, click.Group):
            for each in command.list_commands(context):
                child = command.get_command(context, each)
                assert child is not None
                walk(child, click.Context(child, parent=context, info_name=each), f"{name} {each}".strip())
            return
        options = {name for param in command.params for name in param.opts}
        if "--id" in options and "--dry-run" not in options:
            lacking.append(name)

    walk(cli, click.Context(cli, info_name="ledger"), "")
    assert lacking == ["run-step"]
