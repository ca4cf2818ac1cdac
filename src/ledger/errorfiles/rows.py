"""Rows: an object of a file of JSON as an error, whichever names its writer gave the fields."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, cast

from msgspec.structs import replace

from ledger.errorfiles.blocks import (
    Body,
    find_ask,
    find_message,
    is_template,
    make_error,
    parse_body,
    parse_heading,
)
from ledger.errorfiles.jsonvalues import BRACKET, Fields, read_values
from ledger.errorfiles.markdown import TEMPLATE
from ledger.errorfiles.model import FoundError, Kind, Piece, State
from ledger.errorfiles.states import read_state, says_nothing

_TIME: Final = ("timestamp", "ts", "time", "datetime", "date", "at", "created_at", "when", "logged_at")
_STEP: Final = ("step", "step_number", "step_id", "step_no", "phase_step", "phase", "stage", "task", "where")
_DESCRIPTION: Final = ("step_description", "step_desc", "description", "desc")
_MESSAGE: Final = ("error", "err", "error_message", "exception", "failure", "blocker", "issue")
_WEAK_MESSAGE: Final = ("msg", "message")
"""Any log has these; they tell an error only beside a step, or at a level that says so."""
_CONTEXT: Final = ("context", "ctx")
_BLOCK: Final = ("question", "question_for_chatgpt5", "question_text", "prompt", "block", "detail", "ask")
_ANSWER: Final = ("answer", "resolution", "solution", "fix")
_STATUS: Final = ("status", "state", "resolved")
_EXIT: Final = ("rc", "returncode", "exit_code", "exitcode")
_LEVEL: Final = ("level", "severity", "levelname")
_QUIET: Final = frozenset({"debug", "info", "information", "notice", "trace", "success", "ok"})
_ABOUT: Final = ("question_for", "format")
"""Whom a row asks and in which form: nothing about the error."""


class Row(NamedTuple):
    """What a row is: an error, or why it is none."""

    kind: Kind
    why: str = ""
    error: FoundError | None = None


def parse_rows(text: str, start: int, end: int) -> list[Piece]:
    """Return the pieces of a stretch of a text that is JSON values."""
    pieces: list[Piece] = []
    for value in read_values(text, start, end):
        if value.fields is not None:
            row = read_row(value.fields)
            pieces.append(Piece(value.start, value.end, row.kind, row.why, row.error))
        else:
            kind: Kind = "frame" if value.why == BRACKET else "left"
            pieces.append(Piece(value.start, value.end, kind, value.why))
    return pieces


def read_row(fields: Fields) -> Row:
    """Return what a row tells. Fields that are known for nothing go to the context, with their names."""
    reader = _Reader(fields)
    block = reader.take_block()
    level = reader.peek(_LEVEL).lower()
    step = reader.take_step()
    message = reader.take(_MESSAGE)
    if not message and (step or level) and level not in _QUIET:
        message = reader.take(_WEAK_MESSAGE)
    message = message or block.message or reader.take_output() or reader.take(("question",))
    time = reader.take(_TIME) or block.asked_at
    if not message:
        return Row("left", f"a row of level {level}" if level in _QUIET else "a row that tells no error")
    body = Body(time, step or block.step, message, "", 0)
    if is_template(body):
        return Row("template", TEMPLATE)
    status = reader.peek(_STATUS)
    answered = not says_nothing(reader.peek(_ANSWER))
    state: State = read_state(status) if status else "answered" if answered else "open"
    closing = "" if state == "open" else reader.take(_ANSWER) if answered else f"marked as {status}"
    said = (reader.take(_CONTEXT), *_beyond(block, step, message), *reader.rest())
    context = "\n".join(dict.fromkeys(part for part in said if part))
    error = make_error(body._replace(context=context), closing)
    return Row("error", "", replace(error, state=state, status=status))


def _beyond(block: Body, step: str, message: str) -> tuple[str, ...]:
    """Return what the question in a row says and its fields do not."""
    told = block.step and step and _squeezed(block.step) != _squeezed(step)
    said = block.message and _squeezed(block.message) not in _squeezed(message)
    return (f"step: {block.step}" if told else "", block.message if said else "", block.context)


def _squeezed(text: str) -> str:
    return "".join(text.split())


class _Reader:
    """The fields of a row that were not taken yet."""

    def __init__(self, fields: Fields) -> None:
        self._left = dict(fields)
        self._names = {name.lower(): name for name in reversed(fields)}

    def peek(self, names: Sequence[str]) -> str:
        """Return the first of some fields that has a text."""
        return next((text for _, text in self._texts(names)), "")

    def take(self, names: Sequence[str]) -> str:
        """Return the first of some fields that has a text, and take it."""
        for name, text in self._texts(names):
            del self._left[name]
            return text
        return ""

    def _texts(self, names: Sequence[str]) -> Iterator[tuple[str, str]]:
        for known in names:
            name = self._names.get(known, "")
            text = _text(self._left.get(name))
            if text.strip():
                yield name, text

    def take_step(self) -> str:
        """Return ``number:description`` of the step, or what there is of it."""
        name = next((self._names[known] for known in _STEP if self._names.get(known) in self._left), "")
        value = self._left.get(name)
        if isinstance(value, dict):
            inner = _Reader(cast("Fields", value))
            number, description = inner.take(("id", "number", "no", *_STEP)), inner.take(_DESCRIPTION)
            self._left.pop(name)
            self._left |= {f"step {key}": each for key, each in inner.left().items()}
        else:
            number, description = self.take(_STEP), self.take(_DESCRIPTION)
        if not description or description in number:
            return number
        return f"{number}:{description}" if number else description

    def take_block(self) -> Body:
        """Return the question in the standard form that a row holds besides its fields, or in their stead."""
        parts: list[str] = []
        for name, text in list(self._texts(_BLOCK)):
            if (
                parse_heading(text.lstrip(": \n").partition("\n")[0])
                or find_ask(text)
                or find_message(text) >= 0
            ):
                parts.append(text.strip(": \n"))
                del self._left[name]
        text = "\n".join(parts)
        body = parse_body(text)
        if body is not None:
            rest = text[body.end :].strip(" :`\n") if body.end >= 0 else ""
            return body._replace(context="\n".join(part for part in (body.context, rest) if part))
        heading = parse_heading(text.partition("\n")[0])
        asks = find_ask(text)
        rest = "" if heading or (asks and asks[0].strip() == text.strip()) else text
        return Body(heading.asked_at if heading else "", "", "", rest, -1)

    def take_output(self) -> str:
        """Return what a command that failed said on stderr, else how it ended."""
        code = self.peek(_EXIT)
        if code in ("", "0"):
            return ""
        return self.take(("stderr",)).strip() or f"exit code {code}"

    def rest(self) -> Iterator[str]:
        """Yield the fields that are left and say something, each with its name."""
        for name, value in self.left().items():
            text = _text(value)
            if text.strip() and name.lower() not in _ABOUT:
                yield f"{name}: {text}"

    def left(self) -> Fields:
        """Return the fields that were not taken."""
        return self._left


def _text(value: object) -> str:
    """Return a value as text, "" where it says nothing."""
    if value is None or value is False or value in ("", [], {}):
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # An escape for half of a character is valid JSON and no text.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
