"""What MLflow can write to: URIs checked beforehand, waiting bounded, and its errors told as ours."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from codex_ml.tracking.errors import (
    BadTrackingUri,
    DeletedExperiment,
    MlflowMissing,
    TrackingError,
    TrackingRefused,
    TrackingUnreachable,
    public_uri,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}

_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
"""MLflow's own would wait four minutes for a server that is not there. Units: tries, seconds, seconds."""

_KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Without it MLflow's pages guess what an experiment is for, and take ours for evaluations of prompts."""

_DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_CONNECT_TIMEOUT_S = 5.0
_EXAMPLES = "a server is `http://HOST:PORT`, a store `sqlite:////path/to/mlflow.db`"
_SYSTEM_ERROR = re.compile(r"\[Errno -?\d+\] ([^\"')]+)")
_NO_ANSWER = re.compile(r"failed with (?:timeout )?exception ")


def quiet() -> None:
    """Turn MLflow's telemetry and its chatter off for this process; what the user has set stays.

    To be called before MLflow is imported, which looks at some of it only then.
    """
    for variable, value in _QUIET.items():
        os.environ.setdefault(variable, value)


@contextmanager
def patience() -> Generator[None]:
    """Let MLflow wait for a server as long as a command may; what the user has set stays.

    Process-wide while it lasts: MLflow reads its environment at every request.
    """
    lent = {variable: value for variable, value in _PATIENCE.items() if variable not in os.environ}
    os.environ.update(lent)
    try:
        yield
    finally:
        for variable in lent:
            os.environ.pop(variable, None)


def check_uri(uri: str) -> None:
    """Raise where a URI names no store, before MLflow makes directories of it or waits for minutes.

    Raises:
        BadTrackingUri: It is none that MLflow can use.
        TrackingUnreachable: It names a database server that does not answer.
    """
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError as error:
        raise BadTrackingUri(uri, f"not a URI: {error}", _EXAMPLES) from error
    scheme = parts.scheme.partition("+")[0]
    if scheme in ("http", "https") and (not parts.hostname or port == 0):
        raise BadTrackingUri(uri, "names no host and port of a server", _EXAMPLES)
    if not scheme and not uri.startswith(("/", ".")) and not uri.startswith("databricks"):
        raise BadTrackingUri(uri, "not a URI: it has no scheme", _EXAMPLES)
    if scheme == "sqlite" and not (folder := _database_file(uri).parent).is_dir():
        raise BadTrackingUri(uri, f"there is no directory {folder}", f"`mkdir -p {folder}`")
    if scheme in _DATABASE_PORTS and parts.hostname:
        _check_database(uri, parts, port or _DATABASE_PORTS[scheme])


def _check_database(uri: str, parts: SplitResult, port: int) -> None:
    """Look whether somebody listens: MLflow would try a database for nearly two minutes."""
    try:
        socket.create_connection((parts.hostname or "", port), _CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise TrackingUnreachable(uri, error.strerror or str(error)) from error


def _database_file(uri: str) -> Path:
    return Path(unquote(uri.partition(":///")[2].partition("?")[0]))


def find_experiment(client: MlflowClient, name: str, *, uri: str, create: bool = True) -> str | None:
    """Return the id of an experiment, which is made when it is not there; "" is MLflow's ``Default``.

    Args:
        client: Of the store at ``uri``.
        name: The experiment's name.
        uri: What the client writes to.
        create: Whether it is made; without, None says that it is not there.

    Raises:
        DeletedExperiment: It was deleted, and its name is still taken.
    """
    if not name:
        return "0"
    found = client.get_experiment_by_name(name)
    if found is None:
        if not create:
            return None
        from mlflow.exceptions import MlflowException

        try:
            return client.create_experiment(name, _artifact_root(uri), _KIND)
        except MlflowException:
            # Somebody else may have made it meanwhile: names are unique there.
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        raise DeletedExperiment(uri, name, found.experiment_id)
    return found.experiment_id


def _artifact_root(uri: str) -> str | None:
    """Return where artifacts go: beside a local database, else where the server says.

    MLflow would put them below the working directory, which is somebody's work tree.
    """
    if not uri.startswith("sqlite"):
        return None
    return str(_database_file(uri).absolute().parent / "mlartifacts")


@contextmanager
def telling(uri: str) -> Generator[None]:
    """Turn what MLflow and its database raise into our errors, without credentials in their words.

    Raises:
        BadTrackingUri: It is none that MLflow can use.
        TrackingUnreachable: It does not answer.
        TrackingRefused: It has refused.
        MlflowMissing: A database's driver is not installed.
    """
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    database: tuple[type[Exception], ...] = ()
    if find_spec("sqlalchemy"):
        from sqlalchemy.exc import SQLAlchemyError

        database = (SQLAlchemyError,)
    try:
        yield
    except ModuleNotFoundError as error:
        what = f"{error.name}, which MLflow needs for {public_uri(uri)},"
        raise MlflowMissing(what, f"`pip install {error.name}`") from error
    except (MlflowException, RequestException, *database) as error:
        raise _told(uri, error) from error


def _told(uri: str, error: Exception) -> TrackingError:
    from mlflow.exceptions import RestException
    from mlflow.tracking.registry import UnsupportedModelRegistryStoreURIException

    reason = str(error).replace(uri, public_uri(uri)).strip()
    if isinstance(error, UnsupportedModelRegistryStoreURIException):
        return BadTrackingUri(uri, "MLflow knows no such store", _EXAMPLES)
    if "MLFLOW_ALLOW_FILE_STORE" in reason:
        instead = "name a database, `--uri sqlite:////path/to/mlflow.db`, or set MLFLOW_ALLOW_FILE_STORE=true"
        return BadTrackingUri(uri, "MLflow keeps new runs no longer in files", instead)
    if not isinstance(error, RestException) and (unanswered := _NO_ANSWER.search(reason)):
        known = _SYSTEM_ERROR.search(reason)
        return TrackingUnreachable(uri, known[1] if known else reason[unanswered.end() :])
    return TrackingRefused(uri, reason.partition(". Response body:")[0].partition("\n(Background on")[0])
