"""The view Gates: trends as small multiples, what is flaky, the slowest tests, where gates were eased."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup
from starlette.routing import Route

from ledger.reports.charts import draw_trend
from ledger.reports.document import describe_asked
from ledger.web.pages import page
from ledger.web.readers import Readers, rows_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from ledger.reading import LedgerReader

_SLOWEST = 15


class Figure(NamedTuple):
    """A trend to show: its gate, what the policy asks of it now, the drawing, and how often it passed."""

    gate: str
    asked: str
    drawing: Markup
    passed: int
    measured: int


def routes(readers: Readers) -> list[Route]:
    """Return the addresses of the view."""

    def gates(request: Request) -> Response:
        with readers.shared() as ledger:
            names = [head.run for head in ledger.runs()] if ledger.path.joinpath("FORMAT").exists() else []
            run = request.query_params.get("run") or (names[0] if names else "")
            if run not in names:
                return page("missing", 404 if run else 200, what=f"no run {run}" if run else "no run yet")
            figures, tables = _figures(ledger, run), _tables(ledger, run)
            return page("gates", 200, run=run, runs=names, figures=figures, **tables)

    return [Route("/gates", gates)]


def _figures(ledger: LedgerReader, run: str) -> list[Figure]:
    last = ledger.store.heads()[run].v
    return [
        Figure(
            trend.gate,
            describe_asked(trend),
            # The drawing escapes what it says: see `charts`.
            Markup(draw_trend(trend, last)),  # noqa: S704
            sum(point.verdict == "pass" for point in trend.points),
            len(trend.points),
        )
        for trend in ledger.trends(run)
    ]


def _tables(ledger: LedgerReader, run: str) -> dict[str, object]:
    asked = {"run": run}
    return {
        "flaky": rows_of(ledger.query("flaky", asked)),
        "slow": rows_of(ledger.query("slow_tests", {**asked, "limit": _SLOWEST})),
        "costs": rows_of(ledger.query("gate_cost", asked)),
        "weakened": rows_of(ledger.query("weakened", asked)),
    }
