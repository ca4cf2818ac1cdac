"""`MlflowConfig`: what it says is what MLflow does, and a run that is ended on every way out.

MLflow itself is here, on a store of files, which it still has where it is told to.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from codex_ml.tracking.errors import (
    BadTrackingUri,
    InvalidTracking,
    MlflowMissing,
    NoTrackingUri,
    TrackingUnreachable,
    public_uri,
)
from codex_ml.tracking.mlflow_utils import SYSTEM_METRICS_VARIABLE, MlflowConfig
from codex_ml.tracking.stores import check_uri

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowConfig:
    """Runs in files below the test's directory."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return MlflowConfig(uri=f"file://{tmp_path}/runs", experiment="tests", log_system_metrics=False)


@pytest.fixture
def statuses(config: MlflowConfig) -> Callable[[], list[str]]:
    """What MLflow says of every run there, the oldest first."""

    def read() -> list[str]:
        import mlflow

        client = mlflow.MlflowClient(config.uri)
        found = client.get_experiment_by_name("tests")
        runs = client.search_runs([found.experiment_id], order_by=["start_time ASC"]) if found else []
        return [run.info.status for run in runs]

    return read


@pytest.fixture
def untouched() -> Iterator[None]:
    """MLflow goes where it went before, and no run is active."""
    import mlflow

    before = mlflow.get_tracking_uri()
    yield
    assert mlflow.get_tracking_uri() == before
    assert mlflow.active_run() is None


VALUES = ("true", "True", "TRUE", "1", "false", "False", "0", "yes", "on", "", " true", "2")


