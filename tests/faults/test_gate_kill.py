"""Kill -9 at any moment of `gate`, `apply --gate`, `run rebase` and `mv`: before or after, never between."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "ledger"))
from book import IDENTITY, Book, File, damage  # pyright: ignore[reportMissingImports] - added above
from scene import LINES, Seen, _become, ledger_command

from ledger.api import Ledger
from ledger.errors import HeadMoved
from ledger.events import GateMeasured, PatchApplied, PatchRolledBack, RunRebased, encode_event
from ledger.history import History
from ledger.policies import Policy
from patches.model import MODE_EXECUTABLE, MODE_GITLINK, MODE_SYMLINK

pytestmark = pytest.mark.campaign

CONFIGURATION = b"""
[gates]
lint.mode = "off"
tests.mode = "off"
cov.mode = "off"
[gates.check]
mode = "strict"
command = "sh check.sh"
format = "exit"
[gates.more]
mode = "strict"
command = "sh -c true"
format = "exit"
"""
BASE = {
    b".gitignore": File(b"*.ignored\n"),
    b"ledger.toml": File(CONFIGURATION),
    b"check.sh": File(b"test ! -e bad\n"),
    b"a.txt": File(LINES),
    b"b.txt": File(b"two\n"),
    b"dir/c.txt": File(LINES + b"c\n"),
    b"keep.txt": File(b"kept\n"),
    b"link": File(b"a.txt", MODE_SYMLINK),
    b"run.sh": File(b"#!/bin/sh\n", MODE_EXECUTABLE),
}
Edit = Mapping[bytes, "File | None"]
GOOD: Edit = {b"a.txt": File(LINES.replace(b"line 4\n", b"four\n")), b"good": File(b"stays\n")}
BAD: Edit = {
    b"a.txt": File(LINES.replace(b"line 4\n", b"4\n").replace(b"line 20\n", b"twenty\n")),
    b"b.txt": None,
    b"bad": File(b"a gate fails where this is\n"),
    b"dir/c.txt": None,
    b"dir": File(b"a file where a directory was\n"),
    b"run.sh": File(b"#!/bin/sh\n"),
    b"link": File(b"check.sh", MODE_SYMLINK),
    b"new/x.bin": File(bytes(range(256))),
}
UPSTREAM: Edit = {
    b"a.txt": File(LINES.replace(b"line 28\n", b"upstream\n")),
    b"up/stream": File(b"new there\n"),
    b"check.sh": File(b"test ! -e bad && true\n"),
}
IGNORED = {b"mine.ignored": File(b"ignored\n")}
DIRT = {**IGNORED, b"loose": File(b"untracked\n"), b"keep.txt": File(b"edited by hand\n")}


def after_edit(files: Mapping[bytes, File], edit: Edit) -> dict[bytes, File]:
    left = {path: file for path, file in files.items() if path not in edit}
    return left | {path: file for path, file in edit.items() if file is not None}


class GateScene:
    """A repository whose run is about to be rolled back, rebased or moved, again and again.

    ``gate`` rolls the last two patches back; ``apply-gate`` applies one that is accepted; ``rebase`` goes to
    a new base, with the work tree as `git reset` has left it; ``mv`` moves a directory.
    """

    def __init__(self, tmp_path: Path, what: str) -> None:
        self.what = what
        self.place, self.pristine = tmp_path / "repo", tmp_path / "pristine"
        self.book = Book(self.place, BASE)
        self.patch = tmp_path / "fix.diff"
        self.dirt = DIRT if what.startswith(("rebase", "mv")) else IGNORED
        self._prepare()
        for path, file in self.dirt.items():
            self.book.put(path, file)
        self.arguments = {
            "gate": ["gate"],
            "apply-gate": ["apply", "--gate", str(self.patch)],
            "mv": ["mv", "dir", "moved", "--must-exist", "moved/c.txt", "--must-not-exist", "dir/**"],
        }.get(what, ["run", "rebase"])
        self.before, self.events_before = self.look(), self.events()
        shutil.copytree(self.place, self.pristine, symlinks=True)
        assert os.waitstatus_to_exitcode(self.start()(None)) == (1 if what == "gate" else 0)
        self.after = self.look()
        assert self.after.candidate != self.before.candidate
        assert self.after.files != self.before.files
        self.accepted_after = self.accepted()

    def _prepare(self) -> None:
        files: dict[bytes, File] = dict(BASE)
        with Ledger.open(self.place) as ledger:
            for edit in [GOOD] if self.what in ("apply-gate", "mv") else [GOOD, BAD]:
                after = after_edit(files, edit)
                data = self.book.diff(self.book.write_tree(files), self.book.write_tree(after))
                ledger.apply(data)
                if edit is GOOD and self.what != "apply-gate":
                    assert ledger.gate().accepted
                files = after
        fixed = after_edit(files, {b"b.txt": File(b"fixed\n")})
        self.patch.write_bytes(self.book.diff(self.book.write_tree(files), self.book.write_tree(fixed)))
        if self.what.startswith("rebase"):
            upstream = self.book.write_tree(after_edit(BASE, UPSTREAM))
            commit = self.book.line("commit-tree", "-p", "HEAD", "-m", "upstream", upstream)
            self.book.git("reset", "--quiet", "--" + self.what.partition("-")[2], commit)

    def again(self) -> None:
        shutil.rmtree(self.place)
        shutil.copytree(self.pristine, self.place, symlinks=True)

    def look(self) -> Seen:
        with Ledger.open(self.place) as ledger:
            candidate = ledger.runs()[0].tree
        # An empty directory is nothing to Git: a kill may leave one where the last file of it went.
        files = {path: file for path, file in self.book.work_files().items() if file.mode != MODE_GITLINK}
        return Seen(files, self.book.git("ls-files", "--stage", "-z"), candidate)

    def events(self) -> list[bytes]:
        with Ledger.open(self.place) as ledger:
            return [encode_event(event) for event in ledger.events()]  # type: ignore[arg-type]

    def accepted(self) -> str:
        with Ledger.open(self.place) as ledger:
            return ledger.history().accepted.tree

    def start(self) -> Callable[[float | None], int]:
        """Start the command in a fork and return what kills it after some seconds and gives its status."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Threads of the runner do not matter.
            pid = os.fork()
        if pid == 0:
            _become(self.place, self.arguments)

        def end(delay_s: float | None) -> int:
            if delay_s is not None:
                time.sleep(delay_s)
                os.kill(pid, signal.SIGKILL)
            return os.waitpid(pid, 0)[1]

        return end

    # What must hold

    def assert_recovers(self, *, retry: bool) -> bool:
        """Check everything that must hold after a kill; True where the command had taken effect."""
        self._assert_whole()
        assert self.events()[: len(self.events_before)] == self.events_before
        self._assert_accepted_is_measured()
        with Ledger.open(self.place) as ledger, suppress(HeadMoved):
            ledger.enter_phase("P2")
        here = self.look()
        assert here in (self.before, self.after) or self._may_be(here)
        self._assert_accepted_is_measured()
        if retry:
            self._again()
            assert self.look() == self.after
            assert self.accepted() == self.accepted_after
        self._assert_sound(retry=retry)
        return here == self.after

    def _may_be(self, here: Seen) -> bool:
        """Tell whether a state is neither of the two and still right.

        After `git reset` the index follows the candidate before anything is recorded, as in `ledger record`.
        """
        index = self.book.line("write-tree")
        before = here.files == self.before.files and here.candidate == self.before.candidate
        return self.what == "rebase-mixed" and before and index == self.before.candidate

    def _again(self) -> None:
        """Give the same command once more."""
        with Ledger.open(self.place) as ledger:
            if self.what == "gate":
                if ledger.runs()[0].tree == self.before.candidate:
                    assert ledger.gate().rolled_back
            elif self.what == "apply-gate":
                ledger.apply(self.patch.read_bytes())
                assert ledger.gate().accepted
            elif self.what == "mv":
                if ledger.runs()[0].tree == self.before.candidate:
                    ledger.move([b"dir"], b"moved")
            else:
                ledger.rebase()

    def _assert_whole(self) -> None:
        """Every path is old or new, and what was not handed over is as it was, byte for byte."""
        for path, file in self.book.work_files().items():
            ours = path.rpartition(b"/")[2].startswith(b".ledger-") or file.mode == MODE_GITLINK
            assert ours or file in (self.before.files.get(path), self.after.files.get(path)), path
        for path, file in self.dirt.items():
            assert self.book.path(path).read_bytes() == file.data

    def _assert_accepted_is_measured(self) -> None:
        """What is accepted was measured by every strict gate, and what is rolled back by one that failed."""
        with Ledger.open(self.place) as ledger:
            events = list(ledger.events())
            history = History.of(events)
        measured = [event for event in events if isinstance(event, GateMeasured)]
        assert isinstance(history.policy, Policy)
        if history.is_accepted(history.candidate.tree):
            passed = {e.gate for e in measured if e.tree == history.candidate.tree and e.verdict == "pass"}
            assert passed >= set(history.policy.strict)
        for event in events:
            if isinstance(event, PatchRolledBack):
                failed = [each for each in measured if each.v in event.measured]
                assert [each.verdict for each in failed] == ["fail"]
        rebased = [event for event in events if isinstance(event, RunRebased)]
        survivors = [e for e in events if isinstance(e, PatchApplied) and e.cause == "rebase"]
        assert len(survivors) == 2 * len(rebased)

    def _assert_sound(self, *, retry: bool) -> None:
        assert list((self.place / ".git").rglob("*.lock")) == []
        self.book.git("status", "--porcelain")
        self.book.git("fsck", "--strict", "--no-dangling")
        with Ledger.open(self.place) as ledger:
            found = damage(ledger)
        # The accepted ref follows with the next round of gates, and says so until then.
        assert [line for line in found if retry or "`ledger gate` brings it up" not in line] == []


