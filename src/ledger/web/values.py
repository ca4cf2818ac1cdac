"""Values: the rows of an answer as a table of texts, and as bars where they are a label and a number each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import NamedTuple, cast

import msgspec

_BARS = 30
_CELL = 400
_NO_QUANTITIES = frozenset({"v", "state_v", "position", "line", "col", "kind_version"})


class Table(NamedTuple):
    """Columns by name, which of them are numbers, and the cells as text; ``raw`` are the values."""

    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    cells: list[list[str]]
    raw: Sequence[Sequence[object]]

    def bars(self) -> tuple[str, list[tuple[str, float]]] | None:
        """Return a number's name and its values by label, of the first rows; None where none is to draw."""
        label = next((at for at, numeric in enumerate(self.numeric) if not numeric), None)
        number = next(
            (
                at
                for at, numeric in enumerate(self.numeric)
                if numeric and self.columns[at] not in _NO_QUANTITIES
            ),
            None,
        )
        if label is None or number is None or not len(self.raw) > 1:
            return None
        pairs = [
            (cells[label], float(cast("float", row[number])))
            for cells, row in zip(self.cells[:_BARS], self.raw, strict=False)
            if row[number] is not None
        ]
        return (self.columns[number], pairs) if pairs and min(value for _, value in pairs) >= 0 else None


def table_of(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """Return the table of an answer."""
    numeric = tuple(
        any(row[at] is not None for row in rows)
        and all(row[at] is None or is_number(row[at]) for row in rows)
        for at in range(len(columns))
    )
    return Table(tuple(columns), numeric, [[cell_of(value) for value in row] for row in rows], rows)


def is_number(value: object) -> bool:
    """Tell whether a value is a quantity."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def cell_of(value: object) -> str:
    """Return a value as text for a cell; a long one is cut."""
    text = _text(value)
    return text if len(text) <= _CELL else f"{text[:_CELL]} …"


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:.6g}"
        case datetime():
            moment = value if value.tzinfo else value.replace(tzinfo=UTC)
            return moment.isoformat(" ", "seconds").replace("+00:00", " UTC")
        case date():
            return value.isoformat()
        case bytes():
            return value.hex()
        case dict() | list() | tuple():
            return msgspec.json.encode(cast("object", value), enc_hook=str).decode("utf-8")
        case _:
            return str(value)
