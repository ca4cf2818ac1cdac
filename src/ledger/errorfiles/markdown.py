"""Markdown, or any prose: finds the questions in it and the tables, and says what the rest is."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.errorfiles.answers import Answer, read_answer
from ledger.errorfiles.blocks import (
    Body,
    find_ask,
    find_label,
    find_message,
    has_step,
    is_template,
    make_error,
    opens_without_heading,
    parse_body,
    parse_heading,
)
from ledger.errorfiles.lines import Line, read_lines
from ledger.errorfiles.model import FoundError, Kind, Piece
from ledger.errorfiles.tables import read_head, read_table

TEMPLATE = "a template that was never filled in"
_PROSE = "text outside of any question"
_NO_ERROR = "the heading of a question that tells no error"


def parse_markdown(text: str, start: int, end: int) -> list[Piece]:
    """Return the pieces of a stretch of a text: questions, rows of tables, and the rest with its reason."""
    lines = read_lines(text, start, end)
    begins = _find_starts(lines)
    limits = dict(zip(begins, [*begins, len(lines)][1:], strict=True))
    pieces: list[Piece] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        head = read_head(lines, at) if line.row and not line.in_fence else None
        if at in limits:
            piece, at = _read_block(lines, at, limits[at])
            pieces.append(piece)
        elif head is not None:
            rows, at = read_table(lines, at, head)
            pieces += rows
        else:
            if line.quoted or not line.blank:
                _add_rest(pieces, line)
            at += 1
    return pieces


def _find_starts(lines: Sequence[Line]) -> list[int]:
    """Return the lines that questions begin at, in order."""
    starts: list[int] = []
    awaits_step = False
    for at, line in enumerate(lines):
        heading = parse_heading(line.text)
        following = lines[at + 1].text if at + 1 < len(lines) else ""
        if heading is not None:
            starts.append(at)
            awaits_step = not has_step(heading.rest)
        elif has_step(line.text) and opens_without_heading(line.text, following):
            if not awaits_step:
                starts.append(at)
            awaits_step = False
    return starts


def _read_block(lines: Sequence[Line], start: int, limit: int) -> tuple[Piece, int]:
    """Return the question that begins at a line, with what answers it, and the line after both."""
    first = lines[start]
    after = _end_of_question(lines, start, _last_line(lines, start, limit))
    text = "\n".join(line.text for line in lines[start:after])
    body = parse_body(text)
    if body is None:
        return Piece(first.start, first.end, "left", _NO_ERROR), start + 1
    follows = read_answer(lines, after, limit, fenced=first.in_fence)
    kind, why, error = _judge(body, "" if body.end < 0 else text[body.end :].strip(" *_`"), follows)
    return Piece(first.start, lines[follows.end - 1].end, kind, why, error), follows.end


def _judge(body: Body, rest: str, follows: Answer) -> tuple[Kind, str, FoundError | None]:
    """Return what a question is: an error, or why it is none. ``rest`` follows it on its last line."""
    if is_template(body):
        return "template", TEMPLATE, None
    if not body.message:
        return "left", "a question without a message", None
    answers = bool(follows.text) or find_label(rest) is not None
    more = follows.causes if answers else "\n".join(part for part in (rest, follows.causes) if part)
    error = make_error(
        body._replace(asked_at=body.asked_at or follows.asked_at),
        "\n".join(part for part in (rest, follows.text) if part) if answers else "",
        more,
        cut_short=body.end < 0,
    )
    return "error", "", error


def _last_line(lines: Sequence[Line], start: int, limit: int) -> int:
    """Return the line that a question ends before at the latest: with its fence, or with its quoting."""
    first = lines[start]
    for at in range(start + 1, limit):
        line = lines[at]
        if (first.in_fence and line.fence) or (first.quoted and not line.quoted and not line.blank):
            return at
    return limit


def _end_of_question(lines: Sequence[Line], start: int, until: int) -> int:
    """Return the line after a question, which ends with its closing words.

    Where it has none, it ends at the first blank line after its message, a title, a rule, or an answer.
    """
    text = "\n".join(line.text for line in lines[start:until])
    asks = find_ask(text)
    if asks is not None:
        return start + text.count("\n", 0, asks.end()) + 1
    message = find_message(text)
    if message < 0:
        return start + 1
    at = start + text.count("\n", 0, message)
    told = bool(text[message:].partition("\n")[0].strip(" *`:"))
    for after in range(max(at, start) + 1, until):
        line = lines[after]
        if line.divides or find_label(line.text) is not None or (line.blank and told):
            return after
        told = told or not line.blank
    return until


def _add_rest(pieces: list[Piece], line: Line) -> None:
    """Add a line that belongs to no question; one that is of the same kind as the last one joins it."""
    kind: Kind = "left"
    why = _PROSE
    if line.fence or line.rule or line.blank:
        kind, why = "frame", "a divider"
    elif line.in_fence:
        why = "code"
    elif line.title:
        why = "a title"
    elif line.row:
        why = "a table that is not of errors and their states"
    elif line.item:
        why = "an item of a list"
    last = pieces[-1] if pieces else None
    if last is not None and (last.kind, last.why) == (kind, why):
        pieces[-1] = Piece(last.start, line.end, last.kind, why)
    else:
        pieces.append(Piece(line.start, line.end, kind, why))
