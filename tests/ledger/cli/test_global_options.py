"""Global options: before a command or after it, the same; JSON names its schema, colour says nothing alone."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "e2e"))
from shell import BASE, FIX, SECOND, Shell  # pyright: ignore[reportMissingImports] - its folder is added above

READING = [
    ("status",),
    ("log",),
    ("show",),
    ("state",),
    ("replay",),
    ("verify",),
    ("tickets",),
    ("questions",),
    ("run", "list"),
    ("policy", "show"),
    ("policy", "diff"),
    ("schema",),
    ("query",),
    ("blame", "b.txt"),
    ("tokens",),
    ("path",),
    ("agent-help",),
    ("cat", "b.txt"),
    ("diff",),
    ("id",),
]


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory, sealed_commands: dict[str, str]) -> Shell:
    """A repository with a run of one patch; the tests only read it."""
    import subprocess

    root = tmp_path_factory.mktemp("shell") / "repo"
    root.mkdir()
    for path, content in BASE.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(content)
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "base")):
        subprocess.run(["git", *words], cwd=root, check=True, env=sealed_commands)
    shell = Shell(root)
    assert shell("run", "start", "work", "--name", "work", **sealed_commands).code == 0
    assert shell("apply", shell.file(SECOND)).code == 0
    return shell


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_json_names_its_schema(shell: Shell, words: tuple[str, ...]) -> None:
    """Wherever --json stands: the same document; each object's first name is its schema, with a version."""
    after = shell(*words, "--json")
    assert after.code == 0, after.err
    document = json.loads(after.out)
    if words != ("id",):
        assert shell("--json", *words).out == after.out
    schema = f"ledger.{'.'.join(word for word in words if word != 'b.txt')}/1"
    for each in document if isinstance(document, list) else [document]:
        assert next(iter(each.items())) == ("schema", schema)


def test_what_is_asked_in_sql_has_the_names_that_were_asked_for(shell: Shell) -> None:
    assert json.loads(shell("sql", "select 1 as one", "--json").out) == [{"one": 1}]


def test_a_writing_command_in_json(make_repo: Callable[..., Path]) -> None:
    """One document on stdout with the events in the log; talk stays on stderr."""
    shell = Shell(make_repo(BASE))
    done = shell("apply", shell.file(FIX), "--json")
    document = json.loads(done.out)
    assert document["output"].strip() == document["events"][-1]["event"]
    assert [event["kind"] for event in document["events"]] == [
        "run.started/1",
        "policy.set/1",
        "patch.applied/1",
    ]
    shown = json.loads(shell("show", "--json").out)
    assert shown["id"] == document["events"][-1]["id"]


@pytest.mark.parametrize(
    ("words", "name", "code"),
    [
        (("show", "nobody"), "UnknownReference", 3),
        (("apply", "../nothing.diff"), "FileNotFoundError", 8),
        (("log", "--bogus"), "NoSuchOption", 2),
        (("lgo",), "UsageError", 2),
        (("state", "--format", "csv", "--at", "x:1"), "UnknownReference", 3),
    ],
    ids=str,
)
def test_an_error_in_json(shell: Shell, words: tuple[str, ...], name: str, code: int) -> None:
    """One object is the last line of stderr; stdout is empty, and the exit code the same."""
    done = shell(*words, "--json")
    assert (done.code, done.out) == (code, "")
    said = json.loads(done.err.splitlines()[-1])
    assert list(said) == ["schema", "error", "message", "notes", "hint", "exit_code", "meaning"]
    assert (said["schema"], said["error"], said["exit_code"]) == ("ledger.error/1", name, code)


def test_formats(shell: Shell) -> None:
    """Ndjson is jsonl; what is no table is not printed as one."""
    assert shell("log", "--format", "ndjson").out == shell("--format", "jsonl", "log").out
    refused = shell("cat", "b.txt", "--format", "csv")
    assert (refused.code, refused.out) == (2, "")
    assert "prints no table" in refused.err


def test_directory_and_moment_in_any_place(shell: Shell) -> None:
    """-C and --at, before and after; a command's own option of that name goes first."""
    elsewhere = Shell(shell.root.parent)
    assert elsewhere("-C", "repo", "log").out == elsewhere("log", "-C", "repo").out == shell("log").out
    assert (
        shell("--at", "work:1", "status").out == shell("status", "--at", "work:1").out != shell("status").out
    )
    assert "--at reads the past" in shell("phase", "P3", "--at", "work:1").err
    assert shell("apply", "-C", "1", "--check", "../fix.diff").code == 0


@pytest.mark.parametrize(
    ("words", "environment", "colored"),
    [
        ((), {}, False),
        (("--color", "always"), {}, True),
        ((), {"FORCE_COLOR": "1"}, True),
        (("--color", "never"), {"FORCE_COLOR": "1"}, False),
        ((), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (("--color", "always"), {"NO_COLOR": "1"}, True),
        ((), {"FORCE_COLOR": "1", "TERM": "dumb"}, True),
    ],
    ids=str,
)
def test_color(shell: Shell, words: tuple[str, ...], environment: dict[str, str], colored: bool) -> None:
    """The option, then NO_COLOR, then FORCE_COLOR, then whether it is a terminal; the words stay the same."""
    done = shell(*words, "show", "nobody", **{"NO_COLOR": "", "TERM": "xterm", **environment})
    assert ("\x1b[" in done.err) is colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", done.err).startswith("error: nobody: ")


def test_quiet_and_verbose(make_repo: Callable[..., Path]) -> None:
    """-q leaves data, warnings and errors; -v names every file, the ledger and the time."""
    shell = Shell(make_repo(BASE))
    shell.file(FIX)
    assert shell("apply", "../fix.diff", "-q").err == ""
    loud = shell("undo", "-v")
    assert re.search(r"^ledger .*/\.git/ledger, \d+\.\d\d s$", loud.err, re.MULTILINE)
    assert "a.txt" in loud.err
    assert shell("-q", "show", "nobody").err.startswith("error: ")
