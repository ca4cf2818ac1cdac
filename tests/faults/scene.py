"""One dirty repository that can be had again and again, a command to kill in it, and what must hold after."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent / "ledger"))
from book import Book, File, damage  # pyright: ignore[reportMissingImports] - its folder is added above

from ledger.api import Ledger
from ledger.errors import NoLedger, NoRun
from ledger.events import PatchApplied, PatchRolledBack
from ledger.operations.offering import offers_in
from patches.model import MODE_EXECUTABLE, MODE_GITLINK, MODE_SYMLINK

LINES = b"".join(b"line %d\n" % number for number in range(30))
BASE = {
    b".gitignore": File(b"*.ignored\n"),
    b"a.txt": File(LINES),
    b"b.txt": File(b"two\n"),
    b"dir/c.txt": File(LINES + b"c\n"),
    b"half.txt": File(b"half\n"),
    b"keep.txt": File(b"kept\n"),
    b"link": File(b"a.txt", MODE_SYMLINK),
    b"run.sh": File(b"#!/bin/sh\n", MODE_EXECUTABLE),
}
EDIT: dict[bytes, File | None] = {
    b"a.txt": File(LINES.replace(b"line 4\n", b"four\n")),
    b"b.txt": None,
    b"dir/c.txt": None,
    b"moved/c.txt": File(LINES + b"d\n"),
    b"link": File(b"now a file\n"),
    b"run.sh": File(b"#!/bin/sh\n"),
    b"new/link": File(b"../a.txt", MODE_SYMLINK),
    b"new/x.bin": File(bytes(range(256))),
}
DIRT = {
    b"keep.txt": File(b"edited by hand\n"),
    b"loose": File(b"untracked\n"),
    b"new/mine": File(b"untracked, in a directory that the patch makes\n"),
    b"mine.ignored": File(b"ignored\n"),
    b"staged": File(b"staged, not committed\n"),
}
NEUTRAL = {b"run.sh": File(b"#!/bin/sh\necho first\n", MODE_EXECUTABLE)}


class Seen(NamedTuple):
    """What Git and the file system hold: files, index entries, and the candidate where a run is."""

    files: dict[bytes, File]
    staged: bytes
    candidate: str


def _edited(files: dict[bytes, File], edit: dict[bytes, File | None]) -> dict[bytes, File]:
    after = {path: file for path, file in files.items() if path not in edit}
    return after | {path: file for path, file in edit.items() if file is not None}


class Scene:
    """A repository with dirt of every kind, and one command to be killed in it.

    Args:
        command: ``apply``, ``series`` (two patches, all or nothing), ``record``, ``undo``, ``redo`` or
            ``restore`` (of the state before the last patch).
        open_run: a run is open, with one patch applied; else there is no ledger at all.
    """

    def __init__(self, tmp_path: Path, command: str, *, open_run: bool) -> None:
        self.place, self.pristine = tmp_path / "repo", tmp_path / "pristine"
        self.book = Book(self.place, BASE)
        self.patch = tmp_path / "fix.diff"
        files = dict(BASE)
        first = _edited(files, dict(NEUTRAL))
        if open_run:
            with Ledger.open(self.place) as ledger:
                ledger.apply(self.book.diff(self.book.write_tree(files), self.book.write_tree(first)))
            files = first
        edit = {path: file for path, file in EDIT.items() if not (open_run and path == b"run.sh")}
        after = self.book.write_tree(_edited(files, edit))
        self.patch.write_bytes(self.book.diff(self.book.write_tree(files), after))
        # Each path is in one half, so that it has its old content or its new one between them, too.
        half = self.book.write_tree(_edited(files, dict(list(edit.items())[::2])))
        self.halves = [tmp_path / "first.diff", tmp_path / "second.diff"]
        self.halves[0].write_bytes(self.book.diff(self.book.write_tree(files), half))
        self.halves[1].write_bytes(self.book.diff(half, after))
        if command in ("undo", "redo", "restore"):
            with Ledger.open(self.place) as ledger:
                ledger.apply(self.patch.read_bytes())
                if command == "redo":
                    ledger.undo()
        for path, file in DIRT.items():
            self.book.put(path, file)
        self.book.git("add", "staged")
        self.arguments = {
            "apply": ["apply", str(self.patch)],
            "series": ["apply", "--atomic", *map(str, self.halves)],
            "record": ["record", "-m", "by hand"],
            "undo": ["undo"],
            "redo": ["redo"],
            "restore": ["restore", "patch:1"],
        }[command]
        self.command = command
        self.before = self.look()
        shutil.copytree(self.place, self.pristine, symlinks=True)
        assert os.waitstatus_to_exitcode(self.start()(None)) == 0
        self.after = self.look()
        assert self.after.candidate != self.before.candidate
        assert (self.after.files == self.before.files) == (command == "record")

    def again(self) -> None:
        shutil.rmtree(self.place)
        shutil.copytree(self.pristine, self.place, symlinks=True)

    def look(self) -> Seen:
        candidate = ""
        with Ledger.open(self.place) as ledger, suppress(NoLedger):
            candidate = next((head.tree for head in ledger.runs()), "")
        # An empty directory is nothing to Git: a kill may leave one where the last file of it went.
        files = {path: file for path, file in self.book.work_files().items() if file.mode != MODE_GITLINK}
        return Seen(files, self.book.git("ls-files", "--stage", "-z"), candidate)

    def start(self) -> Callable[[float | None], int]:
        """Start the command in a fork, where everything is imported: kills hit its work, not its start.

        Returns:
            What kills it after a number of seconds (never where None) and returns its wait status.
        """
        return start_command(self.place, self.arguments)

    def duration_s(self) -> float:
        """Return how long the command takes, the middle of five runs."""
        times: list[float] = []
        for _ in range(5):
            self.again()
            began = time.perf_counter()
            self.start()(None)
            times.append(time.perf_counter() - began)
        return sorted(times)[2]

    # What must hold

    def assert_recovers(self, *, retry: bool) -> bool:
        """Check everything that must hold after a kill; True where the command had taken effect."""
        self._assert_whole()
        with Ledger.open(self.place) as ledger:
            ledger.status()
        self._assert_whole()
        if retry:
            with Ledger.open(self.place) as ledger:
                self._do_again(ledger)
            assert self.look() == self.after
            staging = self.place / ".git/ledger/staging/main"
            assert not staging.exists() or list(staging.iterdir()) == []
        else:
            with Ledger.open(self.place) as ledger, suppress(NoRun):
                ledger.finish()
            assert self.look() in (self.before, self.after)
        self._assert_sound()
        return self.look() == self.after

    def _do_again(self, ledger: Ledger) -> None:
        if self.command == "apply":
            ledger.apply(self.patch.read_bytes())
        elif self.command == "series":
            ledger.apply_all([offer for half in self.halves for offer in offers_in(half.read_bytes())])
        elif self.command == "record":
            ledger.record()
        elif self.command == "restore":
            ledger.restore("patch:1")
        else:
            # Without an id a second undo would be another one. This appends nothing, and ends what was begun.
            ledger.accept_policy()
            done = {"undo": PatchRolledBack, "redo": PatchApplied}[self.command]
            if self.kinds()[-1] != done.__struct_config__.tag:
                getattr(ledger, self.command)()

    def kinds(self) -> list[str]:
        """Return the kind of every event of the newest run, as a reader finds them."""
        with Ledger.open(self.place) as ledger, suppress(NoLedger):
            runs = ledger.runs()
            return [event.kind for event in ledger.events(runs[0].run)] if runs else []
        return []

    def _assert_whole(self) -> None:
        """Every path is old or new, and what was not handed over is as it was, byte for byte."""
        for path, file in self.book.work_files().items():
            # A copy on its way into place, or a directory between its last file and its own end.
            ours = path.rpartition(b"/")[2].startswith(b".ledger-") or file.mode == MODE_GITLINK
            assert ours or file in (self.before.files.get(path), self.after.files.get(path)), path
        for path, file in DIRT.items():
            assert self.book.path(path).read_bytes() == file.data

    def _assert_sound(self) -> None:
        assert list((self.place / ".git").rglob("*.lock")) == []
        self.book.git("status", "--porcelain")
        self.book.git("fsck", "--strict", "--no-dangling")
        if (self.place / ".git/ledger/FORMAT").exists():
            with Ledger.open(self.place) as ledger:
                assert damage(ledger) == []


def start_command(
    place: Path, arguments: list[str], prepare: Callable[[], None] = lambda: None
) -> Callable[[float | None], int]:
    """Start a command in a fork, where everything is imported and ``prepare`` is called first.

    Returns:
        What kills it after a number of seconds (never where None) and returns its wait status.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Threads of the runner do not matter.
        pid = os.fork()
    if pid == 0:
        prepare()
        _become(place, arguments)

    def end(delay_s: float | None) -> int:
        if delay_s is not None:
            time.sleep(delay_s)
            os.kill(pid, signal.SIGKILL)
        return os.waitpid(pid, 0)[1]

    return end


def _become(directory: Path, arguments: list[str]) -> None:
    """Turn this process into the command line; never returns."""
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        sys.stdout = sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the end
        sys.argv = ["ledger", "-C", str(directory), *arguments]
        from ledger.cli.app import main

        main()
    finally:
        os._exit(70)


def ledger_command() -> list[str]:
    """Return the real command of this environment."""
    return [str(Path(sys.executable).with_name("ledger"))]


def run_killed(arguments: list[str], delay_s: float, cwd: Path) -> int:
    """Run the real command, kill it after a delay, and return its exit code (negative: by a signal)."""
    with subprocess.Popen(
        [*ledger_command(), *arguments], cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            return process.wait(delay_s)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
