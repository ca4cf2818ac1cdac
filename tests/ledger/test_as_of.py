"""The ledger as of an event: the same answers as a copy that was made when that event was the last."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from chronicle import Chronicle
from stories import chronicles

from ledger import Ledger
from ledger.query.tables import PATH_COLUMNS, TABLES
from ledger.reading import LedgerReader
from ledger.reference_errors import UnknownReference
from ledger.stamps import Stamp
from ledger.store import writer as writer_module
from ledger.store.local import LocalStore

pytestmark = pytest.mark.duckdb

VIEWS = ("events", "runs", "patches", "patch_files", "gates", "tickets", "phases", "policies", "questions")


def answers(ledger: LedgerReader) -> dict[str, Any]:
    """Return what a ledger says, SQL's internal tables included."""
    found: dict[str, Any] = {
        "frames": list(ledger.store.frames()),
        "backward": list(ledger.store.backward()),
        "heads": ledger.store.heads(),
        "runs": ledger.runs(),
        "questions": ledger.questions_text(),
    }
    for run in ledger.store.heads():
        history = ledger.history(run)
        found[run] = (list(ledger.events(run)), history.live, history.accepted, history.tickets)
        found[f"{run}, files"] = ledger.sql("from state_at($run, 2147483647)", {"run": run}).fetchall()
        found[f"{run}, accepted"] = ledger.sql("from accepted_at($run, 2147483647)", {"run": run}).fetchall()
    for view in VIEWS:
        found[view] = ledger.sql(f"from {view} order by all").fetchall()
    for table in TABLES:
        columns = [name for name in table.columns if name not in PATH_COLUMNS]
        if table.name != "base_file":
            sql = f"select {', '.join(columns)} from columns.{table.name} order by all"
            found[table.name] = ledger.sql(sql).fetchall()
    return found


@given(st.lists(chronicles, min_size=2, max_size=3), st.data())
@settings(max_examples=6)
def test_it_is_what_it_was(stories: list[Chronicle], data: st.DataObject) -> None:
    """At any event of runs that took turns, in a log of several segments, open or sealed, cached or not."""
    stamp = stories[0].stamp
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(writer_module, "SEGMENT_SIZE_BYTES", 6000)
        root = Path(folder, "repo")
        make_repository(root)
        store = LocalStore.open(root / ".git" / "ledger", stamp, create=True)
        copies: dict[str, Path] = {}
        rest = {f"run{number}": list(story.events) for number, story in enumerate(stories)}
        for story in stories:
            for body in story.bodies.values():
                store.write_body(body)
        while rest:
            run = data.draw(st.sampled_from(sorted(rest)))
            count = data.draw(st.integers(1, 4))
            events, rest[run] = rest[run][:count], rest[run][count:]
            if not rest[run]:
                del rest[run]
            frames = store.append([renamed(event, run, stamp) for event in events])
            copies[f"{run}:{frames[-1].event.v}"] = shutil.copytree(root, Path(folder, f"copy{len(copies)}"))
        if data.draw(st.booleans()):
            store.archive()
        ledger = LedgerReader.open(root)
        if data.draw(st.booleans()):
            ledger.sql("select 1")
        for reference in data.draw(
            st.lists(st.sampled_from(sorted(copies)), min_size=1, max_size=3, unique=True)
        ):
            assert answers(ledger.as_of(reference)) == answers(LedgerReader.open(copies[reference]))


def make_repository(root: Path) -> None:
    """Make an empty repository."""
    import pygit2

    pygit2.init_repository(str(root))


def renamed(event: Any, run: str, stamp: Stamp) -> Any:
    """Return an event as one of another run, that is to be appended."""
    from msgspec.structs import replace

    from ledger.run import identify

    return replace(event, **identify(run, stamp), v=0)


@pytest.fixture
def worked(make_repo: Callable[..., Path], stamp: Stamp) -> Ledger:
    """A repository with an open run of three patches, and a run in which nothing happened after the second."""
    root = make_repo({"a.txt": b"0\n"})
    ledger = Ledger.open(root, stamp=stamp)
    run = ledger.run("work", name="work")
    for number in range(3):
        run.apply(b"--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-%d\n+%d\n" % (number, number + 1))
    return ledger


def test_a_group_is_cut_where_it_is_asked(worked: Ledger) -> None:
    """A run's first two events are one append; as of the first there is no policy yet."""
    past = worked.as_of("work:1")
    assert [event.v for event in past.events()] == [1]
    assert past.resolve() == ("work", 1)
    assert past.history().policy_set is None
    with pytest.raises(UnknownReference):
        past.resolve("work:2")


def test_short_references_mean_the_run_that_was_asked_for(worked: Ledger) -> None:
    worked.finish(abandon=True)
    worked.run("other", name="other")
    assert worked.resolve()[0] == "other"
    past = worked.as_of("work:patch:2")
    assert past.resolve() == ("work", 4)
    assert past.cat(b"a.txt") == b"2\n"
    assert [head.run for head in past.runs()] == ["work"]
    assert past.status().run is not None


def test_the_past_of_the_past(worked: Ledger) -> None:
    """What is later than what is looked at is not there; what is before can be looked at again."""
    past = worked.as_of("work:4")
    assert [event.v for event in past.as_of("work:3").events()] == [1, 2, 3]
    with pytest.raises(UnknownReference):
        past.as_of("work:5")
