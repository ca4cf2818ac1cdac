"""Files at an event, between events and through them: held against what git says of the same versions."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from book import Book, File

from ledger.api import Ledger
from ledger.events import TreeEvent, tree_after
from ledger.reference_errors import NoSuchPath
from patches.blame import attribute_lines
from patches.model import MODE_GITLINK, MODE_SYMLINK

LEDGER = Path(sys.executable).with_name("ledger")
SEEDS = range(12)


@pytest.fixture
def book(tmp_path: Path) -> Book:
    files = {b"base": File(b"".join(b"line %d\n" % n for n in range(30))), b"sub/other": File(b"other\n")}
    return Book(tmp_path / "repo", files)


@pytest.fixture
def ledger(book: Book) -> Iterator[Ledger]:
    with Ledger.open(book.root) as opened:
        opened.run("told", name="told")
        yield opened


def record(book: Book, ledger: Ledger, changes: dict[bytes, File | None]) -> int:
    for path, file in changes.items():
        book.put(path, file)
    return int(ledger.record().event.rpartition(":")[2])


def edit(random: Random, lines: list[bytes], mark: bytes) -> list[bytes]:
    """Insert, drop and replace some lines; each new one is nowhere else."""
    lines = list(lines)
    for n in range(random.randint(1, 4)):
        at = random.randint(0, len(lines))
        gone = random.choice([0, 0, 1, 2])
        lines[at : at + gone] = [b"%b %d\n" % (mark, n)] * random.choice([0, 1, 2])
    return lines or [mark + b"\n"]


def tell(book: Book, ledger: Ledger, random: Random) -> bytes:
    """Make a story of one file: edits, renames, patches taken back. Returns its last name."""
    path, lines = b"base", book.path(b"base").read_bytes().splitlines(keepends=True)
    for step in range(10):
        kind = random.choice(["edit", "edit", "edit", "rename", "taken back", "other"])
        if kind == "rename":
            old, path = path, b"dir/name %d" % step
            changes: dict[bytes, File | None] = {old: None, path: File(b"".join(lines))}
        elif kind == "other":
            changes = {b"sub/other": File(b"other %d\n" % step)}
        else:
            edited = edit(random, lines, b"step %d" % step)
            changes = {path: File(b"".join(edited))}
            if edited == lines:
                continue
            lines = lines if kind == "taken back" else edited
        record(book, ledger, changes)
        if kind == "taken back":
            ledger.undo(with_drift=True)
    return path


def git_blame(book: Book, ledger: Ledger, path: bytes) -> list[tuple[int, bytes]]:
    """Return what ``git blame`` says of one ordinary commit for each live state, renames found by itself."""
    versions: dict[bytes, int] = {}
    parents: list[str] = []
    for at in ledger.history().live:
        commit = book.line("commit-tree", "-m", str(at.v), *parents, at.tree)
        versions[commit.encode()] = at.v
        parents = ["-p", commit]
    output = book.git("blame", "--line-porcelain", "-M", parents[1], "--", path)
    found: list[tuple[int, bytes]] = []
    commit_id = b""
    for line in output.split(b"\n"):
        if line.startswith(b"\t"):
            found.append((versions[commit_id], line[1:]))
        elif line.partition(b" ")[0] in versions:
            commit_id = line.partition(b" ")[0]
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_lines_and_events_of_a_file_are_those_that_git_names(book: Book, ledger: Ledger, seed: int) -> None:
    path = tell(book, ledger, Random(seed))
    blamed = ledger.blame(path)
    assert [(line.event.v, line.text) for line in blamed] == git_blame(book, ledger, path)
    assert [line.number for line in blamed] == list(range(1, len(blamed) + 1))
    trailer = "--format=%(trailers:key=Ledger-Event,valueonly)"
    output = book.git("log", "--follow", "-M", trailer, "refs/ledger/told/events", "--", path)
    named = set(output.decode().split()) | {"told:1"}
    assert {"told:1", *(touched.event.reference for touched in ledger.file_events(path))} == named


def test_every_state_gives_its_files_and_the_patches_between(
    book: Book, ledger: Ledger, tmp_path: Path
) -> None:
    tell(book, ledger, Random(7))
    events = [event for event in ledger.events() if isinstance(event, TreeEvent)]
    for event in events:
        tree = tree_after(event)
        assert tree == ledger.tree(event.reference)
        for path, entry in book.listing(str(tree)).items():
            assert ledger.cat(path, event.reference) == book.git("cat-file", "blob", entry.oid.hex())
    index = tmp_path / "index"
    for old, new in zip(events, events[3:], strict=False):
        patch = ledger.diff(old.reference, new.reference)
        index.unlink(missing_ok=True)
        book.git("read-tree", str(tree_after(old)), index=index)
        if patch:
            book.git("apply", "--cached", data=patch, index=index)
        assert book.git("write-tree", index=index).decode().strip() == tree_after(new)


def test_a_patch_of_some_paths_has_those_alone(book: Book, ledger: Ledger) -> None:
    odd = b":(top)*"
    record(book, ledger, {odd: File(b"odd\n"), b"sub/other": File(b"two\n"), b"base": File(b"three\n")})
    assert ledger.diff("@-1", "@", [odd]).count(b"diff --git") == 1
    assert b"a/sub/other" in ledger.diff("told:1", "@", [b"sub"])
    assert ledger.diff("told:1", "@", [b"nowhere"]) == b""


def test_what_is_not_accepted_yet_is_the_default(book: Book, ledger: Ledger) -> None:
    assert ledger.diff() == b""
    record(book, ledger, {b"base": File(b"changed\n")})
    assert ledger.diff() == ledger.diff("told:1", "@") != b""


def test_a_copy_begins_anew(book: Book, ledger: Ledger) -> None:
    before = book.line("rev-parse", "HEAD^{tree}")
    base = book.path(b"base").read_bytes()
    tree = book.write_tree(
        {b"base": File(base + b"more\n"), b"copy": File(base), b"sub/other": File(b"other\n")}
    )
    event = ledger.apply(book.diff(before, tree)).event
    assert {line.event.reference for line in ledger.blame(b"copy")} == {event}
    assert [touched.event.reference for touched in ledger.file_events(b"copy")] == [event]


def test_the_phase_is_that_of_the_time(book: Book, ledger: Ledger) -> None:
    record(book, ledger, {b"new": File(b"one\n")})
    ledger.enter_phase("P3")
    record(book, ledger, {b"new": File(b"one\ntwo\n")})
    ledger.enter_phase("P4")
    assert [line.phase for line in ledger.blame(b"new")] == ["", "P3"]


def test_symlinks_submodules_and_lines_without_an_end(book: Book, ledger: Ledger) -> None:
    commit = b"1" * 40
    tree = book.write_tree(
        {
            b"link": File(b"target", MODE_SYMLINK),
            b"module": File(commit, MODE_GITLINK),
            b"cut": File(b"a\r\nno end"),
            b"empty": File(b""),
            b"binary": File(b"\0\n\xff"),
        }
    )
    ledger.apply(book.diff(book.line("rev-parse", "HEAD^{tree}"), tree), source="all of it")
    assert ledger.cat(b"link") == b"target"
    assert ledger.cat(b"module") == commit + b"\n"
    said = {
        path: [line.text for line in ledger.blame(path)] for path in (b"link", b"module", b"cut", b"empty")
    }
    assert said == {b"link": [b"target"], b"module": [commit], b"cut": [b"a\r", b"no end"], b"empty": []}
    assert [line.text for line in ledger.blame(b"binary")] == [b"\0", b"\xff"]


def test_a_file_that_is_not_there_is_named_with_those_that_are(ledger: Ledger) -> None:
    for look in (ledger.cat, ledger.blame, lambda path: list(ledger.file_events(path))):
        with pytest.raises(NoSuchPath) as raised:
            look(b"other")
        assert raised.value.elsewhere == (b"sub/other",)
    with pytest.raises(NoSuchPath, match="is a directory at told:"):
        ledger.cat(b"sub")
    assert list(ledger.file_events(b"sub")) == []


def test_the_first_version_has_every_line() -> None:
    assert attribute_lines([b"a\nb"]) == [(0, b"a"), (0, b"b")]
    assert attribute_lines([b""]) == []
    assert attribute_lines([b"a\nb\n", b"a\n", b"a\nb\n"]) == [(0, b"a"), (2, b"b")]


def ask(book: Book, *arguments: str, directory: str = ".") -> subprocess.CompletedProcess[bytes]:
    command = [LEDGER, "-C", book.root / directory, *arguments]
    return subprocess.run(command, capture_output=True, check=False)


def test_the_command_line_takes_paths_of_the_directory(book: Book, ledger: Ledger) -> None:
    v = record(book, ledger, {b"sub/other": File(b"other\nan\x1b[31modd line\n")})
    ledger.close()
    assert ask(book, "cat", "other", "--at", "told:1", directory="sub").stdout == b"other\n"
    blamed = ask(book, "blame", "other", directory="sub").stdout.decode().splitlines()
    assert blamed[0].startswith("told:1 ")
    assert blamed[0].endswith("1) other")
    assert blamed[1].startswith(f"told:{v} ")
    assert blamed[1].endswith("2) an\\x1b[31modd line")
    assert b"+an\x1b[31modd line" in ask(book, "diff").stdout
    assert ask(book, "diff", "told:1", "@", "../base", directory="sub").stdout == b""
    stat = ask(book, "diff", "--stat").stdout
    assert b"sub/other | 1 +" in stat
    assert ask(book, "diff", "--name-status", "told:1").stdout == b"M\tsub/other\n"
    listed = ask(book, "log", "other", "--format", "csv", directory="sub").stdout.decode().splitlines()
    assert [line.partition(",")[0] for line in listed] == ["event", f"told:{v}"]
    assert ask(book, "log", "told", "base", "--json").stdout == b"[]\n"
    cut = ask(book, "log", "--at", "told:1", "--format", "csv").stdout.splitlines()
    assert len(cut) == 2
    ledger.finish(abandon=True)
    ledger.run("second", name="second")
    ledger.close()
    assert ask(book, "log", "told", "base", "--at", "1", "--json").stdout == b"[]\n"
    apart = ask(book, "log", "told", "--at", "second:1")
    assert apart.returncode == 3
    assert b"begins in run told and ends in second" in apart.stderr
    missing = ask(book, "cat", "nowhere")
    assert missing.returncode == 3
    assert b"hint: `ledger state --candidate --at second:" in missing.stderr
    assert ask(book, "log", "a", "b", "c").returncode == 2


def test_who_stops_reading_has_seen_enough(book: Book, ledger: Ledger) -> None:
    """As with `git diff`: a pager that was left is no failure."""
    files = {b"many/%05d" % n: File(b"x\n") for n in range(3000)}
    tree = book.write_tree(
        {b"base": File(book.path(b"base").read_bytes()), b"sub/other": File(b"other\n"), **files}
    )
    ledger.apply(book.diff(book.line("rev-parse", "HEAD^{tree}"), tree))
    ledger.close()
    reader, writer = os.pipe()
    os.close(reader)
    try:
        command = [LEDGER, "-C", book.root, "diff", "--name-status"]
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")
