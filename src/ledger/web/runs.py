"""The view Runs: every run with where it stands, and one run with its slider."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from ledger.reports.document import slider_markup
from ledger.reports.writing import LIMIT_BYTES
from ledger.web.pages import page
from ledger.web.readers import Readers, rows_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from ledger.reading import LedgerReader

SHOWN = 200
POLL_S = 0.5
STATES = ("all", "open", "finished")

_RUNS = """
select
    r.*, r.finished_at is null as open, r.candidate_tree = r.accepted_tree as accepted,
    (select count(*) from tickets as t where t.run = r.run and t.open) as tickets,
    (select max(recorded_at) from events as e where e.run = r.run) as last_at
from runs as r
where ($words = '' or contains(lower(r.run || ' ' || r.title), lower($words)))
    and ($state = 'all' or (r.finished_at is null) = ($state = 'open'))
order by last_at desc, r.run
limit $limit
"""
_GATES = """
select run, gate, verdict, mode, stale
from gates
where run in (select unnest($runs))
qualify row_number() over (partition by run, gate order by stale, v desc) = 1
order by run, gate
"""
"""Of each gate the newest measurement of the candidate's own tree; else the newest of any, which is stale."""


class Standing(NamedTuple):
    """How a gate stands: the class and the sign that say so, and the words."""

    gate: str
    how: str
    sign: str
    words: str


def routes(readers: Readers) -> list[Route]:
    """Return the addresses of the view."""

    def runs(request: Request) -> Response:
        words = request.query_params.get("words", "").strip()
        state = request.query_params.get("state", "all")
        state = state if state in STATES else "all"
        with readers.shared() as ledger:
            if not ledger.path.joinpath("FORMAT").exists():
                return page("runs", runs=[], words="", state="all", states=STATES, most=SHOWN)
            found = _find(ledger, words, state)
        return page("runs", runs=found, words=words, state=state, states=STATES, most=SHOWN)

    def run(request: Request) -> Response:
        name = request.path_params["run"]
        with readers.shared() as ledger:
            head = ledger.store.heads().get(name)
            if head is None or not head.base_tree:
                return page("missing", 404, what=f"no run {name}")
        # The markup is this program's own: see `document`.
        return page("run", run=name, slider=Markup(slider_markup()))  # noqa: S704

    def data(request: Request) -> Response:
        with readers.shared() as ledger:
            head = ledger.store.heads().get(request.path_params["run"])
            if head is None or not head.base_tree:
                return Response(status_code=404)
            contents = ledger.report_contents(f"{head.run}:{head.v}", LIMIT_BYTES)
        return Response(msgspec.json.encode(contents), media_type="application/json")

    async def live(request: Request) -> Response:
        stream = _positions(request, readers, request.query_params.get("run", ""))
        return StreamingResponse(stream, media_type="text/event-stream")

    return [
        Route("/", runs),
        Route("/runs/{run}", run),
        Route("/runs/{run}/data", data),
        Route("/live", live),
    ]


def _find(ledger: LedgerReader, words: str, state: str) -> list[dict[str, Any]]:
    found = rows_of(ledger.sql(_RUNS, {"words": words, "state": state, "limit": SHOWN}))
    gates = rows_of(ledger.sql(_GATES, {"runs": [row["run"] for row in found]}))
    for row in found:
        row["gates"] = [_standing(gate) for gate in gates if gate["run"] == row["run"]]
    return found


def _standing(gate: dict[str, Any]) -> Standing:
    name, verdict = gate["gate"], gate["verdict"]
    if gate["stale"]:
        return Standing(name, "stale", "~", "stale")
    if verdict == "fail":
        strict = gate["mode"] == "strict"
        return Standing(name, "fail" if strict else "soft", "✗" if strict else "!", "fails")
    return Standing(
        name, verdict, "✓" if verdict == "pass" else "?", "passes" if verdict == "pass" else verdict
    )


async def _positions(request: Request, readers: Readers, run: str) -> AsyncGenerator[bytes]:
    """Yield a message for each growth of a run (of the whole log without one), until nobody listens."""

    def position() -> int:
        with readers.shared() as ledger:
            head = ledger.store.heads().get(run) if run else None
            return ledger.store.position() if not run else 0 if head is None else head.v

    known = await run_in_threadpool(position)
    yield b"retry: 1000\n\n"
    while not await request.is_disconnected():
        await asyncio.sleep(POLL_S)
        now = await run_in_threadpool(position)
        if now != known:
            known = now
            yield b"data: %d\n\n" % now
