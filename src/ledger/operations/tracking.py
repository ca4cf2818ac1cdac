"""Tracking: runs brought up to date in MLflow, never on the way of another command. Writes no event.

What MLflow has of a run stands there: a run is looked up by the id of its first event, and a tag says
behind which event it stands, with that event's digest. So a clone that imported the run goes on where
another one stopped.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from codex_ml.tracking.errors import DeletedRun, OtherHistory, public_uri
from codex_ml.tracking.mirror import Mirror, Sent, Source
from codex_ml.tracking.mlflow_utils import MlflowConfig
from codex_ml.tracking.stores import find_experiment
from ledger.configurations import configuration_of
from ledger.events import PolicySet
from ledger.projections.mlflow import (
    CURSOR_TAG,
    LEFT_OUT_TAG,
    Story,
    chunks_after,
    cursor_at,
    face_of,
    patches_left_out,
    source_of,
    taken_back,
    version_of,
)
from ledger.projections.published import Place, note_place
from ledger.repository import Repository
from ledger.store.local import LocalStore

if TYPE_CHECKING:
    from mlflow import MlflowClient

DEFAULT_EXPERIMENT = "ledger"
_TRIES = 3


class Tracked(Struct, frozen=True, kw_only=True):
    """What became of one run in MLflow, or would.

    ``from_v`` and ``until_v`` are the versions that MLflow stood behind before and stands behind now; where
    the second is the smaller one, MLflow knows more of the run than this ledger, and nothing was sent.
    ``mlflow_run`` is "" where there would be a new one. ``left_out`` says which patches are not there, and
    why.
    """

    run: str
    mlflow_run: str
    url: str
    from_v: int
    until_v: int
    points: int
    files: int
    left_out: tuple[str, ...] = ()
    changed: bool = True


def complete(config: MlflowConfig, repository: Repository) -> MlflowConfig:
    """Return a configuration with what it leaves open from the environment, then from the repository's own.

    Raises:
        InvalidConfiguration: The repository's cannot be read.
    """
    return config.over(MlflowConfig.from_environment()).over(configuration_of(repository).mlflow)


def project_runs(
    store: LocalStore, runs: Sequence[str], config: MlflowConfig, *, dry_run: bool = False
) -> Iterator[Tracked]:
    """Bring runs up to date in MLflow, one after the other, and yield what became of each.

    A run that a kill or a lost server leaves half sent is gone on with by the next call: the cursor there
    never stands behind what has not arrived. Where system metrics are wanted, an MLflow run of its own is
    open meanwhile, which samples this process: they say nothing of runs that are over.

    Args:
        store: The ledger.
        runs: Names of runs that are here.
        config: Where to, and with which tags; the experiment is ``ledger`` where none is named.
        dry_run: Only look, there too.

    Raises:
        TrackingError: The server or store cannot be used, or has refused. What was confirmed stays there.
        OtherHistory: What MLflow has of a run is not its beginning here. Nothing of it was sent.
        DamagedLedger: The ledger cannot be read.
        OSError: It cannot be recorded where the run is sent. Nothing of it was sent.
    """
    experiment = config.experiment or DEFAULT_EXPERIMENT
    watched = nullcontext() if dry_run or not config.wants_system_metrics() else _watched(config, experiment)
    stories, dropped = _stories(store, runs), store.dropped()
    with watched, config.reaching() as client:
        experiment_id = find_experiment(client, experiment, uri=config.uri, create=not dry_run)
        for story in stories:
            one = _Projection(store, story, config, experiment, dropped)
            if dry_run:
                yield one.preview(client, experiment_id)
            else:
                assert experiment_id is not None
                yield one.send(client, experiment_id)


@contextmanager
def _watched(config: MlflowConfig, experiment: str) -> Generator[None]:
    from msgspec.structs import replace

    with replace(config, experiment=experiment).run("ledger project mlflow"):
        yield


def _stories(store: LocalStore, runs: Sequence[str]) -> list[Story]:
    """Return the events of some runs, each up to where it is now."""
    heads = store.heads()
    return [
        Story([frame.event for frame in store.of_run(run, until_v=heads[run].v)], heads[run].digest)
        for run in runs
    ]


class _Projection(NamedTuple):
    """One run on its way."""

    store: LocalStore
    story: Story
    config: MlflowConfig
    experiment: str
    dropped: Collection[str]

    @property
    def left_out(self) -> dict[int, str]:
        return patches_left_out(self.story.events, self.dropped)

    @property
    def source(self) -> Source:
        return source_of(self.story)

    def preview(self, client: MlflowClient, experiment_id: str | None) -> Tracked:
        """Return what would be sent; only looks."""
        mirror = None
        if experiment_id is not None:
            mirror = Mirror.find(client, experiment_id, self.source, CURSOR_TAG)
        from_v = 0 if mirror is None else self._check(mirror)
        left_out = self.left_out
        chunks = chunks_after(self.story, from_v, left_out, self.store.read_body)
        sizes = [Sent(len(chunk.points), len(chunk.files)) for chunk in chunks]
        if mirror is not None:
            gone = taken_back(self.story, mirror.tags.get(LEFT_OUT_TAG, ""), from_v, left_out)
            sizes.append(Sent(0, len(gone)))
        mlflow_run = "" if mirror is None else mirror.run_id
        return self._told(mlflow_run, experiment_id or "", from_v, sizes)

    def send(self, client: MlflowClient, experiment_id: str, tries: int = _TRIES) -> Tracked:
        """Send what is missing there."""
        mirror = Mirror.open(client, experiment_id, self.source, CURSOR_TAG)
        try:
            return self._bring(mirror, experiment_id)
        except DeletedRun:
            if tries == 1:
                raise
            # Another writer made a run of the same at the same time, and that one counts.
            return self.send(client, experiment_id, tries - 1)

    def _bring(self, mirror: Mirror, experiment_id: str) -> Tracked:
        story, left_out = self.story, self.left_out
        from_v = self._check(mirror)
        if from_v > story.v:
            return self._told(mirror.run_id, experiment_id, from_v, [])
        # Before anything is sent, so that no copy is forgotten.
        place = Place(
            run=story.started.run,
            uri=public_uri(self.config.uri),
            experiment=self.experiment,
            mlflow_run=mirror.run_id,
            until_v=story.v,
        )
        note_place(self.store.root / "cache", place)
        gone = taken_back(story, mirror.tags.get(LEFT_OUT_TAG, ""), from_v, left_out)
        mirror.replace(gone)
        sent = [Sent(0, len(gone))]
        sent += [mirror.send(chunk) for chunk in chunks_after(story, from_v, left_out, self.store.read_body)]
        shown = mirror.show(face_of(story, left_out, self._notes(), self.config.tags))
        return self._told(mirror.run_id, experiment_id, from_v, sent, changed=shown or from_v < story.v)

    def _check(self, mirror: Mirror) -> int:
        """Return how far the mirror has come.

        Raises:
            OtherHistory: What it stands behind is no event of this run.
        """
        v = version_of(mirror.cursor)
        if 0 < v <= self.story.v and mirror.cursor != cursor_at(self.story, v):
            here = f"{self.story.started.run}:{v}"
            raise OtherHistory(mirror.run_id, f"it stands behind another event than {here} is here")
        return v

    def _told(
        self, mlflow_run: str, experiment_id: str, from_v: int, sent: Sequence[Sent], *, changed: bool = True
    ) -> Tracked:
        web = self.config.uri.startswith(("http:", "https:"))
        base = public_uri(self.config.uri).rstrip("/")
        return Tracked(
            run=self.story.started.run,
            mlflow_run=mlflow_run,
            url=f"{base}/#/experiments/{experiment_id}/runs/{mlflow_run}" if web and mlflow_run else "",
            from_v=from_v,
            until_v=self.story.v,
            points=sum(each.points for each in sent),
            files=sum(each.files for each in sent),
            left_out=tuple(f":{v} {why}" for v, why in self.left_out.items()),
            changed=changed,
        )

    def _notes(self) -> list[str]:
        """Return what people wrote into the run, each with its event."""
        found: list[str] = []
        for event in self.story.events:
            bodies = [getattr(event, name, None) for name in ("note", "waived")]
            bodies += [event.reason] if isinstance(event, PolicySet) else []
            for body in bodies:
                if isinstance(body, str) and body not in self.dropped:
                    text = self.store.read_body(body).decode("utf-8", "backslashreplace")
                    found.append(f":{event.v} {text}")
        return found
