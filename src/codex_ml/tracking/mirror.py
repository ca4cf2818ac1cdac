"""A mirror: one MLflow run that shows a source which only grows, brought up to it step by step.

Everything sent is a function of the source, so sending it twice is sending it once. How far the mirror has
come stands in the run itself, as a tag that is written after what it speaks of; no other memory is needed.
A kill at any call leaves a run that the next mirror of the same source goes on with.

MLflow has no unique names: two writers may both find no run and make one each. Of several, the one with the
smallest id counts, for every writer alike, and who sees others deletes them. That one cannot be deleted by
anybody who follows the rule, so one is left; who was writing to another is told by `DeletedRun`.

See: ``docs/mlflow.md``, and ``docs/adr/0026-the-cursor-lives-in-mlflow.md``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from posixpath import normpath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal, NamedTuple, Self, TypeAlias, TypeVar

from codex_ml.tracking.errors import DeletedRun

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_Item = TypeVar("_Item")
Status: TypeAlias = Literal["RUNNING", "FINISHED", "FAILED"]

BATCH_METRICS = 999
"""So many points go in one request beside the cursor's tag: MLflow takes a thousand things in all."""

_BATCH_LABELS = 100
_KEY_SIZE = 250
_PARAM_SIZE, _TAG_SIZE = 6000, 5000
"""MLflow takes tags of 8000 characters, older servers 5000."""

_FORBIDDEN = re.compile(r"[^/\w.\- :]", re.ASCII)
_MANY = 100


class Point(NamedTuple):
    """One value of a metric; steps of a key never go back."""

    key: str
    value: float
    step: int
    at_ms: int


class Chunk(NamedTuple):
    """What the mirror is given at once: points and files, and the cursor that holds once they are there."""

    cursor: str
    points: Sequence[Point] = ()
    files: Mapping[str, bytes] = {}


class Source(NamedTuple):
    """What is mirrored: ``tag`` and ``identity`` find its run again; the name and start are for people."""

    tag: str
    identity: str
    name: str
    started_ms: int


class Face(NamedTuple):
    """What may change of a run: tags, params (written once each), and how it stands."""

    tags: Mapping[str, str]
    params: Mapping[str, str]
    status: Status
    ended_ms: int | None = None


class Sent(NamedTuple):
    """How much went out."""

    points: int = 0
    files: int = 0

    def __add__(self, other: tuple[object, ...]) -> Sent:
        """Return the sum, field by field."""
        assert isinstance(other, Sent)
        return Sent(self.points + other.points, self.files + other.files)


