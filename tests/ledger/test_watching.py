"""Watching real processes save files: each save once and whole, in order, whatever manner it is saved in.

Nothing here asserts a time. A state that has to be recorded is waited for; how long a writer really paused is
measured by the writer, so that a slow machine allows more, and never fails a test.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from book import Book, File, Files, damage

from ledger.api import Ledger
from ledger.events import PatchApplied
from patches.model import MODE_EXECUTABLE, MODE_SYMLINK

QUIET_S = 0.5
GENEROUS_S = 120.0
LINES = b"".join(b"line %d\n" % number for number in range(400))
BASE: Files = {
    b"a.txt": File(LINES),
    b"b.txt": File(b"bee\n"),
    b"dir/c.txt": File(LINES),
    b".gitignore": File(b"*.log\n"),
}
SECRET = b"key = 'AKIA" + b"IOSFODNN7EXAMPLF'\n"


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Wait until something is the case."""
    until = time.monotonic() + GENEROUS_S
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.02)


def has_tree(ledger: Ledger, tree: str) -> bool:
    return ledger.runs()[0].tree == tree


class Watcher:
    """``ledger watch`` in a process of its own, and what it has printed."""

    def __init__(self, root: Path, *options: str, quiet_s: float = QUIET_S) -> None:
        command = [sys.executable, "-m", "ledger.cli", "watch", "--json", "--quiet", f"{quiet_s}s", *options]
        self.process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lines: list[dict[str, Any]] = []
        self.said = b""
        self._threads = [threading.Thread(target=read) for read in (self._read, self._read_said)]
        for thread in self._threads:
            thread.start()
        wait_for(lambda: b"watching" in self.said or self.process.poll() is not None, "it does not start")

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def _read_said(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line

    @property
    def trees(self) -> list[str]:
        return [line["tree"] for line in self.lines if "tree" in line]

    @property
    def refused(self) -> list[str]:
        return [line["refused"] for line in self.lines if "refused" in line]

    def end(self, number: int = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(GENEROUS_S)
        for thread in self._threads:
            thread.join()
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.process.stdout.close()
        self.process.stderr.close()
        return self.process.returncode


class Desk:
    """A repository with an open run, and whoever works in it."""

    def __init__(self, root: Path) -> None:
        self.book = Book(root, BASE)
        with Ledger.open(root) as ledger:
            ledger.run("work", name="work")
        self.watchers: list[Watcher] = []

    def watch(self, *options: str, quiet_s: float = QUIET_S) -> Watcher:
        self.watchers.append(Watcher(self.book.root, *options, quiet_s=quiet_s))
        return self.watchers[-1]

    def snapshot(self) -> str:
        """Return the tree of ``git add --all`` in a copy of the index: the oracle."""
        index, copy = self.book.root / ".git/index", self.book.root / ".git/oracle-copy"
        copy.write_bytes(index.read_bytes())
        self.book.git("add", "--all", index=copy)
        tree = self.book.git("write-tree", index=copy).decode().strip()
        copy.unlink()
        return tree

    def wait_recorded(self, watcher: Watcher, tree: str) -> None:
        wait_for(
            lambda: watcher.trees[-1:] == [tree] or watcher.process.poll() is not None, f"{tree} is missed"
        )
        assert watcher.trees[-1] == tree, watcher.said

    def patches(self) -> list[PatchApplied]:
        with Ledger.open(self.book.root) as ledger:
            assert damage(ledger) == []
            return [event for event in ledger.events("work") if isinstance(event, PatchApplied)]

    def path(self, name: bytes) -> Path:
        return self.book.path(name)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "repo")
    yield desk
    for watcher in desk.watchers:
        watcher.end(signal.SIGKILL)


# ── manners of saving ────────────────────────────────────────────────────────────────────────────

Pause = Callable[[], None]


def in_place(desk: Desk, name: bytes, data: bytes, pause: Pause) -> None:
    desk.path(name).write_bytes(data)


def by_rename(desk: Desk, name: bytes, data: bytes, pause: Pause) -> None:
    beside = desk.path(name + b".tmp")
    beside.write_bytes(data)
    pause()
    beside.rename(desk.path(name))


def as_vim(desk: Desk, name: bytes, data: bytes, pause: Pause) -> None:
    """The old file aside, a new one in pieces, the old one away; with the file that vim tries the directory with."""
    path, aside = desk.path(name), desk.path(name + b"~")
    probe = path.with_name("4913")
    probe.touch()
    probe.unlink()
    if path.exists():
        path.rename(aside)
    pause()
    in_pieces(desk, name, data, pause)
    aside.unlink(missing_ok=True)


def in_pieces(desk: Desk, name: bytes, data: bytes, pause: Pause) -> None:
    with desk.path(name).open("wb", buffering=0) as file:
        for start in range(0, len(data), len(data) // 5 + 1):
            file.write(data[start : start + len(data) // 5 + 1])
            pause()


def deleted_and_made(desk: Desk, name: bytes, data: bytes, pause: Pause) -> None:
    desk.path(name).unlink(missing_ok=True)
    pause()
    desk.path(name).write_bytes(data)


MANNERS = (in_place, by_rename, as_vim, in_pieces, deleted_and_made)


class Pauses:
    """Pauses that are much shorter than the quiet time, and how long the longest of them really was."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._last_s = time.monotonic()

    def __call__(self) -> None:
        time.sleep(QUIET_S / 20)
        self.mark()

    def mark(self) -> None:
        now_s = time.monotonic()
        self.longest_s, self._last_s = max(self.longest_s, now_s - self._last_s), now_s


def test_every_manner_of_saving_is_one_event(desk: Desk) -> None:
    """One event for each save, with exactly what was saved; halves only where a writer paused that long."""
    watcher = desk.watch()
    for number, manner in enumerate(MANNERS * 2):
        name = (b"a.txt", b"dir/new.txt")[number % 2]
        before, pauses = len(watcher.trees), Pauses()
        manner(desk, name, LINES + b"save %d\n" % number, pauses)
        pauses.mark()
        desk.wait_recorded(watcher, desk.snapshot())
        if pauses.longest_s < QUIET_S:
            assert len(watcher.trees) == before + 1, (manner, watcher.lines[before:])
    assert watcher.end() == 0
    assert len(desk.patches()) == len(watcher.trees)


def test_what_belongs_together_is_one_event(desk: Desk) -> None:
    """A formatter over many files, a checkout of many, a save of several, a move, a mode, a link."""
    book = desk.book
    for number in range(60):
        book.put(b"many/%d" % number, File(LINES))
    watcher = desk.watch()
    desk.wait_recorded(watcher, desk.snapshot())

    def formatted(pause: Pause) -> None:
        for number in range(60):
            book.put(b"many/%d" % number, File(LINES.upper()))
            if number % 5 == 0:
                pause()

    def checked_out(pause: Pause) -> None:
        first = watcher.trees[0]
        book.git("read-tree", "-u", "--reset", first)

    def moved(pause: Pause) -> None:
        for number in range(30):
            (book.root / f"many/{number}").rename(book.root / f"many/{number}.moved")
        book.put(b"b.txt", File(b"#!/bin/sh\n", MODE_EXECUTABLE))
        pause()
        book.put(b"a.txt", File(b"b.txt", MODE_SYMLINK))

    for change in (formatted, checked_out, moved):
        before, pauses = len(watcher.trees), Pauses()
        change(pauses)
        pauses.mark()
        desk.wait_recorded(watcher, desk.snapshot())
        if pauses.longest_s < QUIET_S:
            assert len(watcher.trees) == before + 1, (change, watcher.lines[before:])
    assert watcher.end() == 0
    assert [event.cause for event in desk.patches()] == ["drift"] * len(watcher.trees)


def test_random_interleavings(desk: Desk, rounds: Callable[[int, int], int]) -> None:
    """Three writers in any manners at once: what rested is in the log, in order, and nothing that was half."""
    names = (b"a.txt", b"dir/c.txt", b"fresh.txt")
    watcher = desk.watch()
    rested: list[str] = []
    whole: dict[bytes, list[bytes]] = {name: [] for name in names}
    slow: set[bytes] = set()
    for name in names[:2]:
        whole[name].append(LINES)

    def work(name: bytes, seed: int) -> None:
        rng = random.Random(seed)
        for number in range(rng.randrange(1, 5)):
            data = b"%d %d\n" % (seed, number) * rng.randrange(1, 400)
            pauses = Pauses()
            whole[name].append(data)
            rng.choice(MANNERS)(desk, name, data, pauses)
            pauses.mark()
            if pauses.longest_s >= QUIET_S:
                slow.add(name)
            time.sleep(rng.choice((0, QUIET_S / 10, QUIET_S * 1.5)))

    for turn in range(rounds(4, 200)):
        threads = [threading.Thread(target=work, args=(name, turn * 3 + n)) for n, name in enumerate(names)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rested.append(desk.snapshot())
        desk.wait_recorded(watcher, rested[-1])
    assert watcher.end() == 0
    trees = [event.result_tree for event in desk.patches()]
    assert trees == watcher.trees
    assert [tree for tree in trees if tree in rested] == rested
    for name in set(names) - slow:
        place = 0
        for tree in trees:
            if name in (listed := desk.book.listing(tree)):
                data = desk.book.git("cat-file", "blob", listed[name].oid.hex())
                assert data in whole[name], "half a file"
                place = whole[name].index(data, place)


def test_a_file_that_goes_on_changing_keeps_nothing_from_being_recorded(desk: Desk) -> None:
    """It is left out and named; when it comes to rest it is recorded too."""
    watcher = desk.watch(quiet_s=0.1)
    done = threading.Event()

    def busy() -> None:
        with desk.path(b"busy.txt").open("wb", buffering=0) as file:
            while not done.is_set():
                file.write(b"x")
                time.sleep(0.005)

    thread = threading.Thread(target=busy)
    thread.start()
    desk.book.put(b"b.txt", File(b"calm\n"))
    try:
        wait_for(lambda: watcher.trees, "the calm file is not recorded")
    finally:
        done.set()
        thread.join()
    desk.wait_recorded(watcher, desk.snapshot())
    (first, *_) = desk.patches()
    assert [file.path for file in first.files] in (["b.txt"], ["b.txt", "busy.txt"])
    if len(first.files) == 1:
        assert watcher.lines[0]["moving"] == ["busy.txt"]


# ── beside other commands ────────────────────────────────────────────────────────────────────────


def test_other_commands_go_on_and_are_not_recorded(desk: Desk) -> None:
    """No patch, rollback or move is taken for an edit, none has to wait, and the edits between them are taken."""
    book, watcher = desk.book, desk.watch(quiet_s=0.1)
    files = dict(BASE)
    for number in range(6):
        after = {**files, b"a.txt": File(LINES + b"%d\n" % number), b"n%d" % number: File(LINES)}
        diff = book.diff(book.write_tree(files), book.write_tree(after))
        with Ledger.open(book.root) as ledger:
            ledger.apply(diff)
            ledger.undo()
            ledger.apply(diff)
        files = after
    assert watcher.trees == []
    book.put(b"b.txt", File(b"by hand\n"))
    desk.wait_recorded(watcher, desk.snapshot())
    assert watcher.end() == 0
    assert [event.cause for event in desk.patches()] == ["diff"] * 12 + ["drift"]


def test_what_cannot_be_recorded_is_said_once(desk: Desk) -> None:
    """A secret, HEAD elsewhere, a closed run, a lock that somebody left; each goes on when it is over."""
    book, watcher = desk.book, desk.watch(quiet_s=0.1)
    book.put(b"s", File(SECRET))
    wait_for(lambda: watcher.refused == ["SecretFound"], "the secret")
    book.put(b"b.txt", File(b"1\n"))
    time.sleep(0.5)
    book.put(b"s", None)
    desk.wait_recorded(watcher, desk.snapshot())
    assert SECRET.strip() not in json.dumps(watcher.lines).encode()

    lock = book.root / ".git/index.lock"
    lock.touch()
    book.put(b"b.txt", File(b"2\n"))
    wait_for(lambda: watcher.refused[1:] == ["IndexLocked"], "the lock")
    lock.unlink()
    desk.wait_recorded(watcher, desk.snapshot())

    elsewhere = book.git("commit-tree", "-m", "other", book.write_tree({b"x": File(b"x")})).decode().strip()
    head = book.line("rev-parse", "HEAD")
    book.git("update-ref", "HEAD", elsewhere)
    book.put(b"b.txt", File(b"3\n"))
    wait_for(lambda: watcher.refused[2:] == ["HeadMoved"], "HEAD")
    book.git("update-ref", "HEAD", head)
    desk.wait_recorded(watcher, desk.snapshot())

    with Ledger.open(book.root) as ledger:
        ledger.finish(abandon=True)
    book.put(b"b.txt", File(b"4\n"))
    wait_for(lambda: watcher.refused[3:] == ["NoRun"], "the run")
    with Ledger.open(book.root) as ledger:
        ledger.run("next", name="next")
    desk.wait_recorded(watcher, desk.snapshot())
    assert watcher.end() == 0
    assert len(watcher.refused) == 4


# ── how it ends ──────────────────────────────────────────────────────────────────────────────────


def test_once(desk: Desk) -> None:
    """The first change and no other, with its note; what cannot be recorded is the command's error."""
    watcher = desk.watch("--once", "-m", "why")
    desk.book.put(b"b.txt", File(b"1\n"))
    wait_for(lambda: watcher.process.poll() is not None, "it does not end")
    assert watcher.end() == 0
    (event,) = desk.patches()
    assert watcher.lines[0]["event"] == event.reference
    assert watcher.lines[0]["files"] == [
        {"path": "b.txt", "old_path": None, "operation": "modify", "added": 1, "removed": 1}
    ]
    assert event.note is not None
    desk.book.put(b"s", File(SECRET))
    watcher = desk.watch("--once")
    assert watcher.process.wait(GENEROUS_S) == 7
    watcher.end()
    assert len(desk.patches()) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_left_is_said_at_the_end(desk: Desk, number: int) -> None:
    """Ctrl-C ends it at once with 0, records nothing that is not quiet, and says so."""
    watcher = desk.watch(quiet_s=3600)
    desk.book.put(b"b.txt", File(b"1\n"))
    assert watcher.end(number) == 0
    assert b"recorded 0 events; 1 file not recorded: `ledger record`" in watcher.said
    assert desk.patches() == []


def test_killed_at_any_moment(desk: Desk, rounds: Callable[[int, int], int]) -> None:
    """Kill -9: no byte of anybody's is another, and the next watch or record has what this one has not."""
    book, rng = desk.book, random.Random(4)
    book.put(b"kept.log", File(b"ignored\n"))
    book.put(b"read-only", File(b"mine\n"))
    book.path(b"read-only").chmod(0o444)
    for number in range(rounds(5, 300)):
        watcher = desk.watch(quiet_s=0.05)
        with book.path(b"open.txt").open("ab", buffering=0) as held:
            for name in (b"a.txt", b"loose/%d" % number, b"dir/c.txt"):
                book.put(name, File(LINES * 20 + b"%d" % number))
                held.write(b"%d\n" % number)
            book.put(b"loose/%d" % (number - 2), None)
            before = book.work_files()
            time.sleep(rng.uniform(0.0, 0.4))
            watcher.end(signal.SIGKILL)
            assert book.work_files() == before
        tree = desk.snapshot()
        if number % 2:
            with Ledger.open(book.root) as ledger:
                assert ledger.record().tree == tree
        else:
            again = desk.watch(quiet_s=0.05)
            with Ledger.open(book.root) as ledger:
                taken = partial(has_tree, ledger, tree)
                wait_for(taken, "it is not taken up")
            again.end(signal.SIGKILL)
        assert book.work_files() == before
    book.put(b"last", File(b"last\n"))
    with Ledger.open(book.root) as ledger:
        assert ledger.record().tree == desk.snapshot()
        assert ledger.status().drift == ()
    desk.patches()
