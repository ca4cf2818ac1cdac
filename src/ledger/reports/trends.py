"""Trends: the deciding number of each gate over the versions of a run, its threshold, and policy changes.

They come from the SQL views, which see the log as far as the session does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection

_POINTS = """
select
    g.gate, g.metric, p.better, g.v, g.value, g.threshold, g.verdict, g.state_v, g.flaky, g.reasons,
    g.problems
from gates as g
left join (select distinct run, gate, metric, better from policies) as p using (run, gate, metric)
where g.run = $run and ($until is null or g.v <= $until)
order by g.gate, g.v
"""
_SETTINGS = """
select v, gate, mode, threshold, metric, better, definition, weakened
from policies
where run = $run and in_force and ($until is null or v <= $until)
order by v, gate
"""


class Point(NamedTuple):
    """One measurement: its version, what decides (None: the report has no such number), and the verdict.

    ``why`` are the reasons or problems, in words.
    """

    v: int
    value: float | None
    verdict: str
    state_v: int
    flaky: bool
    why: str


class Setting(NamedTuple):
    """What a policy asks of a gate from a version on; ``change`` says in words what is new, "" at first."""

    v: int
    mode: str
    threshold: float | None
    change: str


class Trend(NamedTuple):
    """One gate of one run: its measurements in order, and what the policies asked."""

    gate: str
    metric: str
    better: str
    points: tuple[Point, ...]
    settings: tuple[Setting, ...]


def read_trends(connection: DuckDBPyConnection, run: str, until_v: int | None = None) -> list[Trend]:
    """Return the trend of every gate that was measured in a run, by name.

    Args:
        connection: A SQL session.
        run: The run.
        until_v: The last version to count; None for all.
    """
    given = {"run": run, "until": until_v}
    points = connection.execute(_POINTS, given).fetchall()
    settings = connection.execute(_SETTINGS, given).fetchall()
    gates = dict.fromkeys(row[0] for row in points)
    return [
        _trend(gate, [row for row in points if row[0] == gate], [row for row in settings if row[1] == gate])
        for gate in gates
    ]


def _trend(gate: str, points: Sequence[tuple[Any, ...]], settings: Sequence[tuple[Any, ...]]) -> Trend:
    named = next((row for row in reversed(points) if row[1] is not None), None)
    return Trend(
        gate,
        "" if named is None else str(named[1]),
        "lower" if named is None or named[2] is None else str(named[2]),
        tuple(
            Point(
                row[3],
                row[4],
                str(row[6]),
                row[7],
                bool(row[8]),
                "; ".join([*(row[9] or ()), *(row[10] or ())]),
            )
            for row in points
        ),
        tuple(_settings(settings)),
    )


def _settings(rows: Sequence[tuple[Any, ...]]) -> list[Setting]:
    """Return each policy that asks for something else than the one before."""
    found: list[Setting] = []
    before: tuple[Any, ...] | None = None
    for v, _, mode, threshold, metric, better, definition, _weakened in rows:
        now = (mode, threshold, metric, better, definition)
        if now != before:
            found.append(Setting(v, mode, threshold, "" if before is None else _change(before, now)))
        before = now
    return found


def _change(before: tuple[Any, ...], now: tuple[Any, ...]) -> str:
    names = ("", "threshold ", "metric ", "better ")
    said = [
        f"{name}{_number(old)} → {_number(new)}"
        for name, old, new in zip(names, before[:4], now[:4], strict=True)
        if old != new
    ]
    return ", ".join([*said, *(["measured in another way"] if before[4] != now[4] else [])])


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