class Mirror:
    """The MLflow run of one source, as it was when it was looked up."""

    def __init__(self, client: MlflowClient, run: Run, source: Source, cursor_tag: str) -> None:
        self._client, self._source, self._cursor_tag = client, source, cursor_tag
        self.run_id: str = run.info.run_id
        self.tags = dict(run.data.tags)
        self._params = dict(run.data.params)
        self._standing = (run.info.status, run.info.end_time)
        # In order of steps, and never with a gap: what is past the cursor may be there, but none before it.
        self._latest = {point.key: int(point.step) for point in run.data.to_proto().metrics}

    @classmethod
    def find(cls, client: MlflowClient, experiment_id: str, source: Source, cursor_tag: str) -> Self | None:
        """Return the mirror of a source as it is there, None where there is none. Writes nothing."""
        runs = _search(client, experiment_id, source)
        return cls(client, runs[0], source, cursor_tag) if runs else None

    @classmethod
    def open(cls, client: MlflowClient, experiment_id: str, source: Source, cursor_tag: str) -> Self:
        """Return the mirror of a source, which is made where there is none, and is the only one then."""
        runs = _search(client, experiment_id, source)
        if not runs:
            client.create_run(
                experiment_id,
                start_time=source.started_ms,
                tags={source.tag: source.identity},
                run_name=source.name,
            )
            # Another writer may have done the same; who looks after he has written sees all that came before.
            runs = _search(client, experiment_id, source)
        for run in runs[1:]:
            client.delete_run(run.info.run_id)
        return cls(client, runs[0], source, cursor_tag)

    @property
    def cursor(self) -> str:
        """How far the mirror has come, "" at the beginning."""
        return self.tags.get(self._cursor_tag, "")

    def send(self, chunk: Chunk) -> Sent:
        """Send files, then points, then the cursor; a kill in between leaves the old cursor.

        Raises:
            DeletedRun: The run was deleted meanwhile.
        """
        if chunk.files:
            self._upload(chunk.files)
        # A store of files would keep a point twice, where a database takes it for the same.
        fresh = [point for point in chunk.points if point.step > self._latest.get(point.key, -1)]
        *early, last = _batches(fresh, BATCH_METRICS) or [()]
        for batch in early:
            self._log(batch)
        self._log(last, {self._cursor_tag: chunk.cursor})
        self._latest |= {point.key: point.step for point in fresh}
        self.tags[self._cursor_tag] = chunk.cursor
        return Sent(len(fresh), len(chunk.files))

    def replace(self, files: Mapping[str, bytes]) -> None:
        """Write files anew that were sent before."""
        if files:
            self._upload(files)

    def show(self, face: Face) -> bool:
        """Let the run show what it should, and return whether anything was not so already."""
        tags = {key: clip(value, _TAG_SIZE) for key, value in face.tags.items()}
        tags = {key: value for key, value in tags.items() if self.tags.get(key) != value}
        params = {
            key: clip(value, _PARAM_SIZE) for key, value in face.params.items() if key not in self._params
        }
        for some in _batches(list(params.items()), _BATCH_LABELS):
            self._log([], {}, dict(some))
        for some in _batches(list(tags.items()), _BATCH_LABELS):
            self._log([], dict(some))
        self.tags |= tags
        self._params |= params
        stands = (face.status, face.ended_ms)
        moved = self._standing != stands
        if moved:
            if face.ended_ms is None:
                self._client.update_run(self.run_id, face.status)
            else:
                self._client.set_terminated(self.run_id, face.status, face.ended_ms)
            self._standing = stands
        return bool(tags or params or moved)

    def _log(
        self, points: Iterable[Point], tags: Mapping[str, str] = {}, params: Mapping[str, str] = {}
    ) -> None:
        from mlflow.entities import Metric, Param, RunTag
        from mlflow.exceptions import MlflowException

        try:
            self._client.log_batch(
                self.run_id,
                [Metric(point.key, point.value, point.at_ms, point.step) for point in points],
                [Param(key, value) for key, value in params.items()],
                [RunTag(key, value) for key, value in tags.items()],
            )
        except MlflowException as error:
            if error.error_code != "INVALID_PARAMETER_VALUE":
                raise
            if self._client.get_run(self.run_id).info.lifecycle_stage != "deleted":
                raise
            raise DeletedRun(self.run_id) from error

    def _upload(self, files: Mapping[str, bytes]) -> None:
        with TemporaryDirectory(prefix="mlflow-") as directory:
            for name, data in files.items():
                path = Path(directory, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            self._client.log_artifacts(self.run_id, directory)


def _search(client: MlflowClient, experiment_id: str, source: Source) -> list[Run]:
    """Return the runs of a source, the one that counts first."""
    wanted = f"tags.`{source.tag}` = '{source.identity}'"
    runs = list(client.search_runs([experiment_id], wanted, max_results=_MANY))
    return sorted(runs, key=lambda run: run.info.run_id)


def _batches(items: Sequence[_Item], size: int) -> list[Sequence[_Item]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def metric_key(*words: str) -> str:
    """Return a name that MLflow takes for a metric or param, another one for other words.

    What it does not take becomes an underscore, and a digest of the words keeps such names apart.
    """
    wanted = ".".join(words)
    key = _FORBIDDEN.sub("_", wanted)
    if normpath(key) != key or key.startswith(("/", "..")):
        key = key.replace("/", "_")
    if key == wanted and len(key) <= _KEY_SIZE:
        return key
    return f"{key[: _KEY_SIZE - 9]}-{sha256(wanted.encode()).hexdigest()[:8]}"


def clip(text: str, size: int) -> str:
    """Return a text of at most so many characters, which says that it was cut where it was."""
    return text if len(text) <= size else f"{text[: size - 2]} …"
