"""Work on a real store under a recorder, the crash states of that work, and what must hold in each of them.

A state is named by its numbers, ``<seed>:<point>:<number>``, and ``python tests/faults/crash_lab.py <name>`` makes
that one again and checks it: everything random comes from the name.
"""

from __future__ import annotations

import itertools
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, TypeAlias

import pygit2
import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "ledger"))
import second_reader  # pyright: ignore[reportMissingImports] - its folder is added above
from disk_model import Disk, Operation, Tree, Write
from recorder import Killed, Recorder, read_tree, write_tree

from ledger.errors import DamagedLedger, LedgerError, LostRace, UnsyncedLog
from ledger.events import ApplyOptions, Event, PatchRefused, RunStarted
from ledger.frames import Frame
from ledger.repository import Repository
from ledger.stamps import Actor, Stamp
from ledger.store import disk as disk_module
from ledger.store.local import LocalStore
from ledger.verification import verify
from ledger.witnesses import Witnesses

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
RUNS = ("build", "port", "trim")
SEGMENT_SIZE_BYTES = 3500
_FRAME = re.compile(rb'\{"h":"([0-9a-f]{64})"')


class Kept(NamedTuple):
    """An event was acknowledged, or shown to a reader: the frame at that position has that hash for ever."""

    position: int
    hash: str
    acknowledged: bool


class KeptBody(NamedTuple):
    """A body was acknowledged."""

    digest: str
    data: bytes


Entry: TypeAlias = Operation | Kept | KeptBody


class Promises:
    """What was promised up to a point of a trace, and every frame that anybody tried to write by then."""

    def __init__(self, before: Promises | None = None) -> None:
        self.frames: dict[int, str] = {} if before is None else dict(before.frames)
        self.acknowledged: set[int] = set() if before is None else set(before.acknowledged)
        self.bodies: dict[str, bytes] = {} if before is None else dict(before.bodies)
        self.written: set[str] = set() if before is None else set(before.written)

    def add(self, entry: Entry) -> None:
        match entry:
            case Kept(position, digest, acknowledged):
                self.acknowledged |= {position} if acknowledged else set()
                assert self.frames.setdefault(position, digest) == digest, (
                    "two events were promised one position"
                )
            case KeptBody(digest, data):
                self.bodies[digest] = data
            case Write(_, _, data):
                self.written |= {found.decode() for found in _FRAME.findall(data)}
            case _:
                pass


class Author:
    """Makes events and bodies: a clock that ticks, ids that count, and no randomness but the given."""

    def __init__(self, rng: Random, first: int) -> None:
        self.rng = rng
        ticks, counter = itertools.count(1_700_000_000_000_000_000 + first, 1_000_000), itertools.count(first)
        self.stamp = Stamp(
            Actor("agent", "tester", "s1"),
            lambda: next(ticks),
            lambda size: next(counter).to_bytes(size, "big"),
        )

    def body(self) -> bytes:
        size = self.rng.choice((0, 1, 40, 511, 512, 700, 1600))
        return bytes([self.rng.randrange(3)]) * size

    def event(self, run: str, body: str, *, first: bool = False) -> Event:
        at_ns = self.stamp.clock()
        identity = {"id": self.stamp.new_id(at_ns), "run": run, "at_ns": at_ns, "actor": self.stamp.actor}
        if first:
            place = {"title": run, "work_tree": "", "head": None, "branch": None, "base_tree": EMPTY_TREE}
            return RunStarted(**identity, **place, listing=body)
        what = {
            "base_tree": EMPTY_TREE,
            "patch_size_bytes": 0,
            "options": ApplyOptions(),
            "error": "HunkMismatch",
        }
        return PatchRefused(**identity, **what, patch=body, reason=body)


class Writer(LocalStore):
    """A store between whose unlock and sync another process may do something."""

    meanwhile: Callable[[], None] | None = None

    def _sync(self, last: Frame) -> None:
        if self.meanwhile is not None:
            act, self.meanwhile = self.meanwhile, None
            act()
        super()._sync(last)


