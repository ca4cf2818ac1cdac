"""Answers as tables and bars."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from ledger.web.ask import Asked, command_of
from ledger.web.values import cell_of, table_of


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (0.1 + 0.2, "0.3"),
        (Decimal("1.50"), "1.50"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02 03:04:05 UTC"),
        (date(2026, 1, 2), "2026-01-02"),
        (b"\x00\xff", "00ff"),
        (["a", None], '["a",null]'),
        ({"at": date(2026, 1, 2)}, '{"at":"2026-01-02"}'),
        ("x" * 500, "x" * 400 + " …"),
    ],
)
def test_a_cell_is_one_text(value: object, text: str) -> None:
    """As the command line has it, in UTC, and cut where it is long."""
    assert cell_of(value) == text


@pytest.mark.parametrize(
    ("columns", "rows", "bars"),
    [
        (("path", "n"), [("a", 2), ("b", 0.5)], ("n", [("a", 2.0), ("b", 0.5)])),
        (("n", "path", "m"), [(1, "a", 3), (2, "b", 4)], ("n", [("a", 1.0), ("b", 2.0)])),
        (("event", "v", "files"), [("r:1", 1, 7), ("r:2", 2, None)], ("files", [("r:1", 7.0)])),
        (("path", "n"), [("a", 2)], None),
        (("path", "n"), [("a", 2), ("b", -1)], None),
        (("n", "m"), [(1, 2), (3, 4)], None),
        (("path", "ok"), [("a", True), ("b", False)], None),
    ],
)
def test_bars_are_a_label_and_a_quantity(
    columns: tuple[str, ...], rows: list[tuple[object, ...]], bars: object
) -> None:
    """A place in the log is no quantity; what has no label, is below zero or is alone is not drawn."""
    assert table_of(columns, rows).bars() == bars


def test_no_more_bars_than_can_be_read() -> None:
    """The first thirty rows."""
    found = table_of(("name", "n"), [(str(number), number) for number in range(99)]).bars()
    assert found is not None
    assert [label for label, _ in found[1]] == [str(number) for number in range(30)]


@pytest.mark.parametrize(
    ("asked", "command"),
    [
        (Asked("from runs\n", {}, ""), "ledger sql 'from runs'"),
        (Asked("x", {"run": "a b", "gate": ""}, "churn"), "ledger query churn --param 'run=a b'"),
        (Asked("select '$(id)'", {}, ""), """ledger sql 'select '"'"'$(id)'"'"''"""),
    ],
)
def test_the_command_is_quoted_for_a_shell(asked: Asked, command: str) -> None:
    """Nothing in it is run by the shell that it is pasted into."""
    assert command_of(asked) == command
