"""A mirror on a store of files, where nothing but the mirror's own care keeps points from being there twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from codex_ml.tracking.mirror import BATCH_METRICS, Chunk, Face, Mirror, Point, Source, clip, metric_key
from codex_ml.tracking.mlflow_utils import MlflowConfig

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

SOURCE = Source("test.id", "7", "run", 1_700_000_000_000)
CURSOR = "test.cursor"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowConfig:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return MlflowConfig(uri=f"file://{tmp_path}/runs", log_system_metrics=False)


def points(*steps: int, key: str = "x") -> tuple[Point, ...]:
    return tuple(Point(key, float(step), step, 1_700_000_000_000 + step) for step in steps)


def test_half_a_chunk_is_not_sent_twice(config: MlflowConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the points and the cursor, which a store of files writes last: each point is there once."""
    with config.reaching() as client:
        mirror = Mirror.open(client, "0", SOURCE, CURSOR)
        monkeypatch.setattr("codex_ml.tracking.mirror.BATCH_METRICS", 2)
        log = Mirror._log
        calls: list[int] = []

        def killed(self: Mirror, *arguments: object) -> None:
            calls.append(1)
            if len(calls) == 2:
                raise KeyboardInterrupt
            log(self, *arguments)  # pyright: ignore[reportArgumentType]

        chunk = Chunk("3 x", points(1, 2, 3))
        monkeypatch.setattr(Mirror, "_log", killed)
        with pytest.raises(KeyboardInterrupt):
            mirror.send(chunk)
        monkeypatch.setattr(Mirror, "_log", log)
        again = Mirror.open(client, "0", SOURCE, CURSOR)
        assert again.cursor == ""
        assert again.send(chunk).points == 1
        history = client.get_metric_history(again.run_id, "x")
        assert [(point.step, point.value) for point in history] == [(1, 1.0), (2, 2.0), (3, 3.0)]
        assert Mirror.open(client, "0", SOURCE, CURSOR).cursor == "3 x"


def test_batches_are_such_as_mlflow_takes(config: MlflowConfig) -> None:
    """More points, params and tags than one request may hold go out in several, in their order."""
    with config.reaching() as client:
        mirror = Mirror.open(client, "0", SOURCE, CURSOR)
        many = points(*range(2 * BATCH_METRICS + 1))
        mirror.send(Chunk("end", many))
        labels = {f"name{number}": "x" * 9000 for number in range(150)}
        assert mirror.show(Face(labels, labels, "FINISHED", 1_700_000_009_000))
        run = client.get_run(mirror.run_id)
        assert [point.step for point in client.get_metric_history(mirror.run_id, "x")] == [
            p.step for p in many
        ]
        assert len(run.data.params) == 150
        assert {len(run.data.tags[name]) for name in labels} == {5000}
        assert (run.info.status, run.info.end_time) == ("FINISHED", 1_700_000_009_000)
        assert not Mirror.open(client, "0", SOURCE, CURSOR).show(
            Face(labels, labels, "FINISHED", 1_700_000_009_000)
        )


def test_looking_makes_nothing(config: MlflowConfig) -> None:
    with config.reaching() as client:
        assert Mirror.find(client, "0", SOURCE, CURSOR) is None
        assert client.search_runs(["0"]) == []


WORDS = [
    ("lint", "problems"),
    ("licenses", "license:MIT"),
    ("licenses", "license:MIT (X11)"),
    ("licenses", "license:MIT [X11]"),
    ("a", "/../b"),
    ("a", "b//c"),
    ("ü", "ß"),
    ("a", "x" * 300),
    ("a", "x" * 301),
]


def test_names_that_mlflow_takes() -> None:
    """Its own check takes each of them; other words give other names, and plain ones stay as they are."""
    from mlflow.utils.validation import _validate_metric

    keys = [metric_key(*words) for words in WORDS]
    for key in keys:
        _validate_metric(key, 1.0, 0, 0)
    assert len(set(keys)) == len(WORDS)
    assert keys[:2] == ["lint.problems", "licenses.license:MIT"]


def test_a_text_that_was_cut_says_so() -> None:
    assert clip("abcdef", 6) == "abcdef"
    assert clip("abcdefg", 6) == "abcd …"
