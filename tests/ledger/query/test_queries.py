"""The questions in ``queries/``: each runs on a small real ledger and on an empty one."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from questions import COLUMNS, QUERIES, ask

from ledger import Ledger
from ledger.query.session import open_session
from ledger.stamps import Stamp
from ledger.store.local import LocalStore
from patches.errors import HunkMismatch

GOOD = b"""\
--- a/notes.txt
+++ b/notes.txt
@@ -1,2 +1,3 @@
-one
+ONE
+one and a half
 two
"""
NEW = b"--- /dev/null\n+++ b/plan.txt\n@@ -0,0 +1 @@\n+first\n"
BAD = b"--- a/notes.txt\n+++ b/notes.txt\n@@ -1,2 +1,2 @@\n-never\n+seen\n two\n"


@pytest.fixture
def answers(make_repo: Any, stamp: Stamp) -> Iterator[Any]:
    """A ledger of one open run, "port-0001": two patches, one refused before with its question, one edit by hand."""
    root = make_repo({"notes.txt": b"one\ntwo\n", "other.txt": b"other\n"})
    with Ledger.open(root, stamp=stamp) as ledger:
        run = ledger.run("port", name="port-0001")
        with pytest.raises(HunkMismatch):
            run.apply(BAD, source="fix.diff")
        run.apply(GOOD, source="fix.diff")
        run.apply(NEW, source="plan.diff")
        (root / "notes.txt").write_bytes(b"ONE\n")
        run.record(note="by hand")
    with Ledger.open(root) as ledger:
        yield lambda name: ask(open_session(ledger.store), name)


def test_every_question_is_tested() -> None:
    """A file without a test here would be a promise without a holder."""
    assert sorted(COLUMNS) == sorted(path.stem for path in QUERIES.glob("*.sql"))


@pytest.mark.parametrize("name", COLUMNS)
def test_the_header_says_grain_columns_and_events(name: str) -> None:
    """Each file begins with its question and names every column that it returns."""
    text = (QUERIES / f"{name}.sql").read_text("utf-8")
    header = re.match(r"(?:--.*\n)+", text)
    assert header is not None
    assert re.match(r"-- .*\?.*\n", header[0])
    assert all(f"-- {part}:" in header[0] for part in ("Grain", "Columns", "Events"))
    assert [column for column in COLUMNS[name].split() if column not in re.findall(r"\w+", header[0])] == []


@pytest.mark.parametrize("name", COLUMNS)
def test_an_empty_ledger_gives_no_rows(name: str, root: Path, stamp: Stamp) -> None:
    """The columns are there all the same."""
    assert ask(open_session(LocalStore.open(root, stamp, create=True)), name) == []


def test_churn(answers: Any) -> None:
    """A path's lines are summed over patches and drift."""
    rows = [(row["path"], row["patches"], row["added"], row["removed"]) for row in answers("churn")]
    assert rows == [("notes.txt", 2, 2, 3), ("plan.txt", 1, 1, 0)]


def test_runs(answers: Any) -> None:
    """A run's patches, drift and refusals are counted apart."""
    (row,) = answers("runs")
    counts = {name: row[name] for name in ("patches", "drift", "refused", "files", "added", "removed")}
    assert counts == {"patches": 3, "drift": 1, "refused": 1, "files": 2, "added": 3, "removed": 3}
    assert (row["run"], row["title"], row["state"]) == ("port-0001", "port", "open")
    assert row["duration_s"] > 0


def test_refused(answers: Any) -> None:
    """A refused patch names the event by which its file applied in the end."""
    (row,) = answers("refused")
    assert (row["event"], row["source"], row["error"]) == ("port-0001:3", "fix.diff", "HunkMismatch")
    assert (row["applied_as"], row["size_bytes"], row["actor"]) == ("port-0001:5", len(BAD), "tester")


def test_biggest(answers: Any) -> None:
    """The largest patch comes first, with the path that it changed most."""
    rows = answers("biggest")
    assert [row["event"] for row in rows] == ["port-0001:5", "port-0001:8", "port-0001:7"]
    assert [row["cause"] for row in rows] == ["diff", "drift", "diff"]
    assert (rows[0]["top_path"], rows[0]["files"], rows[0]["size_bytes"]) == ("notes.txt", 1, len(GOOD))


def test_actors(answers: Any) -> None:
    """Everything one actor did is in one row."""
    (row,) = answers("actors")
    assert (row["actor_kind"], row["actor_name"], row["sessions"]) == ("agent", "tester", 1)
    assert [row[name] for name in ("events", "applied", "drift", "refused")] == [8, 2, 1, 1]


def test_pauses(answers: Any) -> None:
    """The clock of the tests advances a millisecond a call: no pause is shorter, none negative."""
    (row,) = answers("pauses")
    assert (row["run"], row["events"]) == ("port-0001", 8)
    assert 0 < row["median_s"] <= row["longest_s"]
    assert row["waited_for"].startswith("port-0001:")
