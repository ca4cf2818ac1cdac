"""Many writers on one ledger: linked work trees with a run each, readers that poll, and holders that die."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event as Flag
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from book import Book, File, assert_state, damage, recorded_trees

from ledger import workspace as workspace_module
from ledger.api import Ledger
from ledger.errors import Busy
from ledger.stamps import Stamp
from ledger.store.local import LocalStore
from ledger.store.locks import Lock
from ledger.store.reader import LogReader

WRITERS = 8
READERS = 2
FEWEST = 3
"""Patches of each writer, however slow the machine."""
LINES = 50
# Asked here: the seal around each test takes the variable away.
SHORT_S = 60 if os.environ.get("CI") else 15

spawn = multiprocessing.get_context("spawn")


def seconds(*, campaign: bool) -> float:
    """Return how long the writers write: a minute where it counts."""
    return 600 if campaign else SHORT_S


def content(number: int) -> bytes:
    return b"".join(b"%d %d\n" % (line, number if line == LINES // 2 else 0) for line in range(LINES))


def diff_of(number: int) -> bytes:
    """Return a patch from one content of ``work.txt`` to the next, as anybody would write it."""
    at = LINES // 2
    return b"--- a/work.txt\n+++ b/work.txt\n@@ -%d,3 +%d,3 @@\n %d 0\n-%d %d\n+%d %d\n %d 0\n" % (
        at,
        at,
        at - 1,
        at,
        number,
        at,
        number + 1,
        at + 1,
    )


def write_with_python(root: Path, until: float, sender: Connection) -> None:
    """Write to the run of one work tree: patches, phases and edits by hand, each acknowledged one reported."""
    acknowledged: list[str] = []
    with Ledger.open(root) as ledger, ledger.run(f"work in {root.name}", name=root.name) as run:
        number = 0
        while time.time() < until or number < FEWEST:
            acknowledged.append(run.apply(diff_of(number)).event)
            number += 1
            if number % 5 == 0:
                acknowledged.append(ledger.enter_phase("P3" if number % 2 else "P2").reference)
            if number % 7 == 0:
                (root / "by hand.txt").write_bytes(b"%d\n" % number)
                acknowledged.append(run.record().event)
    sender.send(acknowledged)


def write_with_command(root: Path, until: float, sender: Connection) -> None:
    """Write as `write_with_python` does, each time with a new process of the real command."""
    acknowledged: list[str] = []

    def ledger(*words: str, data: bytes = b"") -> None:
        command = [str(Path(sys.executable).with_name("ledger")), *words]
        done = subprocess.run(command, cwd=root, input=data, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        acknowledged.extend(done.stdout.decode().split())

    ledger("run", "start", root.name, "--name", root.name)
    acknowledged.clear()
    number = 0
    while time.time() < until or number < FEWEST:
        ledger("apply", "-", data=diff_of(number))
        number += 1
    sender.send(acknowledged)


def read_again_and_again(root: Path, done: Flag, sender: Connection) -> None:
    """Poll with one reader that stays open, and one that is new each time: what was seen stays, in its place."""
    kept = LogReader(root)
    seen: list[str] = []
    polls = 0
    while not done.is_set():
        for reader in (kept, LogReader(root)):
            heads = dict(reader.heads())
            frames = list(reader.frames())
            hashes = [frame.h for frame in frames]
            assert hashes[: len(seen)] == seen, "an event that was seen has vanished or changed"
            assert [frame.s for frame in frames] == list(range(1, len(frames) + 1))
            assert all(frames[head.position - 1].event.v == head.v for head in heads.values())
            seen = hashes
        polls += 1
    sender.send((polls, seen))


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Book, list[Path]]:
    """A repository and its linked work trees, one for each writer but the first."""
    book = Book(tmp_path / "main", {b"work.txt": File(content(0))})
    roots = [book.root]
    for number in range(1, WRITERS):
        roots.append(tmp_path / f"tree{number}")
        book.git("worktree", "add", "--quiet", "--detach", str(roots[-1]))
    return book, roots


@pytest.mark.campaign
@pytest.mark.timeout(1200)
def test_eight_writers_in_linked_work_trees(
    trees: tuple[Book, list[Path]], request: pytest.FixtureRequest
) -> None:
    """Gapless positions, a valid chain, each run's versions in order, every acknowledged event there once."""
    book, roots = trees
    ledger_dir = book.root / ".git/ledger"
    LocalStore.open(ledger_dir, Stamp(), create=True).close()
    until = time.time() + seconds(campaign=bool(request.config.getoption("--campaign")))
    done, processes, answers = spawn.Event(), [], []
    for root in roots:
        receiver, sender = spawn.Pipe(duplex=False)
        write = write_with_command if root == roots[-1] else write_with_python
        processes.append(spawn.Process(target=write, args=(root, until, sender)))
        answers.append(receiver)
    polls = []
    for _ in range(READERS):
        receiver, sender = spawn.Pipe(duplex=False)
        processes.append(spawn.Process(target=read_again_and_again, args=(ledger_dir, done, sender)))
        polls.append(receiver)
    for process in processes:
        process.start()
    acknowledged = [answer.recv() for answer in answers]
    done.set()
    seen = [poll.recv() for poll in polls]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * len(processes)

    frames = list(LogReader(ledger_dir).frames())
    assert [frame.s for frame in frames] == list(range(1, len(frames) + 1))
    for count, hashes in seen:
        assert count > 1
        assert [frame.h for frame in frames[: len(hashes)]] == hashes
    events = [frame.event for frame in frames]
    assert len({event.id for event in events}) == len(events)
    recorded = Counter(event.reference for event in events)
    assert set(recorded.values()) == {1}
    print(
        f"{len(events)} events, {[len(each) for each in acknowledged]} acknowledged, polls {[n for n, _ in seen]}"
    )
    for root, references in zip(roots, acknowledged, strict=True):
        mine = [event for event in events if event.run == root.name]
        assert [event.v for event in mine] == list(range(1, len(mine) + 1))
        # Beside what was acknowledged there are the run's first two events, and a finish where a context ends.
        rest = [event.kind for event in mine if event.reference not in set(references)]
        assert rest[:2] == ["run.started/1", "policy.set/1"]
        assert set(rest[2:]) <= {"run.finished/1"}
        assert len(references) >= FEWEST
    with Ledger.open(book.root) as ledger:
        assert damage(ledger) == []
        for root in roots:
            last = [event.v for event in ledger.events(root.name)][-1]
            assert_state(ledger, book, root.name, last, recorded_trees(ledger, root.name)[last])
            assert (
                Book.line(book, "-C", str(root), "status", "--porcelain", "--untracked-files=no").count(" M")
                == 0
            )


