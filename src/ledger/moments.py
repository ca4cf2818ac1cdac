"""Moments as people write and read them."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

_AGO = re.compile(r"([0-9]{1,9}) (second|minute|hour|day|week)s? ago")
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604_800}
_NS = 1_000_000_000


def parse_moment(text: str, now_ns: int) -> int | None:
    """Return a moment in nanoseconds since 1970, None where the text is none.

    Args:
        text: ISO 8601, as ``2026-11-20``, ``2026-11-20 14:00`` or ``2026-11-20T14:00:05Z``, in the local time
            zone where it names none, and of a date alone its beginning; or ``2 hours ago``; or ``now``.
        now_ns: The present, in nanoseconds since 1970.
    """
    words = " ".join(text.split())
    if words == "now":
        return now_ns
    if ago := _AGO.fullmatch(words):
        return now_ns - int(ago[1]) * _SECONDS[ago[2]] * _NS
    try:
        moment = datetime.fromisoformat(words).astimezone()
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return ((since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds) * 1000


def show_moment(at_ns: int) -> str:
    """Return a moment in nanoseconds since 1970 as RFC 3339 in UTC, in whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_ns // _NS))
