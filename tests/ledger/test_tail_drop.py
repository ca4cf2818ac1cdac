"""What can be proved of a ledger that somebody has written to, with a checkpoint and without one.

The tables of ``docs/format.md``, "What can be proved", are the parameters: each cell is carried out on a
real ledger and must come out as the document says.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from book import Book, File
from forger import Forger, later

from ledger import Ledger
from ledger.errors import LedgerError
from ledger.findings import Finding
from ledger.keys import write_signing_key

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/format.md"
OLDER, NEWEST = 20, 140


class Bench:
    """A ledger of some age: what it was long ago, what it is now, and checkpoints of both.

    ``reach`` is what the attacker can write besides the ledger, ``outside`` what nobody can.
    """

    def __init__(self, root: Path) -> None:
        self.book = Book(root / "repo", {b"a.txt": File(b"one\n")})
        self.root, self.reach, self.outside = self.book.root / ".git/ledger", root / "reach", root / "outside"
        self.reach.mkdir()
        self.outside.mkdir()
        self.key = self.outside / "key.pem"
        write_signing_key(self.key, "example.com/audit")

    def grow(self, count: int) -> None:
        """Let the ledger have ``count`` events."""
        with Ledger.open(self.book.root) as ledger:
            while (self.root / "log").exists() is False or ledger.store.position() < count:
                ledger.enter_phase("P3")

    def keep(self, age: str) -> None:
        """Keep a copy of the directory, and checkpoints of it."""
        shutil.copytree(self.root, self.reach / f"{age}-copy")
        with Ledger.open(self.book.root) as ledger:
            (self.outside / f"{age}.unsigned").write_bytes(ledger.checkpoint().note)
            (self.outside / f"{age}.signed").write_bytes(ledger.checkpoint(key=self.key).note)
        shutil.copytree(self.outside, self.reach / f"{age}-checkpoints")

    def copy(self, to: Path) -> Bench:
        shutil.copytree(self.book.root.parent, to)
        twin = object.__new__(Bench)
        twin.book = object.__new__(Book)
        twin.book.root = to / "repo"
        twin.root, twin.reach, twin.outside = to / "repo/.git/ledger", to / "reach", to / "outside"
        twin.key = twin.outside / "key.pem"
        return twin

    def verify(self, *checkpoints: Path, signed: bool = False) -> list[Finding]:
        with Ledger.open(self.book.root) as ledger:
            return list(ledger.verify(checkpoints, [Path(f"{self.key}.pub")] if signed else []))


_made: dict[str, Bench] = {}


@pytest.fixture
def bench(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Bench:
    """A copy of a ledger of 140 events that is made once."""
    if "bench" not in _made:
        made = Bench(tmp_path_factory.mktemp("bench"))
        made.grow(OLDER)
        made.keep("older")
        made.grow(NEWEST)
        made.keep("newest")
        _made["bench"] = made
    return _made["bench"].copy(tmp_path / "bench")


# What the attacker does: the rows.


def drop_one(bench: Bench, forger: Forger) -> None:
    forger.drop(1)


def drop_many(bench: Bench, forger: Forger) -> None:
    forger.drop(100)


def drop_and_append(bench: Bench, forger: Forger) -> None:
    others = later(forger.events()[-10:])
    forger.forge(NEWEST - 9, others)


def drop_and_append_more(bench: Bench, forger: Forger) -> None:
    others = later(forger.events()[-10:])
    forger.forge(NEWEST - 9, others + later(others))


def put_older_back(bench: Bench, forger: Forger) -> None:
    durable = (bench.root / "durable").read_bytes()
    forger.put_back(bench.reach / "older-copy")
    if not forger.thorough:
        (bench.root / "durable").write_bytes(durable)


def rewrite_after_the_first(bench: Bench, forger: Forger) -> None:
    forger.forge(2, later(forger.events()[1:]))


def rewrite_everything(bench: Bench, forger: Forger) -> None:
    forger.forge(1, later(forger.events()))


def drop_what_came_after(bench: Bench, forger: Forger) -> None:
    """Of the three events past every checkpoint, the last one."""
    forger.drop(1)


def invent(bench: Bench, forger: Forger) -> None:
    forger.forge(NEWEST + 1, later(forger.events()[-3:]))


ATTACKS: dict[str, Callable[[Bench, Forger], None]] = {
    "the last event dropped": drop_one,
    "the last hundred dropped": drop_many,
    "the last ten dropped, ten others appended": drop_and_append,
    "the last ten dropped, twenty others appended": drop_and_append_more,
    "an older copy of the whole directory put back": put_older_back,
    "all after the first event written anew": rewrite_after_the_first,
    "all written anew": rewrite_everything,
    "an event dropped that came after the checkpoint": drop_what_came_after,
    "events appended by the attacker": invent,
}

# What the verifier has: the columns.


def nothing_else(bench: Bench) -> list[Finding]:
    return bench.verify()


def unsigned_outside(bench: Bench) -> list[Finding]:
    return bench.verify(bench.outside / "newest.unsigned")


def unsigned_in_reach(bench: Bench) -> list[Finding]:
    """The attacker lets the file say what the log is now."""
    file = bench.reach / "checkpoint"
    with Ledger.open(bench.book.root) as ledger:
        file.write_bytes(ledger.checkpoint().note)
    return bench.verify(file)


def signed_in_reach(bench: Bench) -> list[Finding]:
    """The attacker cannot sign, and puts an older checkpoint in the newest one's place."""
    return bench.verify(bench.reach / "older-checkpoints/older.signed", signed=True)


