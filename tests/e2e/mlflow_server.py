"""A real `mlflow server`, a reader of its REST interface that is not MLflow's, and a wire that can be cut.

The wire counts requests. Told to, it fails one of them: before the server has seen it, or after the server has
done what it asks and before anybody hears of that. Every later one fails too, as after a kill.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

_START_TIMEOUT_S = 120


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running_server(folder: Path, environment: dict[str, str]) -> Generator[str]:
    """Run the server on sqlite and give its address once it answers; all its processes end with it."""
    uri = f"http://127.0.0.1:{free_port()}"
    program = str(Path(sys.executable).with_name("mlflow"))
    command = [program, "server", "--host", "127.0.0.1", "--port", uri.rpartition(":")[2], "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    path = f"{Path(program).parent}:{os.environ['PATH']}"
    environment = environment | {"PATH": path, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _await(uri, server, folder / "server.log")
        yield uri
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _await(uri: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < until:
        assert server.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"{uri}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"the server did not start: {log.read_text()}")


class Rest:
    """What the server says over plain HTTP."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def get(self, call: str, **query: object) -> dict[str, Any]:
        words = "&".join(f"{name}={quote(str(value))}" for name, value in query.items())
        with urllib.request.urlopen(f"{self.uri}/api/2.0/{call}?{words}", timeout=30) as answer:
            return json.load(answer)

    def post(self, call: str, body: dict[str, Any]) -> dict[str, Any]:
        data = json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.uri}/api/2.0/{call}", data, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def runs(self, experiment: str, view: str = "ACTIVE_ONLY") -> list[dict[str, Any]]:
        """Return the runs of an experiment, none where there is no such experiment."""
        try:
            found = self.get("mlflow/experiments/get-by-name", experiment_name=experiment)
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return []
        wanted = {"experiment_ids": [found["experiment"]["experiment_id"]], "run_view_type": view}
        return self.post("mlflow/runs/search", {**wanted, "max_results": 1000}).get("runs", [])

    def shown(self, run: dict[str, Any]) -> dict[str, Any]:
        """Return all that a run shows: status, times, tags, params, every point of every metric, every file."""
        info, data = run["info"], run["data"]
        keys = sorted(metric["key"] for metric in data.get("metrics", []))
        return {
            "name": info["run_name"],
            "status": info["status"],
            "times": (info["start_time"], info.get("end_time")),
            "tags": {tag["key"]: tag["value"] for tag in data["tags"]},
            "params": {param["key"]: param["value"] for param in data.get("params", [])},
            "points": {key: self.points(info["run_id"], key) for key in keys},
            "files": self.files(info["run_id"]),
        }

    def points(self, run_id: str, key: str) -> list[tuple[int, int, float]]:
        """Return every point of a metric: step, milliseconds, value."""
        found = self.get("mlflow/metrics/get-history", run_id=run_id, metric_key=key).get("metrics", [])
        return [(int(each.get("step", 0)), int(each["timestamp"]), each["value"]) for each in found]

    def files(self, run_id: str) -> dict[str, bytes]:
        """Return the bytes of every artifact below ``patches``."""
        listed = self.get("mlflow/artifacts/list", run_id=run_id, path="patches").get("files", [])
        return {each["path"]: self.file(run_id, each["path"]) for each in listed}

    def file(self, run_id: str, path: str) -> bytes:
        url = f"{self.uri}/get-artifact?run_id={run_id}&path={quote(path)}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.read()


class Wire:
    """A way to the server that counts requests, and fails from the one of number ``cut`` on."""

    def __init__(self, server: str) -> None:
        self.seen: list[str] = []
        self.cut = 0
        self.carried_out = False
        self._lock = threading.Lock()
        self._port = urlsplit(server).port
        wire = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass_on(self) -> None:
                wire.pass_on(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on  # noqa: N815 - names of the library

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.uri = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def whole(self) -> None:
        """Let everything through from here on, and count from nothing."""
        self.seen, self.cut = [], 0

    def pass_on(self, handler: BaseHTTPRequestHandler) -> None:
        with self._lock:
            self.seen.append(f"{handler.command} {handler.path.partition('?')[0]}")
            number = len(self.seen)
        size = int(handler.headers.get("Content-Length") or 0)
        body = handler.rfile.read(size)
        lost = bool(self.cut) and number >= self.cut
        if not lost or (number == self.cut and self.carried_out):
            status, headers, answer = self._ask(handler, body)
            if not lost:
                handler.send_response(status)
                handler.send_header("Content-Type", headers.get("Content-Type") or "application/json")
                handler.send_header("Content-Length", str(len(answer)))
                handler.end_headers()
                handler.wfile.write(answer)
                return
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)

    def _ask(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, Any, bytes]:
        assert self._port is not None
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        kept = {name: value for name, value in handler.headers.items() if name.lower() != "host"}
        try:
            connection.request(handler.command, handler.path, body or None, kept)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()
