"""Documents: a report as one HTML file. It holds all that it shows, and may reach nothing else.

The browser runs the one script and uses the one style sheet that the policy in the file names by digest. What
comes from the run is compressed data, which the script puts on the page as text alone.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files
from string import Template
from typing import NamedTuple

import msgspec

from ledger.reports.charts import draw_trend
from ledger.reports.contents import Contents
from ledger.reports.texts import shown
from ledger.reports.trends import Trend

_ALWAYS = (
    "files that no patch of the run changed: only their names are here",
    "secrets of known shapes: their kind stands in their place",
    "reports and outputs of gates that passed",
)


class Tables(NamedTuple):
    """Rows that stand below the trends: what is flaky, and the slowest tests."""

    flaky: Sequence[Sequence[object]]
    slow: Sequence[Sequence[object]]


def render_report(contents: Contents, trends: Sequence[Trend], tables: Tables, written_at: str) -> bytes:
    """Return the file, in UTF-8.

    Args:
        contents: The run.
        trends: What its gates measured.
        tables: What stands below them.
        written_at: The time that the file says, RFC 3339.
    """
    style, script = _asset("report.css"), _asset("report.js")
    packed = gzip.compress(msgspec.json.encode(contents), mtime=0)
    page = Template(_asset("report.html")).substitute(
        policy=_policy(style, script),
        title=shown(contents.title or contents.run),
        style=style,
        script=script,
        slider=slider_markup(),
        facts=shown(_facts(contents)),
        trends=render_trends(trends, tables, contents.until),
        left_out="".join(f"<li>{shown(each)}</li>" for each in (*contents.left_out, *_ALWAYS)),
        written=shown(
            f"Written by ledger {contents.version} at {written_at}, from the log up to {_end(contents)}."
        ),
        data=base64.b64encode(packed).decode("ascii"),
    )
    return page.encode("utf-8", "replace")


def slider_markup() -> str:
    """Return the markup that the script fills: slider, standing, files and panes."""
    return _asset("slider.html")


def render_trends(trends: Sequence[Trend], tables: Tables, until_v: int) -> str:
    """Return the trends as small multiples and the tables below them, as HTML; "" without measurements."""
    if not trends:
        return ""
    figures = "".join(
        f"<figure><figcaption><b>{shown(trend.gate)}</b><small>{shown(describe_asked(trend))}</small></figcaption>"
        f"{draw_trend(trend, until_v)}</figure>"
        for trend in trends
    )
    legend = "● pass, ✕ fail, ○ inconclusive; dashed: threshold; ▾: the policy changed"
    return (
        f'<h2>Gates over the run</h2><p class="quiet">{legend}</p><div class="trends">{figures}</div>'
        + _table(
            "Repeated on one tree", ("gate", "test", "state", "measured", "passed", "pass rate"), tables.flaky
        )
        + _table("Slowest tests", ("gate", "test", "newest, s", "change, s", "measured"), tables.slow)
    )


def describe_asked(trend: Trend) -> str:
    """Return what the last policy asks of a gate, in words."""
    asked = trend.settings[-1] if trend.settings else None
    limit = (
        ""
        if asked is None or asked.threshold is None
        else f", {trend.better} is better, at {asked.threshold:g} passes"
    )
    mode = "" if asked is None else f"{asked.mode}: "
    return f"{mode}{trend.metric or 'no number'}{limit}"


def _table(title: str, names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    if not rows:
        return ""
    title = shown(title)
    numeric = [
        _numeric(next((row[at] for row in rows if row[at] is not None), "")) for at in range(len(names))
    ]
    head = "".join(
        f'<th scope="col"{kind}>{shown(name)}</th>' for name, kind in zip(names, numeric, strict=True)
    )
    body = "".join(
        "<tr>" + "".join(f"<td{_numeric(value)}>{shown(_cell(value))}</td>" for value in row) + "</tr>"
        for row in rows
    )
    return (
        f'<h2>{title}</h2><div class="scroll" tabindex="0" role="region" aria-label="{title}">'
        f'<table class="facts"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _numeric(value: object) -> str:
    return ' class="number"' if isinstance(value, int | float) else ""


def _cell(value: object) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _facts(contents: Contents) -> str:
    patches = sum(event.kind == "patch.applied" for event in contents.events)
    begun, ended = contents.events[0].at, contents.events[-1].at
    return f"{contents.run} · {len(contents.events)} events, {patches} patches · {begun} to {ended}"


def _end(contents: Contents) -> str:
    return f"{contents.run}:{contents.until}"


def _policy(style: str, script: str) -> str:
    """Return the Content-Security-Policy: the file's own style and script, and nothing else at all."""
    return (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(sha256(text.encode('utf-8')).digest()).decode('ascii')}"


def _asset(name: str) -> str:
    return (files("ledger.reports") / name).read_text("utf-8")
