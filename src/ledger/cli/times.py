"""Times on the command line: RFC 3339, UTC, whole seconds."""

from __future__ import annotations

import time


def show_time(at_ns: int) -> str:
    """Return a moment in nanoseconds since 1970 as RFC 3339 in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_ns // 1_000_000_000))
