"""A history through the recorded path, and every state of it back: replay, fold and SQL against Git."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from book import Book, File, assert_state, damage, on_disk, read_files, recorded_trees

from ledger.api import Ledger
from patches.model import MODE_EXECUTABLE, MODE_GITLINK, MODE_SYMLINK

LINES = b"".join(b"line %d\n" % number for number in range(40))
BLOB = bytes(range(256)) * 8
LATIN = b"caf\xe9/na\xefve.txt"
ODD = b'tab\there "and" back\\slash\nline'

Edit = dict[bytes, File | None]


def _edits() -> Iterator[Edit]:
    """Every kind of change that a Git tree can undergo, one commit each."""
    edited = LINES.replace(b"line 3\n", b"third\n").replace(b"line 33\n", b"")
    yield {b"a.txt": File(LINES), b"bin/logo": File(BLOB), b"run.sh": File(b"#!/bin/sh\n", MODE_EXECUTABLE)}
    yield {b"a.txt": File(edited)}
    yield {b"a.txt": None, b"b/renamed.txt": File(edited)}
    yield {b"b/renamed.txt": None, b"b/again.txt": File(edited + b"more\n"), b"b/copy.txt": File(edited)}
    yield {b"b/again.txt": File(LINES), b"b/copy.txt": None}
    yield {b"b/copy.txt": File(b"back\n")}
    yield {b"run.sh": File(b"#!/bin/sh\n")}
    yield {b"run.sh": File(b"#!/bin/sh\necho\n", MODE_EXECUTABLE)}
    yield {b"link": File(b"b/again.txt", MODE_SYMLINK), b"dangling": File(b"nowhere/\xff", MODE_SYMLINK)}
    yield {b"link": File(b"run.sh", MODE_SYMLINK)}
    yield {b"link": File(b"now a file"), b"run.sh": File(b"link", MODE_SYMLINK)}
    yield {b"link": File(b"now a file\n")}
    yield {b"b/again.txt": None, b"b/copy.txt": None, b"b": File(b"a file where a directory was\n")}
    yield {b"b": None, b"b/deep/er/file": File(b"and back\n")}
    yield {b"bin/logo": File(BLOB[:700] + b"!" + BLOB[700:])}
    yield {b"bin/logo": File(b"text now\n"), b"bin/new": File(b"\0\1")}
    yield {b"bin/logo": None, b"bin/moved": File(b"text now\n"), b"bin/new": File(b"")}
    yield {b"dos.txt": File(LINES.replace(b"\n", b"\r\n")), b"mixed": File(b"a\r\nb\nc\r")}
    yield {b"dos.txt": File(LINES.replace(b"\n", b"\r\n").replace(b"line 7\r\n", b"line 7\n"))}
    yield {LATIN: File(b"latin\xe9\n"), ODD: File(b"odd\n"), "grüße/κόσμος".encode(): File(b"utf\n")}
    yield {LATIN: File(b"latin\xe8\n"), ODD: None, b"plain": File(b"odd\n")}
    yield {LATIN: None, b"caf\xe9/r\xe9sum\xe9": File(b"latin\xe8\n")}
    yield {b"lib": File(b"%040x" % 1, MODE_GITLINK)}
    yield {b"lib": File(b"%040x" % 2, MODE_GITLINK), b"empty": File(b"")}
    yield {b"lib": None, b"lib/file": File(b"vendored\n"), b"empty": File(b"x")}
    yield {b"no-newline": File(b"one\ntwo"), b"empty": None}
    yield {b"no-newline": File(b"one\ntwo\nthree")}
    yield {b"no-newline": File(b"one\ntwo\nthree\n")}
    yield {b"swap1": File(LINES), b"swap2": File(LINES[::-1])}
    yield {b"swap1": File(LINES[::-1]), b"swap2": File(LINES)}
    yield dict.fromkeys((b"swap1", b"swap2", b"plain", b"mixed", b"dos.txt"))
    yield {b"a.txt": File(LINES), b"a.txt.d/x": File(b"1\n"), b"a.txt-": File(b"2\n"), b"a": File(b"3\n")}


def _commits(source: Book) -> list[tuple[str, dict[bytes, File]]]:
    """Commit every edit with the real git and return commit and content of each."""
    files: dict[bytes, File] = {b"README": File(b"base\n")}
    parent = source.line("commit-tree", "-m", "base", source.write_tree(files))
    commits = [(parent, dict(files))]
    for edit in _edits():
        for path, file in edit.items():
            if file is None:
                del files[path]
            else:
                files[path] = file
        tree = source.write_tree(files)
        parent = source.line("commit-tree", "-p", parent, "-m", "next", tree)
        commits.append((parent, dict(files)))
    return commits


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "repo")


def test_a_history_of_every_kind_of_change(book: Book) -> None:
    """Each commit's diff gives its tree, index and work tree follow, and ten events come back exactly."""
    commits = _commits(book)
    book.git("update-ref", "HEAD", commits[0][0])
    book.git("reset", "--quiet", "--hard")
    with Ledger.open(book.root) as ledger, ledger.run("history") as run:
        for (before, _), (after, files) in pairwise(commits):
            applied = run.apply(book.diff(before, after))
            assert applied.tree == book.line("rev-parse", f"{after}^{{tree}}")
            assert applied.left_alone == ()
            assert book.work_files() == on_disk(files)
            book.assert_followed(applied.tree)
        trees = recorded_trees(ledger, run.name)
        base, *results = [book.line("rev-parse", f"{commit}^{{tree}}") for commit, _ in commits]
        # The base is the state at the policy too.
        assert list(trees.values()) == [base, base, *results]
        for v in random.Random(2).sample(sorted(trees), 10):
            assert_state(ledger, book, run.name, v, trees[v])
        assert damage(ledger) == []


