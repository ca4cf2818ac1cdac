"""`ledger project mlflow` against a real server, whatever is cut short, and what plain HTTP then reads there."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from mlflow_server import Rest, Wire, free_port, running_server
from shell import SECOND, Shell

sys.path.insert(0, str(Path(__file__).parents[1] / "ledger"))
from chronicle import Chronicle, rule  # pyright: ignore[reportMissingImports] - its folder is added above

from codex_ml.tracking.errors import (
    DeletedExperiment,
    OtherHistory,
    RunLeftOpen,
    TrackingError,
    TrackingRefused,
    TrackingUnreachable,
)
from codex_ml.tracking.mirror import Chunk, Mirror, Sent
from codex_ml.tracking.mlflow_utils import MlflowConfig
from ledger.events import GateMeasured, PatchApplied
from ledger.operations.tracking import Tracked, project_runs
from ledger.policies import Policy
from ledger.stamps import Stamp
from ledger.store.local import LocalStore

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

LINT = rule("soft", "lint")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, sealed_commands: dict[str, str]) -> Iterator[str]:
    """One server for all that is looked at here."""
    with running_server(tmp_path_factory.mktemp("mlflow"), sealed_commands) as uri:
        yield uri


@pytest.fixture
def rest(server: str) -> Rest:
    return Rest(server)


@pytest.fixture
def wire(server: str) -> Iterator[Wire]:
    made = Wire(server)
    yield made
    made.close()


@pytest.fixture
def experiment(request: pytest.FixtureRequest) -> str:
    """A name of its own for every test: they share the server."""
    return request.node.name


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes a failed request for what it is at once."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.fixture
def told(tmp_path: Path) -> Callable[..., LocalStore]:
    """Makes a ledger with the run `port`: two patches, each measured, a note, and an end."""

    def make(*, until_v: int | None = None, name: str = "ledger") -> LocalStore:
        ticks = iter(range(10**6))
        stamp = Stamp(
            clock=lambda: 1_700_000_000_000_000_000 + next(ticks) * 1_000_000,
            entropy=lambda size: (7).to_bytes(size, "big"),
        )
        chronicle = Chronicle(stamp, {"a": "1"})
        chronicle.set_policy({"dev": Policy(gates={"lint": LINT})}, "dev")
        for text, findings in (("2", 3.0), ("3", 0.0)):
            data = f"patch {text}\n".encode()
            chronicle.patch({"a": text}, patch=chronicle.body(data), note=chronicle.body(b"why"))
            verdict = "fail" if findings else "pass"
            chronicle.measure("lint", LINT, metrics={"findings": findings}, verdict=verdict)
        chronicle.enter_phase("P6")
        chronicle.finish()
        store = LocalStore.open(tmp_path / name, stamp, create=True)
        chronicle.write_to(store, until_v=until_v)
        return store

    return make


def project(store: LocalStore, uri: str, experiment: str, **fields: Any) -> Tracked:
    config = MlflowConfig(uri=uri, experiment=experiment, log_system_metrics=False, **fields)
    (tracked,) = project_runs(store, ["port"], config)
    return tracked


def only(rest: Rest, experiment: str) -> dict[str, Any]:
    (run,) = rest.runs(experiment)
    return rest.shown(run)


def assert_shows(shown: dict[str, Any], store: LocalStore) -> None:
    """The server has every measurement and patch of the log, once, and the run's end."""
    events = [frame.event for frame in store.frames()]
    measured = [event for event in events if isinstance(event, GateMeasured)]
    at = [(event.v, event.at_ns // 10**6) for event in measured]
    values = {
        "lint.findings": [event.metrics["findings"] for event in measured],
        "lint.verdict": [{"pass": 1.0, "fail": 0.0}[event.verdict] for event in measured],
        "lint.examined": [float(event.examined) for event in measured],
        "lint.duration_s": [event.duration_ns / 1e9 for event in measured],
    }
    wanted = {
        key: [(*place, value) for place, value in zip(at, of_key, strict=True)]
        for key, of_key in values.items()
    }
    assert {key: sorted(points) for key, points in shown["points"].items()} == wanted
    patches = [event for event in events if isinstance(event, PatchApplied)]
    assert shown["files"] == {f"patches/{e.v:04d}.diff": store.read_body(e.patch) for e in patches}
    assert shown["times"] == (events[0].at_ns // 10**6, events[-1].at_ns // 10**6)
    assert shown["status"] == "FINISHED"
    assert shown["tags"]["ledger.cursor"] == f"{events[-1].v} {store.heads()['port'].digest}"
    assert shown["tags"]["ledger.phase"] == "P6"
    assert shown["params"]["profile"] == "dev"
    assert "none" not in {value for tag, value in shown["tags"].items() if tag.startswith("mlflow.")}


def test_what_the_server_shows_is_what_the_log_says(
    told: Callable[..., LocalStore], server: str, rest: Rest, experiment: str
) -> None:
    """Points, files, params, tags, status and times; a second time sends nothing and changes nothing."""
    store = told()
    tracked = project(store, server, experiment, tags={"team": "core"})
    shown = only(rest, experiment)
    assert_shows(shown, store)
    assert shown["tags"]["team"] == "core"
    assert shown["tags"]["mlflow.note.content"] == "port\n\n- :3 why\n- :5 why"
    info = rest.runs(experiment)[0]["info"]
    assert tracked.url == f"{server}/#/experiments/{info['experiment_id']}/runs/{info['run_id']}"
    again = project(store, server, experiment, tags={"team": "core"})
    assert (again.points, again.files, again.changed) == (0, 0, False)
    assert only(rest, experiment) == shown


def test_a_run_grows_and_comes_from_elsewhere(
    told: Callable[..., LocalStore], server: str, rest: Rest, experiment: str
) -> None:
    """Only what is new is sent, also by another copy of the run; a copy that is behind changes nothing."""
    early, whole = told(until_v=4, name="early"), told(name="whole")
    first = project(early, server, experiment)
    assert (first.from_v, first.until_v, first.points, first.files) == (0, 4, 4, 1)
    assert only(rest, experiment)["status"] == "RUNNING"
    second = project(whole, server, experiment)
    assert (second.from_v, second.until_v, second.points, second.files) == (4, 8, 4, 1)
    assert second.mlflow_run == first.mlflow_run
    shown = only(rest, experiment)
    assert_shows(shown, whole)
    behind = project(early, server, experiment)
    assert (behind.from_v, behind.until_v, behind.changed) == (8, 4, True)
    assert only(rest, experiment) == shown


def test_the_few_requests_of_a_projection(
    told: Callable[..., LocalStore], wire: Wire, experiment: str
) -> None:
    """All points in one request however many events there are; and with nothing to do two that only ask."""
    store = told()
    project(store, wire.uri, experiment)
    assert sum("log-batch" in each for each in wire.seen) == 3  # points with the cursor, params, tags
    wire.whole()
    project(store, wire.uri, experiment)
    assert wire.seen == [
        "GET /api/2.0/mlflow/experiments/get-by-name",
        "POST /api/2.0/mlflow/runs/search",
    ]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("carried_out", [False, True])
def test_cut_anywhere_and_gone_on_with(
    told: Callable[..., LocalStore], wire: Wire, rest: Rest, experiment: str, carried_out: bool
) -> None:
    """Whichever request is the last, seen by the server or not: the next projection ends as an uncut one does."""
    store = told()
    project(store, wire.uri, f"{experiment}-uncut")
    requests = len(wire.seen)
    assert_shows(only(rest, f"{experiment}-uncut"), store)
    for cut in range(1, requests + 1):
        here = f"{experiment}-{cut}"
        wire.whole()
        wire.cut, wire.carried_out = cut, carried_out
        with pytest.raises(TrackingError):
            project(store, wire.uri, here)
        wire.whole()
        project(store, wire.uri, here)
        assert_shows(only(rest, here), store)


@pytest.mark.usefixtures("impatient")
def test_cut_between_two_chunks(
    told: Callable[..., LocalStore], wire: Wire, rest: Rest, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one event a request, cut at every one of them: nothing is missing and nothing is double."""
    monkeypatch.setattr("ledger.projections.mlflow.BATCH_METRICS", 4)
    monkeypatch.setattr("codex_ml.tracking.mirror.BATCH_METRICS", 2)
    store = told()
    cut = 0
    while True:
        cut += 1
        wire.whole()
        wire.cut, wire.carried_out = cut, True
        try:
            project(store, wire.uri, experiment)
        except TrackingError:
            continue
        break
    assert cut > 6
    assert_shows(only(rest, experiment), store)


def test_many_at_once_leave_one_run(
    told: Callable[..., LocalStore], server: str, rest: Rest, experiment: str
) -> None:
    """Four writers that all found nothing there: one run is left, and it is whole."""
    stores = [told(name=f"clone{number}") for number in range(4)]
    done: list[Tracked] = []

    def send(store: LocalStore) -> None:
        for _ in range(5):
            try:
                done.append(project(store, server, experiment))
            except (TrackingRefused, TrackingUnreachable):  # as a busy server turns people away
                continue
            return

    threads = [threading.Thread(target=send, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 4
    assert_shows(only(rest, experiment), stores[0])


def test_the_smallest_of_several_counts(
    told: Callable[..., LocalStore], server: str, rest: Rest, experiment: str
) -> None:
    """A second run of the same source, whole or not, gives way to the one with the smallest id."""
    store = told()
    first = project(store, server, experiment).mlflow_run
    shown = rest.runs(experiment)[0]
    identity = {"key": "ledger.run_id", "value": next(store.frames()).event.id}
    made = {name: shown["info"][name] for name in ("experiment_id", "run_name", "start_time")}
    asked = [rest.post("mlflow/runs/create", {**made, "tags": [identity]}) for _ in range(3)]
    others = [each["run"]["info"]["run_id"] for each in asked]
    left = project(store, server, experiment).mlflow_run
    assert left == min(first, *others)
    assert_shows(only(rest, experiment), store)
    deleted = {run["info"]["run_id"] for run in rest.runs(experiment, "DELETED_ONLY")}
    assert deleted == {first, *others} - {left}


def test_deleted_while_it_is_written_to(
    told: Callable[..., LocalStore], server: str, rest: Rest, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that another writer deletes under our hands is looked up again, and all of it sent to the next."""
    store = told()
    deleted: list[str] = []
    send = Mirror.send

    def interrupted(mirror: Mirror, chunk: Chunk) -> Sent:
        if not deleted:
            deleted.append(mirror.run_id)
            rest.post("mlflow/runs/delete", {"run_id": mirror.run_id})
        return send(mirror, chunk)

    monkeypatch.setattr(Mirror, "send", interrupted)
    tracked = project(store, server, experiment)
    assert tracked.mlflow_run not in deleted
    assert_shows(only(rest, experiment), store)


def test_another_history_is_not_written_over(
    told: Callable[..., LocalStore], server: str, rest: Rest, experiment: str
) -> None:
    """A cursor that names another event than ours stops the projection before anything is sent."""
    store = told()
    project(store, server, experiment)
    run_id = rest.runs(experiment)[0]["info"]["run_id"]
    rest.post("mlflow/runs/set-tag", {"run_id": run_id, "key": "ledger.cursor", "value": f"3 {'ab' * 32}"})
    before = only(rest, experiment)
    with pytest.raises(OtherHistory, match="port:3"):
        project(store, server, experiment)
    assert only(rest, experiment) == before


def test_a_deleted_experiment_is_named(
    told: Callable[..., LocalStore], server: str, rest: Rest, experiment: str
) -> None:
    """Its name stays taken in MLflow; the hint restores it."""
    store = told()
    project(store, server, experiment)
    number = rest.runs(experiment)[0]["info"]["experiment_id"]
    rest.post("mlflow/experiments/delete", {"experiment_id": number})
    with pytest.raises(DeletedExperiment) as caught:
        project(store, server, experiment)
    assert f"mlflow experiments restore --experiment-id {number}" in caught.value.hint


@pytest.mark.usefixtures("impatient")
def test_a_run_that_cannot_be_ended_is_named(wire: Wire, rest: Rest, experiment: str) -> None:
    """The server goes away while a run is open: an error says which run it shows as running, and how to end it."""
    config = MlflowConfig(uri=wire.uri, experiment=experiment, log_system_metrics=False)

    def lose_the_server(error: Exception | None) -> None:
        wire.whole()
        with config.run("lost"):
            wire.cut = len(wire.seen) + 1
            if error is not None:
                raise error

    with pytest.raises(RunLeftOpen, match="could not be marked FINISHED") as caught:
        lose_the_server(None)
    with pytest.raises(ZeroDivisionError) as failed:
        lose_the_server(ZeroDivisionError())
    assert "could not be marked FAILED" in failed.value.__notes__[0]
    left = {run["info"]["run_id"]: run["info"]["status"] for run in rest.runs(experiment)}
    assert list(left.values()) == ["RUNNING"] * 2
    assert any(run_id in caught.value.hint for run_id in left)
    # MLflow still takes both for active, and would nest what other tests start in this process.
    import mlflow

    wire.whole()
    mlflow.set_tracking_uri(wire.uri)
    while mlflow.active_run() is not None:
        mlflow.end_run()
    mlflow.set_tracking_uri(None)  # pyright: ignore[reportArgumentType]


def test_system_metrics_are_of_a_run_of_their_own(
    told: Callable[..., LocalStore], server: str, rest: Rest, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The projection is watched while it lasts, in a second run; the ledger's run has none of it."""
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")
    store = told()
    config = MlflowConfig(uri=server, experiment=experiment, log_system_metrics=True)
    list(project_runs(store, ["port"], config))
    runs = {run["info"]["run_name"]: rest.shown(run) for run in rest.runs(experiment)}
    assert_shows(runs["port"], store)
    watched = runs["ledger project mlflow"]
    assert watched["status"] == "FINISHED"
    assert "system/cpu_utilization_percentage" in watched["points"]


def test_the_command(
    shell: Shell, server: str, rest: Rest, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dry, sent, sent again; the log stays as it is; a redaction names the copy, and the next time replaces it."""
    assert shell("run", "start", "work", "--name", "work").code == 0
    event = shell("apply", "-m", "why", shell.file(SECOND)).out.strip()
    before = shell.everything()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", experiment)
    dry = shell("project", "mlflow", "--dry-run")
    assert (dry.code, dry.out, dry.err) == (0, "work\n", "work: would send :1 to :3, 0 points, 1 file\n")
    assert rest.runs(experiment) == []
    sent = shell("project", "mlflow", "--all")
    run = rest.runs(experiment)[0]
    run_id = run["info"]["run_id"]
    assert sent.out == f"work {run_id}\n"
    assert "work: sent :1 to :3, 0 points, 1 file\n" in sent.err
    assert rest.shown(run)["files"] == {"patches/0003.diff": SECOND.encode()}
    assert "nothing to do" in shell("project", "mlflow", "--run", "work").err
    assert shell.everything() == before
    place = f"  MLflow: {server}, experiment {experiment}, run {run_id}"
    assert f"{place}: patches/0003.diff and its description;" in shell("redact", event, "--dry-run").err
    redacted = shell("redact", event, "--body", "patch")
    assert f"{place}: patches/0003.diff;" in redacted.err
    again = shell("project", "mlflow")
    assert "left out: :3 it was dropped" in again.err
    files = {"patches/0003.diff": b"The patch of work:3 is not here: it was dropped.\n"}
    assert rest.shown(rest.runs(experiment)[0])["files"] == files


def test_what_the_command_refuses(shell: Shell, server: str) -> None:
    """No server named, none there, none that it is; no such run; and no database in the work tree."""
    shell("run", "start", "work", "--name", "work")
    shell("project", "mlflow").refuses(2, "no tracking server is named", "--uri")
    nowhere = f"http://ada:secret@127.0.0.1:{free_port()}"  # pragma: allowlist secret
    gone = shell("project", "mlflow", "--uri", nowhere, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    gone.refuses(8, "does not answer: Connection refused", "/health")
    assert "secret" not in gone.err
    shell("project", "mlflow", "--uri", f"{server}/elsewhere").refuses(8, "refused", "404")
    shell("project", "mlflow", "--uri", server, "--run", "other").refuses(3, "no run other")
    shell("project", "mlflow", "--uri", server, "--run", "work", "--all").refuses(2, "exclude each other")
    assert shell("status", "--json").code == 0
    assert sorted(path.name for path in shell.root.iterdir()) == [".git", "a.txt", "b.txt", "dir"]
