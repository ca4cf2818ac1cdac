"""What a run comes to in MLflow, from its events alone; nothing of MLflow is loaded."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from chronicle import Chronicle, rule

from codex_ml.tracking.mirror import BATCH_METRICS
from ledger.events import event_digest
from ledger.policies import Policy
from ledger.projections.mlflow import (
    PATCH_LIMIT_BYTES,
    Story,
    chunks_after,
    cursor_at,
    face_of,
    file_name,
    patches_left_out,
    points_of,
    source_of,
    taken_back,
    version_of,
)
from ledger.stamps import Stamp
from ledger.store.local import LocalStore

LINT = rule("soft", "lint")


def told(chronicle: Chronicle, store: LocalStore) -> Story:
    """The run as the store has it: stamped, and chained by digests."""
    chronicle.write_to(store)
    frames = [frame for frame in store.frames() if frame.event.run == chronicle.run]
    return Story([frame.event for frame in frames], store.heads()[chronicle.run].digest)


@pytest.fixture
def chronicle(stamp: Stamp) -> Chronicle:
    """A run of two patches and three measurements, with its policy."""
    made = Chronicle(stamp, {"a": "1"})
    made.set_policy({"dev": Policy(gates={"lint": LINT})}, "dev")
    for text, findings in (("2", 3.0), ("3", 0.0)):
        made.patch({"a": text}, patch=made.body(f"patch {text}".encode()), patch_size_bytes=7)
        made.measure("lint", LINT, metrics={"findings": findings}, verdict="fail" if findings else "pass")
    made.enter_phase("P3")
    made.measure("lint", LINT, verdict="inconclusive", metrics={})
    return made


def test_a_measurement_is_points(chronicle: Chronicle, store: LocalStore) -> None:
    """Every number at the step of the version and the event's time; the verdict as 1, 0 or -1."""
    story = told(chronicle, store)
    measured = story.events[3]
    assert {point.key: point.value for point in points_of(measured)} == {
        "lint.findings": 3.0,
        "lint.verdict": 0.0,
        "lint.examined": 3.0,
        "lint.duration_s": 0.001,
    }
    assert {(point.step, point.at_ms) for point in points_of(measured)} == {(4, measured.at_ns // 10**6)}
    verdicts = [p.value for event in story.events for p in points_of(event) if p.key == "lint.verdict"]
    assert verdicts == [0.0, 1.0, -1.0]
    assert points_of(story.events[2]) == []


def test_from_anywhere_the_chunks_hold_the_rest(chronicle: Chronicle, store: LocalStore) -> None:
    """What is sent past a version is all that happened past it, and the last cursor is the run's end."""
    story = told(chronicle, store)
    for v in range(story.v):
        chunks = list(chunks_after(story, v, {}, store.read_body))
        points = [point for chunk in chunks for point in chunk.points]
        assert points == [point for event in story.events[v:] for point in points_of(event)]
        files = {name: data for chunk in chunks for name, data in chunk.files.items()}
        wanted = {3: b"patch 2", 5: b"patch 3"}
        assert files == {file_name(at): data for at, data in wanted.items() if at > v}
        assert chunks[-1].cursor == cursor_at(story, story.v)
    assert list(chunks_after(story, story.v, {}, store.read_body)) == []


def test_a_cursor_is_a_version_and_the_digest_of_its_event(chronicle: Chronicle, store: LocalStore) -> None:
    """The digest is that of the stored bytes, for the last event too; what is no cursor is the beginning."""
    story = told(chronicle, store)
    stored = [frame.e for frame in store.frames() if frame.event.run == chronicle.run]
    for v, data in enumerate(stored, 1):
        assert cursor_at(story, v) == f"{v} {event_digest(bytes(data))}"
        assert version_of(cursor_at(story, v)) == v
    assert [version_of(text) for text in ("", "x", "-1 ab", "٣ ab")] == [0, 0, 0, 0]
    assert source_of(story).identity == story.events[0].id


def test_many_measurements_are_few_chunks(stamp: Stamp, store: LocalStore) -> None:
    """Ten thousand measurements of four numbers: as many requests as forty thousand points need, and one."""
    chronicle = Chronicle(stamp, {"a": "1"})
    for _ in range(10_000):
        chronicle.measure("lint", LINT)
    story = told(chronicle, store)
    chunks = list(chunks_after(story, 0, {}, store.read_body))
    assert max(len(chunk.points) for chunk in chunks) <= BATCH_METRICS
    assert sum(len(chunk.points) for chunk in chunks) == 40_000
    assert len(chunks) <= 40_000 // BATCH_METRICS + 1
    steps = [version_of(chunk.cursor) for chunk in chunks]
    assert steps == sorted(set(steps))


def test_files_are_not_gathered_without_end(stamp: Stamp, store: LocalStore) -> None:
    """A hundred patches, or sixteen MiB of them, are sent before the next are read."""
    chronicle = Chronicle(stamp, {"a": "0"})
    large = chronicle.body(b"x" * (9 << 20))
    for number in range(1, 151):
        chronicle.patch({"a": str(number)}, patch=chronicle.body(b"%d" % number), patch_size_bytes=3)
    for number in range(3):
        chronicle.patch({"a": f"large {number}"}, patch=large, patch_size_bytes=9 << 20)
    story = told(chronicle, store)
    counts = [len(chunk.files) for chunk in chunks_after(story, 0, {}, store.read_body)]
    assert counts == [100, 52, 1]


def test_what_is_left_out(stamp: Stamp, store: LocalStore) -> None:
    """A dropped patch, one with a secret, one too large: a line in their place; a later drop replaces the file."""
    chronicle = Chronicle(stamp, {"a": "1"})
    gone = chronicle.body(b"gone")
    chronicle.patch({"a": "2"}, patch=gone)
    chronicle.patch({"a": "3"}, secrets=("AWS Access Key in a, line 1",))
    chronicle.patch({"a": "4"}, patch_size_bytes=PATCH_LIMIT_BYTES + 1)
    chronicle.patch({"a": "5"}, patch=chronicle.body(b"sent"), patch_size_bytes=PATCH_LIMIT_BYTES)
    story = told(chronicle, store)
    left_out = patches_left_out(story.events, {gone})
    assert left_out == {
        2: "it was dropped",
        3: "it adds what looks like a secret",
        4: "it is larger than 10 MiB",
    }

    def read(digest: str) -> bytes:
        assert digest != gone
        return store.read_body(digest)

    (chunk,) = chunks_after(story, 0, left_out, read)
    assert chunk.files["patches/0002.diff"] == b"The patch of port:2 is not here: it was dropped.\n"
    assert chunk.files["patches/0005.diff"] == b"sent"
    before = face_of(story, patches_left_out(story.events, ()), [], {}).tags["ledger.left_out"]
    assert list(taken_back(story, before, story.v, left_out)) == ["patches/0002.diff"]
    assert taken_back(story, before, 1, left_out) == {}
    now = face_of(story, left_out, [], {}).tags["ledger.left_out"]
    assert taken_back(story, now, story.v, left_out) == {}


def test_params_never_change_and_tags_do(chronicle: Chronicle, store: LocalStore) -> None:
    """Whatever comes later, the params are those of the first two events: MLflow lets nobody change them."""
    chronicle.set_policy({"dev": Policy(gates={})}, "dev")
    chronicle.rebase({"a": "9"})
    chronicle.finish()
    story = told(chronicle, store)
    faces = [face_of(Story(story.events[:v], ""), {}, [], {}) for v in range(2, story.v + 1)]
    assert all(face.params == faces[0].params for face in faces)
    assert faces[0].params["gate.lint"] == "soft, findings ≤ 0"
    assert faces[0].tags["ledger.policy"] == "lint: soft, findings ≤ 0"
    assert faces[-1].tags["ledger.policy"] == "none"
    assert all(face.tags.keys() == faces[0].tags.keys() for face in faces)
    assert "" not in {value for face in faces for value in (*face.tags.values(), *face.params.values())}
    assert [face.tags["ledger.phase"] for face in (faces[0], faces[-1])] == ["none", "P3"]


def test_the_configuration_cannot_take_over_a_tag(chronicle: Chronicle, store: LocalStore) -> None:
    """Its tags stand beside ours; where they have one of our names, ours counts."""
    face = face_of(told(chronicle, store), {}, [], {"team": "core", "ledger.run": "another"})
    assert (face.tags["team"], face.tags["ledger.run"]) == ("core", "port")


@pytest.mark.parametrize(
    ("mode", "findings", "final", "status"),
    [
        ("soft", 0.0, False, "FINISHED"),
        ("soft", 1.0, False, "FAILED"),
        ("strict", 1.0, False, "FAILED"),
        ("off", 1.0, False, "FINISHED"),
        ("soft", 1.0, True, "FINISHED"),
    ],
)
def test_how_a_run_stands(
    stamp: Stamp, store: LocalStore, mode: str, findings: float, final: bool, status: str
) -> None:
    """Open it runs; ended it has failed where a gate fails on its last tree and nobody called it final."""
    chronicle = Chronicle(stamp, {"a": "1"})
    lint = rule(mode, "lint")
    chronicle.set_policy({"dev": Policy(gates={"lint": lint})}, "dev")
    chronicle.patch({"a": "2"})
    chronicle.measure("lint", lint, metrics={"findings": findings})
    chronicle.finish(final=final)
    story = told(chronicle, store)
    open_ = face_of(Story(story.events[:-1], ""), {}, [], {})
    assert (open_.status, open_.ended_ms) == ("RUNNING", None)
    ended = face_of(story, {}, [], {})
    assert (ended.status, ended.ended_ms) == (status, story.events[-1].at_ns // 10**6)


def test_notes_are_a_description_of_bounded_size(chronicle: Chronicle, store: LocalStore) -> None:
    """The title, then a line for each note; long ones and many of them are cut, and it says so."""
    story = told(chronicle, store)
    text = face_of(story, {}, [":3 two\nlines", ":4 " + "x" * 1000, *map(str, range(60))], {}).tags[
        "mlflow.note.content"
    ]
    assert text.splitlines()[:3] == ["port", "", "- :3 two lines"]
    assert text.endswith("- and 12 more notes in the ledger")
    assert len(text) < 5000
