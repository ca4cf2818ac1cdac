"""Errors of tracking: one class for each different thing a caller can do about it.

No message shows the credentials of a URI.
"""

from __future__ import annotations

import re

_CREDENTIALS = re.compile(r"://[^/\s]*@")


class TrackingError(Exception):
    """Base of everything that tracking raises about its settings or its server."""

    hint: str = ""


class MlflowMissing(TrackingError):
    """MLflow, or what it needs for this kind of store, is not installed. Nothing was sent."""

    def __init__(self, what: str, hint: str = "`pip install 'patch-ledger[ml]'`") -> None:
        self.what, self.hint = what, hint
        super().__init__(f"{what} is not installed")


class InvalidTracking(TrackingError):
    """A setting means nothing: of an environment variable, or of the configuration. Nothing was sent."""

    def __init__(self, name: str, value: str, expected: str) -> None:
        self.name, self.value = name, value
        self.hint = f"set {name} to {expected}, or unset it: `unset {name}`"
        super().__init__(f"{name}: {value!r} is not {expected}")


class NoTrackingUri(TrackingError):
    """Nothing names a tracking server or store. Nothing was sent, and no store was made."""

    hint = "name one: `ledger project mlflow --uri http://127.0.0.1:5000`, or set MLFLOW_TRACKING_URI"

    def __init__(self) -> None:
        super().__init__("no tracking server is named")


class BadTrackingUri(TrackingError):
    """A URI names no store that MLflow can use. Nothing was sent."""

    def __init__(self, uri: str, reason: str, hint: str) -> None:
        self.uri, self.reason, self.hint = uri, reason, hint
        super().__init__(f"{public_uri(uri)}: {reason}")


class TrackingUnreachable(TrackingError):
    """The server does not answer, or fails. What it has confirmed stays there; the rest was not sent."""

    def __init__(self, uri: str, reason: str) -> None:
        self.uri, self.reason = uri, reason
        health = public_uri(uri).rstrip("/") + "/health"
        self.hint = (
            f"see whether it runs (`curl -fsS {health}`), then run the command again: it goes on from there"
        )
        super().__init__(f"{public_uri(uri)}: the tracking server does not answer: {reason}")


class TrackingRefused(TrackingError):
    """The server or store has refused a request. What it has confirmed stays there."""

    hint = "what it says is its own; permissions and names are looked up with `mlflow experiments search`"

    def __init__(self, uri: str, reason: str) -> None:
        self.uri, self.reason = uri, reason
        super().__init__(f"{public_uri(uri)}: refused: {reason}")


class DeletedExperiment(TrackingRefused):
    """The experiment was deleted there, and its name is still taken. Nothing was sent."""

    def __init__(self, uri: str, experiment: str, experiment_id: str) -> None:
        super().__init__(uri, f"experiment {experiment} was deleted there")
        restore = f"`mlflow experiments restore --experiment-id {experiment_id}`"
        self.hint = f"{restore}, or name another: `--experiment NAME`"


class DeletedRun(TrackingError):
    """The MLflow run was deleted while it was written to, by another writer of its copy or by a person."""

    hint = "run the command again: it goes on with the run that is left, or makes one"

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(f"MLflow run {run_id}: deleted while it was written to")


class OtherHistory(TrackingError):
    """What an MLflow run shows is not the beginning of what it would be brought up to. Nothing was sent."""

    hint = "delete the run there, and it is made anew; or send this one elsewhere: `--experiment NAME`"

    def __init__(self, run_id: str, reason: str) -> None:
        self.run_id, self.reason = run_id, reason
        super().__init__(f"MLflow run {run_id}: {reason}")


class RunLeftOpen(TrackingError):
    """A run could not be ended: the server does not know that it is over, and shows it as running."""

    def __init__(self, run_id: str, status: str, reason: str) -> None:
        self.run_id, self.status = run_id, status
        self.hint = (
            "when the server answers again: "
            f"""`python -c 'import mlflow; mlflow.MlflowClient().set_terminated("{run_id}", "{status}")'`"""
        )
        super().__init__(f"MLflow run {run_id} is over, but could not be marked {status}: {reason}")


def public_uri(uri: str) -> str:
    """Return a URI without the user, password and query in it, for messages and records."""
    return _CREDENTIALS.sub("://", uri.partition("?")[0])
