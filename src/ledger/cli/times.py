"""Times: for people how long ago, for programs RFC 3339 in UTC."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta

from ledger.moments import show_moment

_NS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = (("week", 604_800, 2), ("day", 86_400, 1), ("hour", 3600, 1), ("minute", 60, 1), ("second", 1, 1))
"""Each unit in seconds, and from how many of it on it is said."""

_LONG_AGO_S = 9 * 604_800


def show_time(at_ns: int, style: str) -> str:
    """Return a moment as it is shown: how long ago in a table on a terminal, else RFC 3339 in UTC.

    Args:
        at_ns: The moment, in nanoseconds since 1970.
        style: The format that is printed.
    """
    return show_ago(at_ns, time.time_ns()) if is_for_people(style) else show_moment(at_ns)


def show_cell(value: object, style: str) -> object:
    """Return a cell of a query's answer, a time in it as `show_time` shows it; the rest stays."""
    if not isinstance(value, datetime) or not is_for_people(style):
        return value
    # DuckDB's TIMESTAMP has no zone: it is UTC.
    moment = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    return show_ago((moment - _EPOCH) // timedelta(microseconds=1) * 1000, time.time_ns())


def is_for_people(style: str) -> bool:
    """Tell whether a person is going to read it: a table on a terminal."""
    return style == "table" and sys.stdout.isatty()


def show_ago(at_ns: int, now_ns: int) -> str:
    """Return how long ago a moment was, in words that ``@{…}`` reads.

    Whole units, rounded down: seconds, minutes, hours, days, from two weeks on weeks. Before nine weeks it is
    the date in UTC. What lies ahead, by another machine's clock, is RFC 3339.

    Args:
        at_ns: The moment, in nanoseconds since 1970.
        now_ns: The present.
    """
    if at_ns > now_ns:
        return show_moment(at_ns)
    since_s = (now_ns - at_ns) // _NS
    if since_s >= _LONG_AGO_S:
        return show_moment(at_ns).partition("T")[0]
    for unit, size_s, least in _UNITS:
        count = since_s // size_s
        if count >= least:
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "now"