# ── holders that die, stop, or keep waiting ──────────────────────────────────────────────────────


def hold(path: Path, sender: Connection) -> None:
    """Hold a lock until killed."""
    with Lock(path):
        sender.send(True)
        time.sleep(120)


@pytest.fixture
def holder(trees: tuple[Book, list[Path]]) -> Iterator[Callable[[str], int]]:
    """Starts a process that holds one of the ledger's locks, and returns its id; killed at the end."""
    started: list[SpawnProcess] = []
    with Ledger.open(trees[0].root) as ledger:
        ledger.run("work", name="work")

    def start(name: str) -> int:
        receiver, sender = spawn.Pipe(duplex=False)
        process = spawn.Process(target=hold, args=(trees[0].root / ".git/ledger/locks" / name, sender))
        process.start()
        started.append(process)
        sender.close()  # so that a process which never came up is an end of file here
        assert receiver.recv()
        assert process.pid is not None
        return process.pid

    yield start
    for process in started:
        process.kill()
        process.join()


@pytest.mark.parametrize("name", ["append", "sync", "tree.main"])
def test_a_killed_holder_blocks_nobody(
    trees: tuple[Book, list[Path]], holder: Callable[[str], int], name: str
) -> None:
    """The system frees a lock with the process that held it, whatever the lock's file says."""
    os.kill(holder(name), signal.SIGKILL)
    began = time.monotonic()
    with Ledger.open(trees[0].root) as ledger:
        assert ledger.apply(diff_of(0)).event == "work:3"
    assert time.monotonic() - began < 10


