"""The application: the views behind the guard, and the server that shows them to this machine alone."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import uvicorn
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.routing import Route

from ledger.errors import LedgerError
from ledger.web import ask, gates, runs
from ledger.web.pages import STATIC, page
from ledger.web.readers import Readers
from ledger.web.safety import Guard

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp

_ASSETS = {
    "page.css": (STATIC, "text/css"),
    "page.js": (STATIC, "text/javascript"),
    "report.css": (files("ledger.reports"), "text/css"),
    "report.js": (files("ledger.reports"), "text/javascript"),
}
_LOOPBACK = "127.0.0.1"


class Page(NamedTuple):
    """A page that is served: its address with the token, its server, and the socket that it listens at."""

    address: str
    server: uvicorn.Server
    listening: socket.socket

    def serve(self) -> None:
        """Answer until Ctrl-C, or until ``server.should_exit`` is set."""
        with suppress(KeyboardInterrupt):  # the server has ended its answers before it says so
            self.server.run(sockets=[self.listening])


def make_app(readers: Readers, token: str, port: int) -> ASGIApp:
    """Return the guarded application.

    Args:
        readers: The ledger.
        token: What whoever asks has to know.
        port: The port that it is served at.
    """
    asset = Route("/static/{name}", _asset)
    app = Starlette(
        routes=[*runs.routes(readers), *gates.routes(readers), *ask.routes(readers), asset],
        exception_handlers={404: _missing, LedgerError: _failed},
    )
    return Guard(GZipMiddleware(app, minimum_size=1000), token, port)


def open_page(directory: Path, port: int = 0) -> Page:
    """Listen at loopback, and return the page that can be served there.

    Args:
        directory: Where the ledger's repository is found from.
        port: The port; 0 for any that is free.

    Raises:
        OSError: The port is taken.
        NotARepository: There is no repository.
    """
    readers = Readers(directory)
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((_LOOPBACK, port))
        # From here on a browser that knows the address waits for the server instead of being refused.
        listening.listen()
    except OSError:
        listening.close()
        readers.close()
        raise
    port = listening.getsockname()[1]
    token = secrets.token_urlsafe(32)
    config = uvicorn.Config(
        make_app(readers, token, port),
        log_level="error",
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    return Page(f"http://{_LOOPBACK}:{port}/?token={token}", uvicorn.Server(config), listening)


def _asset(request: Request) -> Response:
    found = _ASSETS.get(request.path_params["name"])
    if found is None:
        return Response(status_code=404)
    directory, kind = found
    return Response((directory / request.path_params["name"]).read_bytes(), media_type=kind)


def _missing(request: Request, error: Exception) -> Response:  # noqa: ARG001 - starlette's signature
    return page("missing", 404, what=f"no page {request.url.path}")


def _failed(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return page("failed", 500, error=str(error), hint=getattr(error, "hint", ""))