class Work:
    """A random program of two long-lived writers and passing readers, on one recorded ledger."""

    def __init__(self, recorder: Recorder, root: Path, author: Author) -> None:
        self.recorder, self.root, self.author, self.rng = recorder, root, author, author.rng
        self.writers: list[Writer | None] = [None, None]
        self.again: tuple[list[Event], int] | None = None
        self.done: Counter[str] = Counter()

    def run(self, steps: int) -> None:
        """Do so many things, any of which a process may die in."""
        actions = (
            (self.append, 12),
            (self.retry, 3),
            (self.append_meanwhile, 2),
            (self.read, 2),
            (self.reopen, 2),
            (self.fail_sync, 1),
            (self.fail_write, 1),
        )
        choices, weights = zip(*actions, strict=True)
        for action in self.rng.choices(choices, weights, k=steps):
            if self.rng.random() < 0.15:
                self.recorder.kill_in, self.recorder.kill_share = self.rng.randrange(20), self.rng.random()
            number = self.rng.randrange(len(self.writers))
            try:
                action(number)
                self.done[action.__name__] += 1
            except Killed:
                self.done["killed"] += 1
                self.recorder.dead = False
                self.close(number)
            except DamagedLedger as error:
                raise AssertionError("a false alarm while the system runs") from error
            except (UnsyncedLog, LostRace, OSError) as error:
                self.done[type(error).__name__] += 1
            self.recorder.kill_in, self.recorder.fail_sync, self.recorder.fail_write = None, "", ""
        for number in range(len(self.writers)):
            self.close(number)

    def close(self, number: int) -> None:
        writer, self.writers[number] = self.writers[number], None
        if writer is not None:
            writer.close()

    def writer(self, number: int) -> Writer:
        writer = self.writers[number]
        if writer is None:
            writer = self.writers[number] = Writer.open(self.root, self.author.stamp, create=True)
        return writer

    def append(self, number: int) -> None:
        writer = self.writer(number)
        body = self.author.body()
        digest = writer.write_body(body)
        self.recorder.trace.append(KeptBody(digest, body))
        run, expected_v = self.rng.choice(RUNS), None
        if self.rng.random() < 0.5:
            head = writer.heads().get(run)
            expected_v = 1 if head is None else head.v + 1
        count = self.rng.choice((1, 1, 1, 2, 4))
        events = [self.author.event(run, digest, first=expected_v == 1 and not n) for n in range(count)]
        if expected_v is not None:
            self.again = events, expected_v
        self.keep(writer.append(events, expected_v))

    def retry(self, number: int) -> None:
        """Append what may have happened already once more."""
        if self.again is not None:
            self.keep(self.writer(number).append(*self.again))

    def append_meanwhile(self, number: int) -> None:
        """The other process appends between this one's unlock and its sync."""
        self.writer(number).meanwhile = lambda: self.append(1 - number)
        self.append(number)

    def read(self, number: int) -> None:
        self.writer(number)
        shown = tuple(LocalStore.open(self.root, self.author.stamp).frames())
        self.recorder.trace.extend(Kept(frame.s, frame.h, acknowledged=False) for frame in shown)

    def reopen(self, number: int) -> None:
        self.close(number)
        self.append(number)

    def fail_sync(self, number: int) -> None:
        self.recorder.fail_sync = "log/"
        self.append(number)

    def fail_write(self, number: int) -> None:
        self.recorder.fail_write = "log/"
        self.append(number)

    def keep(self, frames: tuple[Frame, ...]) -> None:
        self.recorder.trace.extend(Kept(frame.s, frame.h, acknowledged=True) for frame in frames)


class BrokenPromise(AssertionError):
    """A promise does not hold in one state; the cause says which."""

    def __init__(self, name: str, happened: str, state: Tree) -> None:
        files = "".join(
            f"\n  {path}" + (f" {len(data)}" if data is not None else "/") for path, data in state.items()
        )
        super().__init__(f"state {name}: {happened}\nagain: python tests/faults/crash_lab.py {name}{files}")


class Least(Random):
    """Chooses the least that a disk may hold: what was synced, and nothing else."""

    def random(self) -> float:
        return 0.999

    def choice(self, seq: Any) -> Any:
        return seq[0]

    def randint(self, a: int, b: int) -> int:
        return a


