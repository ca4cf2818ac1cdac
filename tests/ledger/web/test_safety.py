"""Who gets an answer of the page, and what every answer forbids the browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from starlette.testclient import TestClient

from ledger.web.app import make_app
from ledger.web.readers import Readers
from ledger.web.safety import HEADERS

PORT = 4321
TOKEN = "s3cret-token"
HOME = f"http://127.0.0.1:{PORT}"
ADDRESSES = (
    "/",
    "/runs/t-0001",
    "/runs/t-0001/data",
    "/gates",
    "/ask",
    "/static/page.js",
    "/nothing",
    "/runs/none",
    "/live",
)


@pytest.fixture
def client(sample: Callable[[str], Path]) -> Iterator[TestClient]:
    """A client that knows no token yet, and follows nothing."""
    readers = Readers(sample("one"))
    yield TestClient(make_app(readers, TOKEN, PORT), base_url=HOME, follow_redirects=False)
    readers.close()


@pytest.fixture
def known(client: TestClient) -> TestClient:
    """The same one, once it has opened the address with the token."""
    assert client.get("/", params={"token": TOKEN}).status_code == 303
    return client


def test_nothing_is_told_without_the_token(client: TestClient) -> None:
    """Not even whether an address exists, nor with a token that is almost right."""
    for address in ADDRESSES:
        told = {
            client.get(address, params=given).text
            for given in ({}, {"token": ""}, {"token": TOKEN[:-1]}, {"token": "é"})
        }
        assert told == {"open the address that `ledger ui` printed: it has the token\n"}
        answer = client.get(address, headers={"Cookie": f"ledger-{PORT}=wrong; x=%"})
        assert answer.status_code == 403


def test_the_token_goes_from_the_address_into_a_cookie(client: TestClient) -> None:
    """No script can read it, no other site can use it, and the address that is shared has none."""
    answer = client.get("/gates", params={"token": TOKEN, "run": "t-0001"})
    assert answer.headers["location"] == "/gates?run=t-0001"
    cookie = answer.headers["set-cookie"].lower()
    assert all(part in cookie for part in ("httponly", "samesite=strict", "path=/"))
    assert client.get("/gates").status_code == 200


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example/"])
def test_the_token_leads_to_no_other_host(client: TestClient, path: str) -> None:
    """A path that a browser would take for a host stays a path."""
    location = client.get(HOME + path, params={"token": TOKEN}).headers["location"]
    assert urlsplit(urljoin(HOME, location.replace("\\", "/"))).netloc == f"127.0.0.1:{PORT}"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        f"evil.example:{PORT}",
        "127.0.0.1",
        "127.0.0.1:80",
        f"127.0.0.1.evil.example:{PORT}",
        "",
    ],
)
def test_another_name_for_loopback_is_refused(known: TestClient, host: str) -> None:
    """A stranger's name that was bound to this machine gets nothing, cookie or not."""
    assert known.get("/", headers={"Host": host}).status_code == 421
    assert known.get("/", params={"token": TOKEN}, headers={"Host": host}).status_code == 421
    assert known.get("/", headers={"Host": f"localhost:{PORT}"}).status_code in (200, 403)


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "http://evil.example",
        f"http://localhost:{PORT}",
        f"https://127.0.0.1:{PORT}",
        HOME + "/",
    ],
)
def test_only_its_own_pages_may_post(known: TestClient, origin: str | None) -> None:
    """Asking needs the origin of this server."""
    headers = {} if origin is None else {"Origin": origin}
    assert known.post("/ask", data={"sql": "select 1"}, headers=headers).status_code == 403
    assert known.post("/ask", data={"sql": "select 1"}, headers={"Origin": HOME}).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_everything_else_only_reads(known: TestClient, method: str) -> None:
    """No address takes what could change something."""
    for address in ADDRESSES:
        if (method, address) != ("POST", "/ask"):
            assert known.request(method, address, headers={"Origin": HOME}).status_code == 405


@pytest.mark.parametrize("address", [each for each in ADDRESSES if each != "/live"])
def test_every_answer_has_the_headers(known: TestClient, address: str) -> None:
    """Whatever the status, the browser may run the page's own scripts alone, and keeps nothing."""
    for answer in (known.get(address), known.get(address, headers={"Host": "x"}), known.put(address)):
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


@pytest.mark.parametrize(
    "address",
    [
        "/nothing",
        "/runs/none",
        "/runs/none/data",
        "/gates?run=none",
        "/static/app.py",
        "/static/..%2fapp.py",
        "/runs/ledger",
    ],
)
def test_what_is_not_there_is_not_found(known: TestClient, address: str) -> None:
    """Runs and files that there are none of, and files beside those that are served."""
    assert known.get(address).status_code == 404


def test_too_much_is_not_read(known: TestClient) -> None:
    """A question of more than a mebibyte is refused before it is whole."""
    assert known.post("/ask", data={"sql": "x" * (1 << 21)}, headers={"Origin": HOME}).status_code == 413


def test_rows_time_and_memory_are_limited(known: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer has so many rows at most and says that there are more; what never ends is stopped."""
    ask: Any = lambda sql: known.post("/ask", data={"sql": sql}, headers={"Origin": HOME}).text  # noqa: E731
    assert "500 rows, and there are more" in ask("from range(100000)")
    assert "500 rows</p>" in ask("from range(500)")
    monkeypatch.setattr("ledger.web.ask.TIMEOUT_S", 0.3)
    assert "it may take 0.3 s" in ask("select count(*) from range(1000000000) a, range(1000000000) b")
    monkeypatch.setattr("ledger.web.ask.TIMEOUT_S", 30.0)
    monkeypatch.setattr("ledger.web.ask.MEMORY_BYTES", 50_000_000)
    assert "of memory" in ask("select list(i) from range(1000000000) t(i)")


def test_a_ledger_that_is_not_there_yet(repo: Path) -> None:
    """The page of a repository without a ledger says what makes one, and makes none itself."""
    readers = Readers(repo)
    client = TestClient(make_app(readers, TOKEN, PORT), base_url=HOME)
    assert "Nothing was recorded yet" in client.get("/", params={"token": TOKEN}).text
    assert not (repo / ".git/ledger").exists()
    readers.close()


def test_a_page_is_light(known: TestClient) -> None:
    """A run's page with its scripts, style and data is below 300 kB, before it is compressed."""
    parts = (
        "/runs/t-0001",
        "/runs/t-0001/data",
        "/static/report.js",
        "/static/report.css",
        "/static/page.js",
        "/static/page.css",
    )
    assert sum(len(known.get(part).content) for part in parts) < 300_000