@pytest.fixture(params=["gate", "apply-gate", "rebase-hard", "rebase-soft", "rebase-mixed", "mv"])
def scene(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GateScene:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    for name, value in IDENTITY.items():
        monkeypatch.setenv(name, value)
    return GateScene(tmp_path, request.param)


def test_killed_at_random_moments(scene: GateScene, rounds: Callable[[int, int], int]) -> None:
    """Moments spread over the whole of each command; the next writing command ends what was begun."""
    scene.again()
    began = time.perf_counter()
    scene.start()(None)
    took_s = time.perf_counter() - began
    rng = random.Random(scene.what)
    count = rounds(8, 400)
    for number in range(count):
        scene.again()
        scene.start()(rng.uniform(number, number + 1) / count * took_s)
        scene.assert_recovers(retry=number % 2 == 0)


CHANGING = "rename,renameat,renameat2,unlink,unlinkat,mkdir,rmdir,link,linkat,symlinkat,fsync,fdatasync,flock"


@pytest.mark.needs("strace")
def test_killed_at_every_change_of_the_disk(
    scene: GateScene, rounds: Callable[[int, int], int], tmp_path: Path
) -> None:
    """Killed on entry of each system call that makes a change last; short runs take every n-th."""
    scene.again()
    trace = tmp_path / "trace"
    strace = ["strace", "-qq", "-o", str(trace), "-e", f"trace={CHANGING}"]
    command = [*ledger_command(), *scene.arguments]
    subprocess.run([*strace, *command], cwd=scene.place, check=False, capture_output=True)
    counter: Counter[str] = Counter()
    moments: list[tuple[str, int]] = []
    for call in re.findall(r"^(\w+)\(", trace.read_text("utf-8", "replace"), re.MULTILINE):
        counter[call] += 1
        moments.append((call, counter[call]))
    assert len(moments) > 15
    stride = rounds(max(1, len(moments) // 6), 1)
    killed = 0
    for number, (call, nth) in enumerate(moments[::stride]):
        scene.again()
        inject = f"inject={call}:signal=KILL:when={nth}"
        done = subprocess.run(
            [*strace, "-e", inject, *command], cwd=scene.place, check=False, capture_output=True
        )
        # A call may be missing this time (a compiled file that is there by now): then it ran through.
        assert done.returncode in (-9, 137, 0, 1), done
        killed += done.returncode not in (0, 1)
        scene.assert_recovers(retry=number % 2 == 1)
    assert killed > len(moments[::stride]) // 2
