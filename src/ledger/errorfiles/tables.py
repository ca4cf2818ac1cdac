"""Tables that people keep by hand: an error a row, with its state and what was made of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from ledger.errorfiles import marks
from ledger.errorfiles.lines import Line
from ledger.errorfiles.model import FoundError, Piece
from ledger.errorfiles.placeholders import find_placeholder, is_placeholder
from ledger.errorfiles.states import read_state, says_nothing
from ledger.errorfiles.typography import bare, fold

Role: TypeAlias = Literal["time", "step", "message", "context", "status", "valid", "answer"]

_ROLES: Final[Mapping[str, Role]] = {
    **dict.fromkeys(
        ("timestamp", "timestamps", "time", "date", "when", "asked", "logged", "captured"), "time"
    ),
    **dict.fromkeys(("step", "phase", "stage", "task", "gate", "where"), "step"),
    **dict.fromkeys(
        ("error", "errors", "blocker", "issue", "question", "problem", "failure", "message", "what"),
        "message",
    ),
    **dict.fromkeys(("context",), "context"),
    **dict.fromkeys(("status", "state"), "status"),
    **dict.fromkeys(("valid", "open"), "valid"),
    **dict.fromkeys(("answer", "resolution", "disposition", "fix", "solution", "outcome"), "answer"),
}
"""What a column is for, by the last word of its head."""

_CELL: Final = re.compile(r"(?<!\\)\|")
_RULE_CELL: Final = re.compile(r"\s*:?-+:?\s*")
_HAS_TIME: Final = re.compile(r"\d{1,4}[-/.:T]\d{1,2}")


class Head(NamedTuple):
    """The columns of a table: their names, and which is for what."""

    names: tuple[str, ...]
    roles: Mapping[Role, int]


def read_head(lines: Sequence[Line], at: int) -> Head | None:
    """Return the head of a table of errors that begins at a line, None where it is none.

    Such a table has a column for the error, one for its state, and one that says when, where or what became
    of it: many other tables have an issue and a status.
    """
    if at + 1 >= len(lines) or not (lines[at].row and lines[at + 1].row):
        return None
    rule = _cells(lines[at + 1].text)
    names = _cells(lines[at].text)
    if not rule or not all(_RULE_CELL.fullmatch(fold(cell)) for cell in rule):
        return None
    roles: dict[Role, int] = {}
    for column, name in enumerate(names):
        words = re.findall(r"\w+", fold(name).lower().replace("(s)", "s"))
        role = _ROLES.get(words[-1]) if words else None
        if role is not None:
            roles.setdefault(role, column)
    known = roles.keys()
    if "message" in known and known & {"status", "valid"} and known & {"time", "step", "answer"}:
        return Head(names, roles)
    return None


def read_table(lines: Sequence[Line], at: int, head: Head) -> tuple[list[Piece], int]:
    """Return the pieces of a table whose head is at a line, and the line after it."""
    pieces = [Piece(lines[at].start, lines[at + 1].end, "frame", "the head of a table")]
    at += 2
    while at < len(lines) and lines[at].row:
        line = lines[at]
        error = _read_row(head, _cells(line.text))
        why = "" if error else "a row that names no error"
        pieces.append(Piece(line.start, line.end, "error" if error else "left", why, error))
        at += 1
    return pieces, at


def _cells(row: str) -> tuple[str, ...]:
    text = row.strip().removeprefix("|")
    cells = _CELL.split(text)
    if text.endswith("|") and not text.endswith("\\|"):
        cells = cells[:-1]
    return tuple(cell.strip().replace("\\|", "|") for cell in cells)


def _read_row(head: Head, cells: Sequence[str]) -> FoundError | None:
    said = {role: cells[column] for role, column in head.roles.items() if column < len(cells)}
    message = bare(said.get("message", ""))
    if says_nothing(message) or is_placeholder(message):
        return None
    status, valid, answer = (said.get(role, "") for role in ("status", "valid", "answer"))
    state = read_state(status, valid)
    closed_by = "" if state == "open" else status if says_nothing(answer) else answer
    time, odd = _read_time(said.get("time", ""))
    names = [*head.names, *(f"cell {n + 1}" for n in range(len(head.names), len(cells)))]
    used = {head.roles[role] for role in ("message", "context", "step") if role in head.roles}
    used |= {head.roles["time"]} if time else set()
    used |= {head.roles["answer"]} if closed_by and closed_by == answer else set()
    others = [f"{names[n]}: {cell}" for n, cell in enumerate(cells) if cell and n not in used]
    step = bare(said.get("step", ""))
    sign = marks.signs_of_tests(message, *cells)
    return FoundError(
        step=step,
        message=message,
        context="\n".join(part for part in (said.get("context", ""), *others) if part),
        asked_at=time,
        state=state,
        answer=closed_by,
        status="; ".join(part for part in (status, valid) if part),
        marks=(*odd, *((f"{marks.TEST_SUITE}: {sign}",) if sign else ())),
    )


def _read_time(cell: str) -> tuple[str, tuple[str, ...]]:
    """Return the time that a cell names, as it stands there, and a mark where it was not filled in."""
    token = find_placeholder(cell)
    odd = (f"{marks.TIME_NOT_FILLED_IN}: {token}",) if token else ()
    return (fold(cell) if _HAS_TIME.search(fold(cell)) else ""), odd