@pytest.mark.parametrize("value", VALUES)
def test_the_variable_means_what_it_means_to_mlflow(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every value is read as MLflow reads it, and refused where MLflow would fail over it."""
    from mlflow.environment_variables import MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING

    monkeypatch.setenv(SYSTEM_METRICS_VARIABLE, value)
    assert MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING.name == SYSTEM_METRICS_VARIABLE
    try:
        wanted = MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING.get()
    except ValueError:
        with pytest.raises(InvalidTracking, match=SYSTEM_METRICS_VARIABLE):
            MlflowConfig().wants_system_metrics()
    else:
        assert MlflowConfig().wants_system_metrics() is wanted
    assert MlflowConfig(log_system_metrics=True).wants_system_metrics()
    assert not MlflowConfig(log_system_metrics=False).wants_system_metrics()


def test_without_the_variable_there_are_no_system_metrics() -> None:
    assert not MlflowConfig().wants_system_metrics()


def test_while_tracking_is_off_nothing_of_mlflow_is_loaded() -> None:
    """The body runs, there is no run, and no module of MLflow: it would cost seconds."""
    code = (
        "import sys\n"
        "from codex_ml.tracking.mlflow_utils import MlflowConfig\n"
        "with MlflowConfig.from_environment({}).run('x') as run_id:\n"
        "    assert run_id is None\n"
        "assert not [name for name in sys.modules if name.split('.')[0] in ('mlflow', 'requests', 'psutil')]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_environment_names_the_server() -> None:
    """Tracking is on where a server is named; what is said first counts."""
    environ = {"MLFLOW_TRACKING_URI": "http://host:1", "MLFLOW_EXPERIMENT_NAME": "theirs"}
    there = MlflowConfig.from_environment(environ)
    assert (there.enabled, there.uri, there.experiment) == (True, "http://host:1", "theirs")
    assert not MlflowConfig.from_environment({}).enabled
    mine = MlflowConfig(experiment="mine", tags={"a": "1"}).over(there)
    assert (mine.uri, mine.experiment, mine.log_system_metrics) == ("http://host:1", "mine", None)
    both = mine.over(MlflowConfig(uri="http://other:1", tags={"a": "2", "b": "2"}, log_system_metrics=False))
    assert (both.uri, both.tags, both.log_system_metrics) == ("http://host:1", {"a": "1", "b": "2"}, False)


@pytest.mark.usefixtures("untouched")
def test_a_run_is_ended_as_it_went(
    config: MlflowConfig, statuses: Callable[[], list[str]], capfd: pytest.CaptureFixture[str]
) -> None:
    """Finished, failed, killed; the error comes out as it went in, and nothing is printed."""
    import mlflow

    with config.run("fine", {"a": "1"}) as run_id:
        mlflow.log_metric("x", 1.0)
        active = mlflow.active_run()
        assert active is not None
        assert (active.info.run_id, active.data.tags["a"]) == (run_id, "1")
    with pytest.raises(ZeroDivisionError), config.run("broken"):
        raise ZeroDivisionError
    with pytest.raises(KeyboardInterrupt), config.run("stopped"):
        raise KeyboardInterrupt
    assert statuses() == ["FINISHED", "FAILED", "KILLED"]
    assert capfd.readouterr().out == ""


@pytest.mark.usefixtures("untouched")
def test_runs_within_a_run(config: MlflowConfig, statuses: Callable[[], list[str]]) -> None:
    """One that the body left open is ended with ours; one around ours is not; one ended already stays so."""
    import mlflow

    with config.run("outer"):
        with config.run("inner"):
            inner = mlflow.active_run()
            assert inner is not None
            mlflow.start_run(run_name="left open", nested=True, experiment_id=inner.info.experiment_id)
        with config.run("ended by itself"):
            mlflow.end_run("FAILED")
        assert mlflow.active_run() is not None
        assert statuses() == ["RUNNING", "FINISHED", "FINISHED", "FAILED"]
    assert statuses() == ["FINISHED", "FINISHED", "FINISHED", "FAILED"]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("asked", [True, None])
def test_without_psutil_no_run_is_made(
    config: MlflowConfig,
    statuses: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    asked: bool | None,
) -> None:
    """System metrics that cannot be sampled are an error before there is a run that would stay open."""
    monkeypatch.setitem(sys.modules, "psutil", None)
    monkeypatch.setenv(SYSTEM_METRICS_VARIABLE, "true")
    wanting = MlflowConfig(uri=config.uri, experiment="tests", log_system_metrics=asked)
    with pytest.raises(MlflowMissing, match="psutil") as caught, wanting.run("x"):
        pytest.fail("the body was run")
    assert "pip install 'patch-ledger[ml]'" in caught.value.hint
    assert statuses() == []


def test_without_mlflow_it_says_what_to_install(
    config: MlflowConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MlflowMissing, match="MLflow is not installed"), config.run("x"):
        pytest.fail("the body was run")


def test_a_bad_variable_leaves_no_run(
    config: MlflowConfig, statuses: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SYSTEM_METRICS_VARIABLE, "maybe")
    deferring = MlflowConfig(uri=config.uri, experiment="tests")
    with pytest.raises(InvalidTracking, match="'maybe' is not true or false"), deferring.run("x"):
        pytest.fail("the body was run")
    assert statuses() == []


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("foo", "no scheme"),
        ("http://", "no host"),
        ("http://host:0", "no host and port"),
        ("http://[::1", "not a URI"),
        ("http://host:port", "not a URI"),
        ("sqlite:////no/such/directory/m.db", "no directory /no/such/directory"),
    ],
)
def test_what_is_no_uri(uri: str, said: str) -> None:
    """It is said before MLflow is loaded, and before it makes directories of the words."""
    with pytest.raises(BadTrackingUri, match=said) as caught:
        check_uri(uri)
    assert caught.value.hint
    assert not Path("/no").exists()


@pytest.mark.parametrize("uri", ["http://host:1/path", "https://host", "file:///x", "./x", "databricks"])
def test_what_may_be_one(uri: str) -> None:
    check_uri(uri)


def test_a_database_that_does_not_answer_is_no_long_wait() -> None:
    """MLflow alone would try it for nearly two minutes."""
    with pytest.raises(TrackingUnreachable, match="Connection refused"):
        check_uri("postgresql+psycopg2://ada:secret@127.0.0.1:1/mlflow")  # pragma: allowlist secret


def test_nothing_named_is_an_error_and_makes_no_store() -> None:
    with pytest.raises(NoTrackingUri), MlflowConfig().run("x"):
        pytest.fail("the body was run")
    assert os.listdir() == []


def test_files_and_strangers_are_refused(tmp_path: Path) -> None:
    """A store of files without MLflow's own word for it, and a scheme that MLflow does not know."""
    with (
        pytest.raises(BadTrackingUri, match="in files") as caught,
        MlflowConfig(uri=f"file://{tmp_path}/x").run(),
    ):
        pytest.fail("the body was run")
    assert "MLFLOW_ALLOW_FILE_STORE=true" in caught.value.hint
    with pytest.raises(BadTrackingUri, match="no such store"), MlflowConfig(uri="htp://host").run():
        pytest.fail("the body was run")


def test_credentials_stay_out_of_messages() -> None:
    named = "http://ada:secret@host:1/x?token=secret"  # pragma: allowlist secret
    assert public_uri(named) == "http://host:1/x"
    assert public_uri("http://host/x@y") == "http://host/x@y"
