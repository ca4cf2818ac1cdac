"""Charts: small drawings as SVG text, which need no script and say by shape what they say by colour.

Everything that comes from outside is escaped; colours and strokes are left to the style sheet.
"""

from __future__ import annotations

from collections.abc import Sequence

from ledger.reports.texts import shown
from ledger.reports.trends import Point, Trend

WIDTH, HEIGHT = 320, 112
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 8, 10, 18
_REACH = 4.0


def draw_trend(trend: Trend, until_v: int) -> str:
    """Return a gate's trend: versions to the right, its number upwards, threshold and policy changes marked.

    Without a number the points lie on one line. The scale of versions is in ``data-from`` and ``data-to``,
    for a script that marks a version with the line of class ``now``.

    Args:
        trend: The trend.
        until_v: The version at the right end, at least 1.
    """
    scale, right, floor = _Scale(trend, until_v), WIDTH - _RIGHT, HEIGHT - _BOTTOM
    parts = [
        f'<svg class="trend" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" data-from="1" data-to="{until_v}"',
        f' data-left="{_LEFT}" data-right="{right}">',
        f"<title>{shown(describe_trend(trend))}</title>",
        f'<line class="axis" x1="{_LEFT}" x2="{right}" y1="{floor}" y2="{floor}"/>',
        *_thresholds(trend, scale, until_v),
        *_changes(trend, scale),
        _line(trend.points, scale),
        *(_mark(point, scale) for point in trend.points),
        f'<line class="now" x1="{right}" x2="{right}" y1="{_TOP - 6}" y2="{floor}"/>',
        f'<text class="tick" x="{_LEFT}" y="{HEIGHT - 5}">:1</text>',
        f'<text class="tick end" x="{right}" y="{HEIGHT - 5}">:{until_v}</text>',
        "</svg>",
    ]
    return "".join(parts)


def describe_trend(trend: Trend) -> str:
    """Return what a trend shows, in a sentence."""
    values = [point.value for point in trend.points if point.value is not None]
    verdicts = [point.verdict for point in trend.points]
    counted = ", ".join(
        f"{verdicts.count(verdict)} {verdict}"
        for verdict in ("pass", "fail", "inconclusive")
        if verdict in verdicts
    )
    number = f"; {trend.metric} from {values[0]:g} to {values[-1]:g}" if values else ""
    asked = trend.settings[-1].threshold if trend.settings else None
    limit = "" if asked is None else f"; {trend.better} is better, threshold {asked:g}"
    return f"{trend.gate}: {counted}{number}{limit}"


class _Scale:
    """Where versions and values lie in the drawing."""

    def __init__(self, trend: Trend, until_v: int) -> None:
        values = [point.value for point in trend.points if point.value is not None]
        values += [each.threshold for each in trend.settings if each.threshold is not None]
        self.low, self.high = (min(values), max(values)) if values else (0.0, 0.0)
        if self.low == self.high:
            self.low, self.high = self.low - 1, self.high + 1
        self._span_v = max(until_v - 1, 1)

    def x(self, v: int) -> float:
        return round(_LEFT + (WIDTH - _LEFT - _RIGHT) * (v - 1) / self._span_v, 1)

    def y(self, value: float | None) -> float:
        share = 0.5 if value is None else (value - self.low) / (self.high - self.low)
        room = HEIGHT - _TOP - _BOTTOM - 2 * _REACH
        return round(HEIGHT - _BOTTOM - _REACH - room * share, 1)


def _thresholds(trend: Trend, scale: _Scale, until_v: int) -> list[str]:
    ends = [each.v for each in trend.settings[1:]] + [until_v]
    return [
        f'<line class="threshold" x1="{scale.x(each.v)}" x2="{scale.x(end)}" '
        f'y1="{scale.y(each.threshold)}" y2="{scale.y(each.threshold)}"/>'
        for each, end in zip(trend.settings, ends, strict=True)
        if each.threshold is not None and each.mode != "off"
    ]


def _changes(trend: Trend, scale: _Scale) -> list[str]:
    return [
        f'<g class="policy"><title>policy at :{each.v}: {shown(each.change)}</title>'
        f'<line x1="{scale.x(each.v)}" x2="{scale.x(each.v)}" y1="{_TOP - 4}" y2="{HEIGHT - _BOTTOM}"/>'
        f'<path d="M{scale.x(each.v) - 4} {_TOP - 8}h8l-4 6z"/></g>'
        for each in trend.settings
        if each.change
    ]


def _line(points: Sequence[Point], scale: _Scale) -> str:
    at = " ".join(f"{scale.x(p.v)},{scale.y(p.value)}" for p in points if p.value is not None)
    return f'<polyline class="value" points="{at}"/>'


def _mark(point: Point, scale: _Scale) -> str:
    """Return a point: a disc passes, a cross fails, a ring is inconclusive."""
    x, y, r = scale.x(point.v), scale.y(point.value), _REACH
    shapes = {
        "pass": f'<circle cx="{x}" cy="{y}" r="{r - 0.5}"/>',
        "fail": f'<path d="M{x - r} {y - r}L{x + r} {y + r}M{x - r} {y + r}L{x + r} {y - r}"/>',
    }
    shape = shapes.get(point.verdict, f'<circle cx="{x}" cy="{y}" r="{r - 1}"/>')
    value = "" if point.value is None else f" {point.value:g}"
    why = f": {point.why}" if point.why else ""
    said = f":{point.v} {point.verdict}{value}{', flaky' if point.flaky else ''}{why}"
    verdict = point.verdict if point.verdict in ("pass", "fail") else "inconclusive"
    return f'<g class="mark {verdict}" data-v="{point.v}"><title>{shown(said)}</title>{shape}</g>'


_BAR, _LABEL, _ROW = 360, 230, 22


def draw_bars(name: str, pairs: Sequence[tuple[str, float]]) -> str:
    """Return bars to the right, one for each label, with their numbers.

    Args:
        name: What the numbers are.
        pairs: Labels with numbers of 0 or more.
    """
    most = max((value for _, value in pairs), default=0.0) or 1.0
    width, height = _LABEL + _BAR + 70, _ROW * len(pairs) + 4
    sized = [(label, value, round(_BAR * value / most, 1)) for label, value in pairs]
    rows = [
        f'<g class="bar"><title>{shown(label)}: {value:g}</title>'
        f'<text class="label" x="{_LABEL - 8}" y="{_ROW * at + 16}">{shown(_short(label))}</text>'
        f'<rect x="{_LABEL}" y="{_ROW * at + 4}" width="{max(long, 1)}" height="15"/>'
        f'<text x="{_LABEL + 6 + long}" y="{_ROW * at + 16}">{value:g}</text></g>'
        for at, (label, value, long) in enumerate(sized)
    ]
    return (
        f'<svg class="bars" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">'
        f"<title>{shown(name)}, by row</title>{''.join(rows)}</svg>"
    )


def _short(label: str) -> str:
    return label if len(label) <= 32 else f"{label[:14]}…{label[-16:]}"
