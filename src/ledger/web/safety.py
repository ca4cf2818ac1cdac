"""Safety: who may ask, and what a browser may do with the answer.

A page on loopback can be asked by every program and every web page on the machine. So an answer needs the
token of this server, from the address that it printed or from the cookie which that left; the name that was
asked for must be loopback's (a stranger's name that was bound to 127.0.0.1 is refused); and what is posted
must come from a page of this server.
"""

from __future__ import annotations

import hmac
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    # Not `no-referrer`: a browser then says `Origin: null` of a form that this server's own page posts.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
POSTED = frozenset({"/ask"})
"""The only addresses that take a POST; asking writes nothing."""


class Guard:
    """Lets through what may ask, and gives every answer its headers."""

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        """Guard an application.

        Args:
            app: The application.
            token: What whoever asks has to know.
            port: The port that it is served at.
        """
        self._app, self._token = app, token
        self._cookie = f"ledger-{port}"
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        refusal = self._refusal(scope)
        answer: ASGIApp = self._app if refusal is None else refusal

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        await answer(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        """Return what to answer instead, None where the request may pass."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if host not in self._hosts:
            return PlainTextResponse("this page has another name\n", 421)
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        if given and self._knows(given[-1]):
            return self._welcome(scope)
        if not self._knows(self._cookie_of(headers)):
            return PlainTextResponse("open the address that `ledger ui` printed: it has the token\n", 403)
        method = scope["method"]
        if method not in ("GET", "HEAD") and not (method == "POST" and scope["path"] in POSTED):
            return PlainTextResponse("this page only reads\n", 405, {"Allow": "GET, HEAD"})
        if method == "POST" and headers.get("origin") != f"http://{host}":
            return PlainTextResponse("this was not posted by a page of this server\n", 403)
        return None

    def _knows(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._token.encode())

    def _cookie_of(self, headers: Headers) -> str:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return ""
        return "" if found is None else found.value

    def _welcome(self, scope: Scope) -> Response:
        """Leave the token in a cookie, and take it out of the address."""
        query = parse_qs(scope["query_string"].decode("latin-1"))
        query.pop("token")
        rest = urlencode(query, doseq=True)
        # A path that begins with two slashes would name another host.
        path = "/" + scope["path"].lstrip("/\\")
        response = RedirectResponse(path + (f"?{rest}" if rest else ""), 303)
        response.set_cookie(self._cookie, self._token, httponly=True, samesite="strict", path="/")
        return response
