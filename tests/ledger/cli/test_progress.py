"""How long the rest takes: at the pace so far, from the first second on."""

from __future__ import annotations

import pytest

from ledger.cli.progress import time_left


@pytest.mark.parametrize(
    ("done", "total", "since_s", "said"),
    [
        (1, 100, 0.9, ""),
        (0, 100, 5.0, ""),
        (100, 100, 5.0, ""),
        (50, 100, 5.0, ", 5 s left"),
        (10, 100, 10.0, ", 1 min 30 s left"),
    ],
)
def test_time_left(done: int, total: int, since_s: float, said: str) -> None:
    assert time_left(done, total, since_s) == said
