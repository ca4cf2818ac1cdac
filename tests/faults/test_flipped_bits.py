"""One bit flipped anywhere in a closed ledger, or one file gone: found, and never repaired by throwing bytes away."""

from __future__ import annotations

import itertools
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "ledger"))
from book import Book, File  # pyright: ignore[reportMissingImports] - its folder is added above
from recorder import read_tree

from ledger.api import Ledger
from ledger.errors import DamagedLedger, LedgerError, NewerFormat
from ledger.events import LEDGER_RUN, LedgerRecovered
from ledger.frames import Cursor
from ledger.repository import Repository
from ledger.stamps import Stamp
from ledger.store.local import LocalStore
from ledger.verification import verify
from ledger.witnesses import Witnesses

LOG = ("log/*", "FORMAT")
"""What a writer reads: it refuses to append where a bit of it is another."""
CONTENT = ("bodies/*/*",)
"""What only readers read."""
MARKS = ("durable",)
"""What may be lost without harm."""


class Closed:
    """A closed ledger with every kind of file in it, copied out of its repository."""

    def __init__(self, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ledger.store.writer.SEGMENT_SIZE_BYTES", 2500)
        # Sealed segments have a closed ledger of their own below.
        monkeypatch.setattr("ledger.store.local.LocalStore.seal_closed", lambda _: [])
        base = {b"a.txt": File(b"one\n"), b"b.txt": File(b"two\n")}
        book = Book(scratch / "repo", base)
        trees = [book.write_tree(base | {b"a.txt": File(b"one\n" * n)}) for n in range(1, 4)]
        with Ledger.open(book.root) as ledger:
            for _ in range(2):
                for old, new in itertools.pairwise(trees):
                    ledger.apply(book.diff(old, new))
                ledger.finish()
                book.git("checkout", "--quiet", "HEAD", "--", ".")
            assert {finding.outcome for finding in ledger.verify()} <= {"ok", "unproved"}
        self.root = scratch / "ledger"
        shutil.copytree(book.root / ".git/ledger", self.root)
        self.repository = Repository.open(book.root)
        self.heads = (self.root / "cache/heads").read_bytes()
        for name in ("cache", "staging", "quarantine"):
            shutil.rmtree(self.root / name, ignore_errors=True)
        (self.root / "cache").mkdir()
        (self.root / "quarantine").mkdir()
        self.files = read_tree(self.root)

    def matching(self, patterns: tuple[str, ...]) -> list[Path]:
        return sorted(path for pattern in patterns for path in self.root.glob(pattern))

    def findings(self) -> list[str]:
        """Return what is said against the log and the bodies: by `verify`, or by the store that does not open."""
        try:
            store = LocalStore.open(self.root, Stamp())
        except LedgerError as error:
            return [str(error)]
        against: list[str] = []
        wanted = {"log", "bodies"}
        for finding in verify(store, self.repository, Witnesses()):
            if finding.subject in wanted and finding.outcome != "ok":
                against.append(finding.message)
            wanted.discard(finding.subject)
            if not wanted:
                break
        assert not wanted, f"nothing was said of {wanted}"
        return against

    def append(self) -> None:
        stamp = Stamp()
        at_ns = stamp.clock()
        store = LocalStore.open(self.root, stamp)
        event = LedgerRecovered(
            id=stamp.new_id(at_ns), run=LEDGER_RUN, at_ns=at_ns, actor=stamp.actor, position=1, quarantine="", size_bytes=0
        )  # fmt: skip
        try:
            store.append([event])
        finally:
            store.close()

    def restore(self) -> None:
        shutil.rmtree(self.root)
        self.root.mkdir()
        for path, data in self.files.items():
            (self.root / path).mkdir() if data is None else (self.root / path).write_bytes(data)


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Closed]:
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as scratch:
        yield Closed(Path(scratch), monkeypatch)


def flips(path: Path, bits: Iterable[int]) -> Iterator[str]:
    """Flip one bit of a file after another, putting back each; yield which."""
    data = path.read_bytes()
    for bit in bits:
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        yield f"{path.name}, byte {bit // 8}, bit {bit % 8}"
    path.write_bytes(data)


def sample(path: Path, one_in: int) -> Iterator[int]:
    """Yield one bit of a file in so many, always the same ones."""
    rng = Random(one_in)
    return (bit for bit in range(8 * path.stat().st_size) if rng.randrange(one_in) == 0)


