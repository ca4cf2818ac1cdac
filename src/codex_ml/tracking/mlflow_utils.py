"""MLflow: what it is told, where, and a run that is ended on every way out.

Nothing of MLflow is imported until something is sent; while tracking is off, never. Its telemetry is off
unless the environment says otherwise, and it prints nothing to standard output.

See: ``docs/mlflow.md``.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Self

import msgspec
from msgspec import Struct

from codex_ml.tracking.errors import InvalidTracking, MlflowMissing, NoTrackingUri, RunLeftOpen, TrackingError
from codex_ml.tracking.stores import check_uri, find_experiment, patience, quiet, telling

if TYPE_CHECKING:
    from mlflow import MlflowClient

URI_VARIABLE = "MLFLOW_TRACKING_URI"
EXPERIMENT_VARIABLE = "MLFLOW_EXPERIMENT_NAME"
SYSTEM_METRICS_VARIABLE = "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING"
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}

_RUNNING = "RUNNING"


class MlflowConfig(Struct, frozen=True, kw_only=True):
    """What is told to MLflow, and where.

    Args:
        enabled: Whether anything is sent at all.
        uri: The tracking server (``http://…``) or store (``sqlite:///…``); "" names none.
        experiment: The experiment's name; it is made when it is not there. "" is MLflow's ``Default``.
        tags: Tags of every run.
        log_system_metrics: Whether CPU, memory, disk and network are sampled while a run is open; None leaves
            it to the environment variable ``MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING``, as MLflow does.
    """

    enabled: bool = True
    uri: str = ""
    experiment: str = ""
    tags: Mapping[str, str] = {}
    log_system_metrics: bool | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Return what MLflow's own variables say; enabled where they name a server or store."""
        uri = environ.get(URI_VARIABLE, "")
        return cls(enabled=bool(uri), uri=uri, experiment=environ.get(EXPERIMENT_VARIABLE, ""))

    def over(self, below: MlflowConfig) -> MlflowConfig:
        """Return this configuration, with what it leaves open taken from another; tags of both."""
        own = self.log_system_metrics
        return msgspec.structs.replace(
            self,
            uri=self.uri or below.uri,
            experiment=self.experiment or below.experiment,
            tags={**below.tags, **self.tags},
            log_system_metrics=below.log_system_metrics if own is None else own,
        )

    def wants_system_metrics(self, environ: Mapping[str, str] = os.environ) -> bool:
        """Return whether system metrics are sampled: as `log_system_metrics` says, else the environment.

        Raises:
            InvalidTracking: The variable has a value that MLflow would not take.
        """
        if self.log_system_metrics is not None:
            return self.log_system_metrics
        value = environ.get(SYSTEM_METRICS_VARIABLE)
        if value is None:
            return False
        if value.lower() not in _BOOLEANS:
            raise InvalidTracking(SYSTEM_METRICS_VARIABLE, value, "true or false")
        return _BOOLEANS[value.lower()]

    @contextmanager
    def run(self, name: str = "", tags: Mapping[str, str] | None = None) -> Generator[str | None]:
        """Keep an MLflow run open: ``mlflow.log_metric`` and the like go to it.

        It is marked FINISHED at the end, FAILED where an error comes out, KILLED where an interrupt does. A
        run within a run is nested. MLflow's tracking URI is this one meanwhile, in the whole process.

        Args:
            name: The run's name; by default one that MLflow makes up.
            tags: Tags of this run alone.

        Yields:
            The run's id; None where tracking is off, and then MLflow is not even imported.

        Raises:
            TrackingError: It cannot be started: nothing is left there. Or not ended (`RunLeftOpen`).
        """
        if not self.enabled:
            yield None
            return
        with self.reaching() as client:
            experiment_id = find_experiment(client, self.experiment, uri=self.uri)
        assert experiment_id is not None
        with self._own_uri():
            run_id = self._start(experiment_id, name, {**self.tags, **(tags or {})})
            with self._ending(client, run_id):
                yield run_id

    @contextmanager
    def _own_uri(self) -> Generator[None]:
        """Let MLflow's functions go to this server or store."""
        import mlflow

        before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
        mlflow.set_tracking_uri(self.uri)
        try:
            yield
        finally:
            # None unsets it, which the annotation does not say.
            mlflow.set_tracking_uri(before)  # pyright: ignore[reportArgumentType]

    def _start(self, experiment_id: str, name: str, tags: Mapping[str, str]) -> str:
        import mlflow

        with patience(), telling(self.uri):
            started = mlflow.start_run(
                experiment_id=experiment_id,
                run_name=name or None,
                nested=True,
                tags=dict(tags),
                log_system_metrics=self.wants_system_metrics(),
            )
        return started.info.run_id

    @contextmanager
    def _ending(self, client: MlflowClient, run_id: str) -> Generator[None]:
        """End a run as what comes out says; an error of the body is never hidden by one of ending."""
        try:
            yield
        except BaseException as error:
            status = "FAILED" if isinstance(error, Exception) else "KILLED"
            try:
                self._end(client, run_id, status)
            except RunLeftOpen as left:
                error.add_note(f"{left}; {left.hint}")
            raise
        self._end(client, run_id, "FINISHED")

    def _end(self, client: MlflowClient, run_id: str, status: str) -> None:
        """End a run, and those nested in it that the body left open.

        Raises:
            RunLeftOpen: The server does not answer any more.
        """
        import mlflow

        try:
            with patience(), telling(self.uri):
                # Who ended it already may have gone on with one of his own, which is not ours to end.
                if client.get_run(run_id).info.status != _RUNNING:
                    return
                while (active := mlflow.active_run()) is not None:
                    mlflow.end_run(status)
                    if active.info.run_id == run_id:
                        return
        except TrackingError as error:
            raise RunLeftOpen(run_id, status, str(error)) from error

    @contextmanager
    def reaching(self) -> Generator[MlflowClient]:
        """Give a client of the server or store, whose errors come out as ours, and in bounded time.

        Raises:
            NoTrackingUri: Nothing names one.
            MlflowMissing: MLflow is not installed, or psutil, where system metrics are wanted.
            BadTrackingUri: It is none that MLflow can use.
            TrackingUnreachable: It does not answer (also later, from what is asked of it).
            TrackingRefused: It has refused (also later, from what is asked of it).
        """
        if not self.uri:
            raise NoTrackingUri
        check_uri(self.uri)
        if self.wants_system_metrics() and find_spec("psutil") is None:
            # MLflow looks for it only after it has made the run, which then shows as running for ever.
            raise MlflowMissing("psutil, which samples system metrics,")
        if find_spec("mlflow") is None:
            raise MlflowMissing("MLflow")
        quiet()
        with patience(), telling(self.uri):
            from mlflow import MlflowClient

            yield MlflowClient(self.uri)