class Lab:
    """One scratch directory, one boot id at a time, and the store that is tried in it."""

    def __init__(self, scratch: Path, patch: pytest.MonkeyPatch, repository: Repository) -> None:
        self.scratch, self.repository = scratch, repository
        self.boots = 1
        original = disk_module.boot_id
        for name, module in list(sys.modules.items()):
            if name.startswith("ledger.") and getattr(module, "boot_id", None) is original:
                patch.setattr(module, "boot_id", lambda: f"boot-{self.boots}")
        patch.setattr("ledger.store.writer.SEGMENT_SIZE_BYTES", SEGMENT_SIZE_BYTES)
        self.states: set[bytes] = set()

    def explore(self, seed: int, each: int, only: str = "") -> Counter[str]:
        """Check ``each`` states at every point of one program's trace, or the one state of a name.

        Returns:
            How often the program did what.
        """
        self.boots = 1
        trace, done = self.record({}, Random(seed))
        self._explore(str(seed), trace, {}, Promises(), each, only)
        return done

    def record(self, start: Tree, rng: Random, steps: int = 14) -> tuple[list[Entry], Counter[str]]:
        """Return the trace of one random program that finds ``start``, and how often it did what."""
        place = self.scratch / f"work-{self.boots}"
        write_tree(place, start)
        trace: list[Entry] = []
        with pytest.MonkeyPatch.context() as patch:
            recorder = Recorder(place, trace)
            recorder.install(patch)
            work = Work(recorder, place / "ledger", Author(rng, self.boots * 10_000))
            work.run(steps)
        recorder.assert_complete()
        shutil.rmtree(place)
        return trace, work.done

    def _explore(
        self, name: str, trace: list[Entry], start: Tree, promises: Promises, each: int, only: str = ""
    ) -> None:
        for point, disk in points(trace, start, promises):
            for number in range(each):
                state = f"{name}:{point}:{number}"
                if only in ("", state):
                    self._try(state, trace[point:], disk, promises, least=number == 0)

    def _try(self, name: str, rest: list[Entry], disk: Disk, promises: Promises, *, least: bool) -> None:
        """Make one state and check it, and sometimes work on in it until that crashes too.

        Raises:
            AssertionError: A promise was broken; the message has the state's name and files.
        """
        rng = Random(name)
        reboots = least or rng.random() < 0.85
        state = disk.after_crash(Least() if least else rng) if reboots else killed(disk, rest, rng)
        before, self.boots = self.boots, self.boots + reboots
        looks = digest(state, self.boots, promises)
        if looks in self.states:
            self.boots = before
            return
        self.states.add(looks)
        place = self.scratch / f"state-{self.boots}"
        write_tree(place, state)
        try:
            self.assert_sound(place / "ledger", promises, rng)
            if reboots and self.boots == 2 and rng.random() < 0.01:
                again, _ = self.record(state, rng, steps=4)
                self._explore(f"{name}/again", again, state, Promises(promises), 1)
        except (AssertionError, LedgerError, OSError) as error:
            if isinstance(error, BrokenPromise):
                raise
            happened = "the power failed" if reboots else "a process was killed"
            raise BrokenPromise(name, happened, state) from error
        finally:
            self.boots = before
            shutil.rmtree(place)

    def assert_sound(self, root: Path, promises: Promises, rng: Random) -> None:
        """A reader sees what was promised and nothing made up; a writer goes on from there; all is as it was."""
        author = Author(rng, self.boots * 10_000 + 5_000)
        before = read_tree(root) if root.exists() else {}
        seen: list[Frame] = []
        if promises.frames or (root / "FORMAT").exists():
            seen = list(LocalStore.open(root, author.stamp).frames())
            assert read_tree(root) == before, "reading changed something"
        assert_kept(seen, promises, in_doubt=(root / f"unsynced.boot-{self.boots}").exists())
        writer = LocalStore.open(root, author.stamp, create=True)
        body = writer.write_body(b"after the crash")
        head = writer.heads().get("build")
        added = writer.append([author.event("build", body, first=head is None), author.event("build", body)])
        again = LocalStore.open(root, author.stamp)
        frames = list(again.frames())
        assert frames[: len(seen)] == seen, "what a reader saw is there no more"
        assert [frame.h for frame in frames[-2:]] == [frame.h for frame in added]
        assert_kept([frame for frame in frames if frame.h in promises.written], promises)
        for digest_, data in promises.bodies.items():
            assert again.read_body(digest_) == data
        writer.close()
        assert_verified(again, self.repository)
        assert [found.h for found in second_reader.read_frames(root)] == [frame.h for frame in frames]