def signed_outside(bench: Bench) -> list[Finding]:
    return bench.verify(bench.outside / "newest.signed", signed=True)


COLUMNS: dict[str, tuple[bool, Callable[[Bench], list[Finding]]]] = {
    "`durable` untouched": (False, nothing_else),
    "nothing": (True, nothing_else),
    "unsigned, in reach": (True, unsigned_in_reach),
    "signed, in reach": (True, signed_in_reach),
    "unsigned, out of reach": (True, unsigned_outside),
    "signed, out of reach": (True, signed_outside),
}


def table() -> Iterator[tuple[str, str, str]]:
    """Yield every cell of the document's table: what was done, what the verifier has, what it says."""
    section = DOCUMENT.read_text("utf-8").partition("\n## What can be proved\n")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line[:1] == "|"
    ]
    start = next(index for index, row in enumerate(rows) if "`durable` untouched" in row)
    header, body = rows[start], rows[start + 2 :]
    for row in body:
        if len(row) != len(header):
            return
        for column, cell in zip(header[1:], row[1:], strict=True):
            yield row[0], column, cell


CELLS = list(table())


def test_the_document_and_this_file_speak_of_the_same() -> None:
    """No row, and no column, is without its test, and none of the tests without its row."""
    assert {(row, column) for row, column, _ in CELLS} == {
        (row, column) for row in ATTACKS for column in COLUMNS
    }


@pytest.mark.parametrize(("attack", "column", "said"), CELLS, ids=lambda text: re.sub(r"\W+", "-", text))
def test_what_is_found_is_what_the_document_says(bench: Bench, attack: str, column: str, said: str) -> None:
    """An attacker who knows the format is found, or not, exactly where the document says so."""
    thorough, look = COLUMNS[column]
    if attack == "an event dropped that came after the checkpoint":
        bench.grow(NEWEST + 3)
    ATTACKS[attack](bench, Forger(bench.root, thorough=thorough))
    outcomes = {finding.outcome for finding in look(bench) if finding.subject in ("log", "checkpoint")}
    found = "damaged" if "damaged" in outcomes else "failed" if "failed" in outcomes else "no"
    assert found == said
    if said == "no" and look is nothing_else:
        assert "unproved" in outcomes


def test_an_untouched_ledger_extends_every_checkpoint(bench: Bench) -> None:
    """The one that nobody touched is proved, and it is said how far: no false alarm in any column."""
    for thorough, look in COLUMNS.values():
        assert thorough in (True, False)
        assert {finding.outcome for finding in look(bench)} <= {"ok", "unproved"}
    (finding,) = [each for each in signed_outside(bench) if each.subject == "checkpoint"]
    assert finding.outcome == "ok"
    assert "proved up to position 140, nothing came after it; signed by example.com/audit" in finding.message
    bench.grow(NEWEST + 3)
    (finding,) = [each for each in unsigned_outside(bench) if each.subject == "checkpoint"]
    assert (
        "proved up to position 140, the 3 after it are not covered; no signature was checked"
        in finding.message
    )


