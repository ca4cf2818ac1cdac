"""What the list of runs and the data of a run say, against the library and SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from ledger import Ledger
from ledger.web.app import make_app
from ledger.web.readers import Readers

PORT, TOKEN, RUN = 4322, "known", "port-2kf9"


@pytest.fixture
def client(sample: Callable[[str], Path]) -> Iterator[TestClient]:
    """A client that has opened the page of the run in which everything happened."""
    readers = Readers(sample("all"))
    client = TestClient(make_app(readers, TOKEN, PORT), base_url=f"http://127.0.0.1:{PORT}")
    client.get("/", params={"token": TOKEN})
    yield client
    readers.close()


def folded(events: list[dict[str, Any]]) -> Iterator[tuple[str, str, int, set[str]]]:
    """Yield phase, tree, accepted version and what is open after each event of a run's data."""
    phase, tree, accepted, opened = "", "", 0, set[str]()
    for event in events:
        phase, tree = event.get("phase") or phase, event.get("tree") or tree
        accepted = event.get("accepted") or accepted
        opens: str = event.get("opens", "")
        closes: str = event.get("closes", "")
        opened = (opened | {opens}) - {closes, ""}
        yield phase, tree, accepted, opened


def test_every_event_stands_as_the_library_has_it(client: TestClient, sample: Callable[[str], Path]) -> None:
    """Phase, candidate, accepted state, tickets and questions are those of the history at each version."""
    events = client.get(f"/runs/{RUN}/data").json()["events"]
    with Ledger.open(sample("all")) as ledger:
        assert [event["v"] for event in events] == [event.v for event in ledger.events(RUN)]
        for event, (phase, tree, accepted, opened) in zip(events, folded(events), strict=True):
            history = ledger.history(f"{RUN}:{event['v']}")
            assert (phase, tree) == (history.phase, history.candidate.tree[:12]), event
            assert accepted == history.accepted.v, event
            assert opened == {*history.tickets, *(f"?{v}" for v in history.questions)}, event


def test_the_list_has_the_verdicts_of_the_candidate(
    client: TestClient, sample: Callable[[str], Path]
) -> None:
    """Each gate's chip says what SQL says of the candidate's own tree."""
    text = client.get("/").text
    with Ledger.open(sample("all")) as ledger:
        rows = ledger.sql(
            "select gate, verdict, stale from gate_status_at($run, $v) where verdict is not null",
            {"run": RUN, "v": ledger.store.heads()[RUN].v},
        ).fetchall()
    assert rows
    for gate, verdict, stale in rows:
        words = "stale" if stale else {"pass": "passes", "fail": "fails"}.get(verdict, verdict)
        assert f"<b>{gate}</b> {words}</li>" in text


def test_a_search_narrows_the_list_down(client: TestClient) -> None:
    """By words of the title in any case, by state, and by what would be markup or a pattern elsewhere."""
    for query, found in (("EXACT", True), ("%", False), ("<b>", False), ("2kf9", True)):
        assert (f'href="/runs/{RUN}"' in client.get("/", params={"words": query}).text) is found
    assert RUN not in client.get("/", params={"state": "finished"}).text