def test_a_stopped_holder_of_a_work_tree_is_named_in_time(
    trees: tuple[Book, list[Path]], holder: Callable[[str], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands in that work tree are told after the timeout; another work tree is not concerned; reading goes on."""
    monkeypatch.setattr(workspace_module, "LOCK_TIMEOUT_S", 0.3)
    pid = holder("tree.main")
    os.kill(pid, signal.SIGSTOP)
    with Ledger.open(trees[0].root) as ledger:
        with pytest.raises(Busy) as busy:
            ledger.apply(diff_of(0))
        assert busy.value.path.name == "tree.main"
        assert [event.v for event in ledger.events()] == [1, 2]
        assert ledger.status().run is not None
    with Ledger.open(trees[1][1]) as other:
        assert other.apply(diff_of(0)).started != ""
    os.kill(pid, signal.SIGKILL)
    with Ledger.open(trees[0].root) as ledger:
        assert ledger.apply(diff_of(0)).event == "work:3"


def apply_one(root: Path, sender: Connection) -> None:
    with Ledger.open(root) as ledger:
        sender.send(ledger.apply(diff_of(0)).event)


def test_a_stopped_holder_of_the_append_lock_is_waited_for(
    trees: tuple[Book, list[Path]], holder: Callable[[str], int]
) -> None:
    """Who stops a process in the middle of an append stops the writers, never the readers; then all go on."""
    pid = holder("append")
    os.kill(pid, signal.SIGSTOP)
    receiver, sender = spawn.Pipe(duplex=False)
    writer = spawn.Process(target=apply_one, args=(trees[0].root, sender))
    writer.start()
    assert not receiver.poll(1.5)
    assert writer.is_alive()
    with Ledger.open(trees[0].root) as ledger:
        assert [event.v for event in ledger.events()] == [1, 2]
    os.kill(pid, signal.SIGKILL)
    assert receiver.poll(30)
    assert receiver.recv() == "work:3"
    writer.join()


# ── a process that forks, a clock that jumps ─────────────────────────────────────────────────────


MANY = "select count(distinct range % 1000) * count(distinct position) from range(2_000_000), events"
"""More than one thread works on it."""


def work_in_fork(ledger: Ledger, sender: Connection) -> None:
    """Use the parent's ledger: read, write, and ask SQL in vain."""
    said = ""
    try:
        ledger.sql(MANY)
    except RuntimeError as error:
        said = str(error)
    applied = ledger.apply(diff_of(0)).event
    sender.send((said, applied, [event.v for event in ledger.events()]))
    sender.close()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_an_open_ledger_survives_a_fork(trees: tuple[Book, list[Path]]) -> None:
    """After a fork both sides read and write through the ledger that was open; SQL is refused, not waited for."""
    fork = multiprocessing.get_context("fork")
    with Ledger.open(trees[0].root) as ledger:
        ledger.run("work", name="work")
        assert ledger.sql(MANY).fetchall() == [(2000,)]
        receiver, sender = fork.Pipe(duplex=False)
        child = fork.Process(target=work_in_fork, args=(ledger, sender))
        child.start()
        assert receiver.poll(60), "the child hangs"
        said, applied, versions = receiver.recv()
        assert "does not survive a fork" in said
        assert (applied, versions) == ("work:3", [1, 2, 3])
        child.join(30)
        assert child.exitcode == 0
        assert ledger.apply(diff_of(1)).event == "work:4"
        assert ledger.sql("select count(*) from events").fetchall() == [(4,)]
        assert damage(ledger) == []


def test_a_clock_that_goes_backwards_changes_labels_alone(trees: tuple[Book, list[Path]]) -> None:
    """Order is position: with an hour taken back in the middle all works, and times say what the clock said."""
    hour_ns = 3600 * 10**9
    now = [1_700_000_000 * 10**9]

    def clock() -> int:
        now[0] += 1_000_000
        return now[0]

    root = trees[0].root
    with Ledger.open(root, stamp=Stamp(clock=clock)) as ledger:
        for number in range(3):
            ledger.apply(diff_of(number))
        now[0] -= hour_ns
        for number in range(3, 6):
            ledger.apply(diff_of(number))
        ledger.undo()
        ledger.finish()
        events = list(ledger.events())
        times = [event.at_ns for event in events]
        assert [event.v for event in events] == list(range(1, 11))
        assert times != sorted(times)
        assert len({event.id for event in events}) == len(events)
        run = events[0].run
        trees_at = recorded_trees(ledger, run)
        for v in (5, 6, 10):
            assert_state(ledger, trees[0], run, v, trees_at[v])
        # A question by position, and one by time: the latter gives what the clock said.
        rows = ledger.sql(
            "select v from events where recorded_at > make_timestamp($at_us::bigint) order by v",
            {"at_us": (now[0] + hour_ns) // 1000 - 10_000_000},
        )
        assert [v for (v,) in rows.fetchall()] == [1, 2, 3, 4, 5]
        assert damage(ledger) == []