def test_a_torn_tail_below_a_checkpoint_is_damage(bench: Bench) -> None:
    """A crash leaves such bytes only past what was acknowledged; the checkpoint says that these were."""
    forger = Forger(bench.root, thorough=False)
    forger.log.write_bytes(forger.log.read_bytes()[:-30])
    (bench.root / "durable").unlink()
    shutil.rmtree(bench.root / "cache")
    assert "damaged" not in {finding.outcome for finding in nothing_else(bench)}
    (finding,) = [each for each in unsigned_outside(bench) if each.outcome == "damaged"]
    assert "had 140 events when it was made, and is intact up to position 139 now" in finding.message


def test_a_recovery_below_a_checkpoint_stays_damage(bench: Bench) -> None:
    """The next writer cannot know of a checkpoint elsewhere and recovers; what it cut off is missed all the same."""
    forger = Forger(bench.root, thorough=False)
    forger.log.write_bytes(forger.log.read_bytes()[:-30])
    (bench.root / "durable").unlink()
    shutil.rmtree(bench.root / "cache")
    with Ledger.open(bench.book.root) as ledger:
        ledger.enter_phase("P4")
        assert [frame.event.kind for frame in ledger.store.frames()][-2:] == [
            "ledger.recovered/1",
            "phase.entered/1",
        ]
    (finding,) = [each for each in signed_outside(bench) if each.outcome == "damaged"]
    assert "the frame at position 140" in finding.message


def test_a_later_frame_testifies_without_checkpoint_and_mark(bench: Bench) -> None:
    """With `durable` gone, the `w` of any intact frame behind the damage still says that it was acknowledged."""
    forger = Forger(bench.root, thorough=False)
    lines = forger.lines()
    forger.write([*lines[:99], lines[99][:-5] + b"xxxx}", *lines[100:]])
    (bench.root / "durable").unlink()
    (finding,) = [each for each in nothing_else(bench) if each.outcome == "damaged"]
    assert (
        "position 100: its hash does not match its bytes; positions to 139 were acknowledged"
        in finding.message
    )


def test_a_damaged_log_still_extends_what_lies_before_the_damage(bench: Bench) -> None:
    """An older checkpoint stays proved, which says how far the damaged log can be trusted."""
    forger = Forger(bench.root, thorough=True)
    lines = forger.lines()
    forger.write([*lines[:99], lines[99][:-5] + b"xxxx}", *lines[100:]])
    findings = bench.verify(bench.outside / "older.signed", bench.outside / "newest.signed", signed=True)
    said = {
        each.message.partition(": ")[2]: each.outcome for each in findings if each.subject == "checkpoint"
    }
    assert said == {
        "the log had 140 events when it was made, and is intact up to position 99 now": "damaged",
        "proved up to position 20, the 79 after it are not covered; signed by example.com/audit": "ok",
    }


def test_no_checkpoint_is_made_of_a_log_that_lost_its_end(bench: Bench) -> None:
    """Whoever keeps checkpoints in one file cannot replace the proof of a loss by a checkpoint of what is left."""
    file = bench.outside / "kept"
    with Ledger.open(bench.book.root) as ledger:
        ledger.checkpoint(key=bench.key, targets=[file])
    before = file.read_bytes()
    Forger(bench.root, thorough=True).drop(1)
    with (
        Ledger.open(bench.book.root) as ledger,
        pytest.raises(LedgerError, match="had 140 events then, and has 139"),
    ):
        ledger.checkpoint(key=bench.key, targets=[file])
    forger = Forger(bench.root, thorough=True)
    forger.forge(NEWEST - 20, later(forger.events()[NEWEST - 21 :]) + later(forger.events()[-2:]))
    with (
        Ledger.open(bench.book.root) as ledger,
        pytest.raises(LedgerError, match="position 140 is another one"),
    ):
        ledger.checkpoint(key=bench.key, targets=[file])
    assert file.read_bytes() == before
