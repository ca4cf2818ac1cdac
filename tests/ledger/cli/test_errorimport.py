"""`ledger import errors` as a user meets it, beside the `ledger import` that was there before."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "e2e"))
sys.path.insert(0, str(Path(__file__).parent.parent / "errorfiles"))
from errorshapes import ASK, POINTER, TEMPLATE, block  # pyright: ignore[reportMissingImports]
from shell import BASE, FIX, Shell  # pyright: ignore[reportMissingImports] - its folder is added above

OLD = f"# Log\n\n{block()}\nAnswer: oil it.\n\n{block()}\n{TEMPLATE}"


@pytest.fixture
def shell(make_repo) -> Shell:
    return Shell(make_repo(BASE))


def test_it_says_what_it_took_and_what_it_left(shell: Shell) -> None:
    path = shell.file(OLD, "old.md")
    done = shell("import", "errors", path)
    assert done.code == 0
    assert (
        "21 lines, 2 errors, 1 joined a question, 1 answered, 1 marked, 1 template never filled in"
        in done.err
    )
    assert f"left over: {path}:1: a title" in done.err
    assert done.err.startswith("started run import-errors-")
    assert [line.split()[1] for line in done.out.splitlines()[2:5]] == [f"{path}:1", "asked", "joined"]
    again = shell("import", "errors", path)
    assert "2 here already" in again.err


def test_json_has_all_of_it(shell: Shell) -> None:
    rows = json.loads(shell("import", "errors", "--json", shell.file(POINTER + OLD, "old.md")).out)
    assert [row["fate"] for row in rows] == ["left", "left", "asked", "joined", "template"]
    assert rows[0]["why"] == "a Git LFS pointer: its 4711 bytes are not here"
    asked = rows[2]
    assert (asked["step"], asked["state"], asked["answer"]) == ("3:build", "answered", "Answer: oil it.")
    assert rows[3]["question"] == asked["event"]
    assert rows[3]["marks"] == ["a copy"]


def test_a_dry_run_and_a_strict_one_write_nothing(shell: Shell) -> None:
    path = shell.file(OLD, "old.md")
    before = shell.everything()
    dry = shell("import", "errors", "--dry-run", path)
    assert dry.code == 0
    assert "(nothing was written)" in dry.err
    assert dry.out.count(" new ") == 2
    for words in (("--strict",), ("--strict", "--dry-run")):
        shell("import", "errors", *words, path).refuses(3, f"{path}:1: a title", "hint: ")
    assert shell.everything() == before


def test_a_file_that_is_not_there_or_no_text(shell: Shell) -> None:
    shell("import", "errors", "missing.ndjson").refuses(8, "missing.ndjson", "no such file")
    shell("import", "errors", ".").refuses(8, "is a directory")
    shell("import", "errors", shell.file(b"\x00\x01", "binary")).refuses(8, "binary")
    shell("import", "errors").refuses(2, "FILE...")


def test_runs_are_imported_as_before_with_and_without_the_word(shell: Shell, tmp_path: Path) -> None:
    for words in (("run", "start", "t", "--name", "first"), ("apply", shell.file(FIX)), ("run", "finish")):
        assert shell(*words).code == 0
    exported = tmp_path / "errors"
    assert shell("export", "first", "-o", exported).code == 0
    for words in ((exported,), ("runs", exported), ("--limit", "5", exported)):
        assert "nothing to do: first is here up to first:4" in shell("import", *words).err
    (shell.root / "errors").write_bytes(exported.read_bytes())
    assert "nothing to do: first" in shell("import", "./errors").err
    assert "errors" in shell("import", "--help").out


def test_the_id_of_a_request_makes_it_harmless(shell: Shell) -> None:
    path, id_ = (
        shell.file(f'{{"step": "1", "error": "e", "question": "{ASK}"}}\n', "old.ndjson"),
        shell("id").out.strip(),
    )
    first = shell("import", "errors", "--id", id_, path)
    again = shell("import", "errors", "--id", id_, path)
    assert "done before: error.captured" in again.err
    assert again.out.strip() in first.out