def heading_bits(path: Path) -> Iterator[int]:
    """Yield the bits of a segment's last frame that a parser could overlook: the letters' case, numbers, line feed."""
    data = path.read_bytes()
    start, end = data.rfind(b"\n", 0, -1) + 1, len(data) - 1
    hashes = data.index(b',"s":', start)
    for at in range(start, hashes):
        if chr(data[at]).isalpha():
            yield 8 * at + 5
    for at in (*range(hashes, data.index(b'"e":', start)), end):
        yield from range(8 * at, 8 * at + 8)


@pytest.mark.campaign
def test_a_flipped_bit_of_the_log_is_found_and_stops_writers(
    closed: Closed, rounds: Callable[[int, int], int]
) -> None:
    """`verify` says so, an append refuses, and not one byte of the ledger is another after it."""
    assert len(list(closed.root.glob("log/*"))) >= 3
    for path in closed.matching(LOG):
        heading = heading_bits(path) if path.suffix == ".jsonl" else range(8 * path.stat().st_size)
        for where in flips(path, itertools.chain(heading, sample(path, rounds(50, 1)))):
            before = read_tree(closed.root)
            assert closed.findings(), where
            with pytest.raises((DamagedLedger, NewerFormat)):
                closed.append()
            assert read_tree(closed.root) == before, where
    assert closed.findings() == []


@pytest.mark.campaign
def test_a_flipped_bit_is_not_swept_away_while_the_system_runs(
    closed: Closed, rounds: Callable[[int, int], int]
) -> None:
    """An append that trusts the heads reads no more than the last frame: it refuses, or goes on behind what is there."""
    last = max(closed.matching(("log/*",)))
    begins = last.read_bytes().rfind(b"\n", 0, -1) + 1
    outcomes: set[bool] = set()
    for path in closed.matching(("log/*",)):
        for where in flips(path, sample(path, rounds(300, 7))):
            (closed.root / "cache/heads").write_bytes(closed.heads)
            before = {each: each.read_bytes() for each in closed.matching(LOG)}
            refused = False
            try:
                closed.append()
            except DamagedLedger:
                refused = True
            outcomes.add(refused)
            at = int(where.split("byte ")[1].split(",")[0])
            assert refused or (path, at) < (last, begins), "the last frame is always looked at"
            assert all(each.read_bytes().startswith(data) for each, data in before.items()), where
            assert list((closed.root / "quarantine").iterdir()) == []
            assert closed.findings(), where
            closed.restore()
    assert outcomes == {True, False}


@pytest.mark.campaign
def test_a_flipped_bit_of_a_body_is_found(closed: Closed, rounds: Callable[[int, int], int]) -> None:
    """The body's digest is its name."""
    paths = closed.matching(CONTENT)
    assert len(paths) >= 3
    for path in paths:
        for where in flips(path, sample(path, rounds(4, 1))):
            assert any(path.name in found for found in closed.findings()), where
    assert closed.findings() == []


@pytest.mark.campaign
def test_a_flipped_bit_of_the_mark_costs_nothing(closed: Closed, rounds: Callable[[int, int], int]) -> None:
    """`durable` then says less, or the same: no false alarm, and the next append writes it anew."""
    for path in closed.matching(MARKS):
        for where in flips(path, sample(path, rounds(8, 1))):
            assert closed.findings() == [], where
            closed.append()
            assert closed.findings() == [], where
            closed.restore()


def test_a_file_that_is_gone_is_missed(closed: Closed) -> None:
    """Any one of them; and where the log has a hole nothing is appended."""
    for path in closed.matching(LOG + CONTENT):
        path.unlink()
        assert closed.findings(), path
        if path.suffix == ".jsonl":
            before = read_tree(closed.root)
            with pytest.raises(DamagedLedger):
                closed.append()
            assert read_tree(closed.root) == before
        closed.restore()
    assert closed.findings() == []


def test_every_file_of_a_ledger_is_tried(closed: Closed) -> None:
    """A kind of file that comes later has to be named above."""
    tried = {path.relative_to(closed.root).as_posix() for path in closed.matching(LOG + CONTENT + MARKS)}
    files = {path for path, data in closed.files.items() if data is not None}
    assert files - tried == {"locks/append", "locks/sync", "locks/tree.main"}


def test_a_store_that_calls_nothing_damage_would_be_noticed(
    closed: Closed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """These checks can fail: where every break is a torn tail, a flipped bit is cut off with all behind it."""
    for module in ("reader", "writer"):
        monkeypatch.setattr(f"ledger.store.{module}.damage_of", lambda *what, **how: None)
    monkeypatch.setattr("ledger.store.marks.DurableMark.read", lambda mark: Cursor())
    path = min(closed.matching(("log/*",)))
    for _ in flips(path, [8 * 100]):
        before = read_tree(closed.root)
        assert closed.findings() == []
        closed.append()
        assert read_tree(closed.root) != before
