"""Progress: how long the rest of a count takes."""

from __future__ import annotations

_AFTER_S = 1.0


def time_left(done: int, total: int, since_s: float) -> str:
    """Return how long the rest takes at the pace so far, to follow a count; "" before a second has passed.

    Args:
        done: How many are done.
        total: Of how many.
        since_s: How long those took, in seconds.
    """
    if since_s < _AFTER_S or not 0 < done < total:
        return ""
    left_s = round(since_s * (total - done) / done)
    minutes, seconds = divmod(left_s, 60)
    return f", {f'{minutes} min ' if minutes else ''}{seconds} s left"