def test_a_history_without_a_work_tree(book: Book, tmp_path: Path) -> None:
    """A bare repository takes the same history; nothing but objects, refs and ledger is written."""
    commits = _commits(book)
    bare = tmp_path / "bare.git"
    book.git("update-ref", "refs/heads/last", commits[-1][0])
    book.git("update-ref", "HEAD", commits[0][0])
    book.git("clone", "--quiet", "--bare", ".", str(bare))
    before = sorted(path.name for path in bare.iterdir())
    with Ledger.open(bare) as ledger, ledger.run("history") as run:
        for (old, _), (new, _) in pairwise(commits):
            assert run.apply(book.diff(old, new)).tree == book.line("rev-parse", f"{new}^{{tree}}")
        assert damage(ledger) == []
    assert sorted(path.name for path in bare.iterdir()) == sorted([*before, "ledger"])


def test_the_same_answers_on_the_command_line(book: Book, tmp_path: Path) -> None:
    """`replay --until`, `replay --into` and `state --at` name the trees that Git has."""
    commits = _commits(book)[:12]
    book.git("update-ref", "HEAD", commits[0][0])
    book.git("reset", "--quiet", "--hard")
    with Ledger.open(book.root) as ledger, ledger.run("history", name="history") as run:
        for (old, _), (new, _) in pairwise(commits):
            run.apply(book.diff(old, new))

    def ask(*arguments: str) -> list[dict[str, str]]:
        command = [sys.executable, "-m", "ledger.cli", "-C", str(book.root), *arguments, "--json"]
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)

    commit, files = commits[9]
    steps = ask("replay", "--until", "history:11", "--into", str(tmp_path / "out"))
    assert steps[-1]["tree"] == book.line("rev-parse", f"{commit}^{{tree}}")
    assert len(steps) == 10
    assert read_files(tmp_path / "out") == on_disk(files)
    lines = book.git("ls-tree", "-r", commit).decode().splitlines()
    wanted = [(line.split()[0], line.split()[2], line.partition("\t")[2]) for line in lines]
    listed = ask("state", "--candidate", "--at", "11")
    assert [(row["mode"], row["oid"], row["path"]) for row in listed if '"' not in row["path"]] == [
        row for row in wanted if '"' not in row[2]
    ]
    assert len(listed) == len(wanted)
