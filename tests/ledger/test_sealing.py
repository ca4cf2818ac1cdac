"""Any story, sealed anywhere: every reader tells it as before, and what retention leaves too."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
import second_reader
from chronicle import Chronicle
from stories import chronicles

from ledger.events import RetentionApplied, RetiredRun
from ledger.query.session import open_session
from ledger.run import identify
from ledger.stamps import Stamp
from ledger.store import writer as writer_module
from ledger.store.columns import check_columns
from ledger.store.local import LocalStore

pytestmark = pytest.mark.duckdb


def told(root: Path, *runs: str) -> dict[str, Any]:
    """Return what three readers say of some runs: the store, SQL, and the second reader."""
    store = LocalStore.open(root, Stamp())
    frames = [frame for frame in store.frames() if frame.event.run in runs]
    second = [(f.s, f.h, f.stored) for f in second_reader.read_frames(root) if f.event["run"] in runs]
    assert second == [(frame.s, frame.h, bytes(frame.e)) for frame in frames]
    with open_session(store) as session:
        sql = [
            session.execute(
                f"select * from {view} where run in (select unnest(?)) order by all", [runs]
            ).fetchall()
            for view in ("events", "patch_files", "runs", "gates")
        ]
    heads = {run: head for run, head in store.heads().items() if run in runs}
    backward = [frame for frame in store.backward() if frame.event.run in runs]
    assert backward == frames[::-1]
    return {"frames": frames, "sql": sql, "heads": heads}


@given(st.lists(chronicles, min_size=2, max_size=3), st.sampled_from([1, 2000, 9000]), st.data())
@settings(max_examples=8)
def test_any_story_is_told_as_before(stories: list[Chronicle], size_bytes: int, data: st.DataObject) -> None:
    """Sealed at any size of segment, every answer is the same; and of the runs that retention leaves, too."""
    stamp = Stamp()
    runs = [f"run{index}" for index in range(len(stories))]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer_module, "SEGMENT_SIZE_BYTES", size_bytes)
        root = Path(folder, "ledger")
        store = LocalStore.open(root, stamp, create=True)
        for run, story in zip(runs, stories, strict=True):
            if run == "run0" or data.draw(st.booleans()):
                story.finish()
            story.write_to(store, run)
        before = told(root, *runs)
        store.archive()
        assert told(root, *runs) == before
        kept = told(root, *runs[1:])
        head = store.heads()["run0"]
        gone = RetiredRun("run0", head.v, head.digest, head.at_ns)
        store.append([RetentionApplied(**identify("ledger", stamp), before_ns=1, runs=(gone,))])
        assert len(store.retire()) >= 1
        for path in (root / "cache/columns").glob("*"):
            path.unlink()
        assert told(root, *runs[1:]) == kept
        assert told(root, "run0")["frames"] == []
        sealed = store.segments.sealed
        for first in sealed.firsts():
            sealed.prove(sealed.seal(first))
            check_columns(sealed, sealed.seal(first))


# ── kills ────────────────────────────────────────────────────────────────────────────────────────


def archive_for_ever(root: Path) -> None:
    """Append, seal and retire without end, as a process that is about to be killed."""
    pytest.MonkeyPatch().setattr(writer_module, "SEGMENT_SIZE_BYTES", 3000)
    stamp = Stamp()
    store = LocalStore.open(root, stamp)
    while True:
        name = f"run{stamp.clock()}"
        story = Chronicle(stamp, {"a": "0"})
        story.patch({"a": "1"})
        story.finish()
        story.write_to(store, name)
        store.archive()
        head = store.heads()[name]
        gone = RetiredRun(name, head.v, head.digest, head.at_ns)
        store.append([RetentionApplied(**identify("ledger", stamp), before_ns=1, runs=(gone,))])
        store.retire()


@pytest.mark.campaign
def test_kill_at_any_moment(tmp_path: Path, rounds: Callable[[int, int], int]) -> None:
    """SIGKILL while it seals and retires: what was kept is there, whole, and the next process finishes."""
    root, stamp = tmp_path / "ledger", Stamp()
    store = LocalStore.open(root, stamp, create=True)
    kept = Chronicle(stamp, {"a": "0"})
    kept.patch({"a": "1"})
    kept.write_to(store, "kept")
    wanted = [bytes(frame.e) for frame in store.frames()]
    context = multiprocessing.get_context("spawn")
    for number in range(rounds(4, 200)):
        process = context.Process(target=archive_for_ever, args=(root,))
        process.start()
        retired = len([head for head in store.heads().values() if head.retired])
        deadline = time.monotonic() + 60
        while len([head for head in store.heads().values() if head.retired]) == retired:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(number % 20 * 0.007)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        fresh = LocalStore.open(root, stamp)
        assert [bytes(f.e) for f in fresh.frames() if f.event.run == "kept"] == wanted
        fresh.archive()
        fresh.retire()
        assert {frame.event.run for frame in fresh.frames()} - {"kept", "ledger"} == {
            head.run for head in fresh.heads().values() if head.run.startswith("run") and not head.retired
        }
        assert len(list((root / "sealed").glob("*.parquet"))) == len(list((root / "sealed").glob("*.seal")))
        assert {path.suffix for path in (root / "sealed").iterdir()} == {".parquet", ".seal"}
        assert second_reader.read_frames(root)
