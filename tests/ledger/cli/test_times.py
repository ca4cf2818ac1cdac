"""How long ago: each boundary, and that what is said is read back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.cli.times import show_ago
from ledger.moments import parse_moment

NOW = datetime(2026, 11, 29, 12, 0, 0, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 1_000_000_000
MINUTE, HOUR, DAY, WEEK = 60, 3600, 86_400, 604_800


@pytest.mark.parametrize(
    ("since_s", "said"),
    [
        (-1, "2026-11-29T12:00:01Z"),
        (0, "now"),
        (0.999, "now"),
        (1, "1 second ago"),
        (2, "2 seconds ago"),
        (MINUTE - 0.001, "59 seconds ago"),
        (MINUTE, "1 minute ago"),
        (HOUR - 0.001, "59 minutes ago"),
        (HOUR, "1 hour ago"),
        (DAY - 0.001, "23 hours ago"),
        (DAY, "1 day ago"),
        (2 * WEEK - 0.001, "13 days ago"),
        (2 * WEEK, "2 weeks ago"),
        (9 * WEEK - 0.001, "8 weeks ago"),
        (9 * WEEK, "2026-09-27"),
    ],
)
def test_boundaries(since_s: float, said: str) -> None:
    assert show_ago(NOW_NS - round(since_s * 1_000_000_000), NOW_NS) == said


@given(st.integers(0, 9 * WEEK * 1_000_000_000 - 1))
def test_what_is_said_is_a_reference_to_that_time(since_ns: int) -> None:
    """`parse_moment` reads it as the moment itself or a later one, by less than what is left away."""
    read = parse_moment(show_ago(NOW_NS - since_ns, NOW_NS), NOW_NS)
    assert read is not None
    late_ns = read - (NOW_NS - since_ns)
    unit_s = next(
        (s for s, least in ((WEEK, 2), (DAY, 1), (HOUR, 1), (MINUTE, 1)) if since_ns >= least * s * 10**9), 1
    )
    assert 0 <= late_ns < unit_s * 10**9
