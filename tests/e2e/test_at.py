"""`ledger --at EVENT`: every command that reads sees the ledger as it was, and none that writes takes it."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from shell import FIX, MISMATCH, SECOND, Shell

READING = (
    ("status",),
    ("log",),
    ("show",),
    ("state",),
    ("state", "--candidate"),
    ("replay",),
    ("blame", "b.txt"),
    ("questions",),
    ("tickets",),
    ("policy", "show"),
    ("run", "list"),
    ("sql", "select * exclude (recorded_at) from events order by position"),
    ("query", "runs"),
)
"""Each with ``--json``."""


@pytest.fixture
def then(shell: Shell) -> tuple[Shell, dict[tuple[str, ...], object], str]:
    """A run; what each command said after its first patch and a refusal, and the event that was the last then."""
    assert shell("run", "start", "work", "--name", "work").code == 0
    assert shell("apply", shell.file(SECOND)).code == 0
    assert shell("apply", shell.file(MISMATCH)).code == 3
    last = json.loads(shell("log", "--json").out)[0]["event"]
    said = {words: told(shell, *words) for words in READING}
    assert shell("apply", shell.file(FIX)).code == 0
    assert shell("phase", "P3").code == 0
    assert shell("run", "finish", "--abandon").code == 0
    return shell, said, last


def told(shell: Shell, *words: str) -> object:
    done = shell(*words, "--json")
    assert done.code == 0, (words, done.err)
    return json.loads(done.out)


@pytest.mark.duckdb
def test_what_was_said_then_is_said_again(then: tuple[Shell, dict[tuple[str, ...], object], str]) -> None:
    """The work tree is the present one, so `status` is looked at for the rest; the ledger's size is that of now."""
    shell, said, last = then
    for words, before in said.items():
        again = told(shell, "--at", last, *words)
        if words == ("status",):
            assert isinstance(before, dict)
            assert isinstance(again, dict)
            assert {name for name in before if before[name] != again[name]} <= {"drift", "size_bytes"}
        else:
            assert again == before, words
    assert told(shell, "log") != said[("log",)]
    assert shell("--at", last, "cat", "b.txt").out == shell("cat", "b.txt", "--at", last).out


def test_what_comes_later_is_not_there(then: tuple[Shell, dict[tuple[str, ...], object], str]) -> None:
    shell, _, last = then
    later = shell("--at", last, "show", "work:9")
    assert later.code == 3
    assert "work has the versions 1 to" in later.err
    unknown = shell("--at", "nobody:3", "log")
    assert (unknown.code, unknown.out) == (3, "")


def test_nothing_is_added_to_the_past(then: tuple[Shell, dict[tuple[str, ...], object], str]) -> None:
    shell, _, last = then
    before = shell("log", "--json").out
    patch = shell.file(FIX, "again.diff")
    for line in (
        f"apply {patch}",
        "record",
        "undo",
        "gate",
        "run start t",
        "phase P2",
        "verify",
        "commit",
        "archive",
    ):
        done = shell("--at", last, *line.split())
        assert (done.code, done.out) == (2, ""), line
        assert "--at reads the past" in done.err
    assert shell("log", "--json").out == before


def test_a_database_of_then(then: tuple[Shell, dict[tuple[str, ...], object], str]) -> None:
    """`ledger db` writes what SQL saw."""
    import duckdb

    shell, said, last = then
    shutil.rmtree(shell.root / ".git" / "ledger" / "cache" / "columns", ignore_errors=True)
    assert shell("--at", last, "db", "../then.duckdb").code == 0
    with duckdb.connect(str(shell.root.parent / "then.duckdb"), read_only=True) as connection:
        (count,) = connection.execute("select count(*) from events").fetchone() or (0,)
    (events,) = (rows for words, rows in said.items() if words[0] == "sql")
    assert isinstance(events, list)
    assert count == len(events)