def points(trace: list[Entry], start: Tree, promises: Promises) -> Iterator[tuple[int, Disk]]:
    """Yield every place between two operations with the disk there, and bring the promises up to it."""
    disk = Disk(start)
    for point, entry in enumerate(trace):
        promises.add(entry)
        if isinstance(entry, Operation):
            disk.apply(entry)
            yield point + 1, disk


def killed(disk: Disk, rest: list[Entry], rng: Random) -> Tree:
    """Return what a killed process leaves: all that it did, and a part of a write that it was in."""
    state = disk.tree()
    following = next((entry for entry in rest if isinstance(entry, Operation)), None)
    if isinstance(following, Write) and rng.random() < 0.5:
        partial = Disk(state)
        part = following.data[: rng.randrange(len(following.data) + 1)]
        number = _same_node(disk, following.node, partial)
        if number is not None:
            partial.apply(Write(number, following.offset, part))
        return partial.tree()
    return state


def _same_node(disk: Disk, node: int, other: Disk) -> int | None:
    """Return the node of ``other`` under the path that ``node`` has on ``disk``, None where it has none."""
    return next((other.find(path) for path in disk.tree() if disk.find(path) == node), None)


def assert_kept(frames: list[Frame], promises: Promises, *, in_doubt: bool = False) -> None:
    """The log is whole groups that were written, one after another, with everything promised in its place.

    Args:
        frames: What a reader is shown.
        promises: What was promised.
        in_doubt: A sync failed: until the next append has written anew what is in doubt, readers stop at what
            was acknowledged.
    """
    assert [frame.s for frame in frames] == list(range(1, len(frames) + 1))
    assert {frame.h for frame in frames} <= promises.written, "a frame that nobody wrote"
    remaining = 0
    for frame in frames:
        assert remaining in (0, frame.n + 1), "a group is not whole"
        remaining = frame.n
    assert remaining == 0, "the last group is not whole"
    found = {frame.s: frame.h for frame in frames}
    for position, promised in promises.frames.items():
        waits = in_doubt and position not in promises.acknowledged and position not in found
        assert waits or found.get(position) == promised, (
            f"position {position} was promised; the log has {sorted(found)}"
        )


def assert_verified(store: LocalStore, repository: Repository) -> None:
    """`ledger verify` finds the log and the bodies in order."""
    wanted = {"log", "bodies"}
    for finding in verify(store, repository, Witnesses()):
        assert finding.subject not in wanted or finding.outcome == "ok", finding
        wanted.discard(finding.subject)
        if not wanted:
            return
    raise AssertionError(f"nothing was said of {wanted}")


def digest(state: Tree, boot: int, promises: Promises) -> bytes:
    """Return what is equal for equal states with the same to hold, whatever temporary files are called."""
    files = sorted((path.partition("/.")[0], data or b"") for path, data in state.items())
    held = len(promises.frames), len(promises.acknowledged), len(promises.bodies)
    return sha256(repr((boot, held, files)).encode()).digest()


def main(name: str) -> None:
    """Check the one state of that name again."""
    with tempfile.TemporaryDirectory() as scratch, pytest.MonkeyPatch.context() as patch:
        pygit2.init_repository(f"{scratch}/repository")
        lab = Lab(Path(scratch), patch, Repository.open(Path(scratch, "repository")))
        first, _, _ = name.partition("/")
        seed, _, number = first.split(":")
        lab.explore(int(seed), int(number) + 1, only=first)
        print(f"{first}: {len(lab.states)} states hold what was promised")


if __name__ == "__main__":
    main(sys.argv[1])
