"""JSON values in a text: one a line, pretty-printed, one after another, or in a list; damage in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, TypeAlias

Fields: TypeAlias = dict[str, object]


class Value(NamedTuple):
    """A stretch of a text: an object, or ``fields`` None and in ``why`` what it is instead."""

    start: int
    end: int
    fields: Fields | None = None
    why: str = ""


BRACKET: Final = "a bracket around values"
NOT_JSON: Final = "not JSON"
_WINDOW_SIZE: Final = 1 << 14


def read_values(text: str, start: int, end: int) -> Iterator[Value]:
    """Yield the objects in a stretch of a text, and what lies between them, a line at a time.

    A line where a value is damaged is yielded with the reason, and reading goes on at the next one.
    """
    text = text[:end]
    depth, follows = 0, False
    at = start
    while (at := _skip_blanks(text, at)) < end:
        mark = text[at]
        if mark == "[" and text.startswith(("{", "[", "]"), _skip_blanks(text, at + 1)):
            depth, follows = depth + 1, True
            yield Value(at, at + 1, None, BRACKET)
            at += 1
        elif (mark == "]" and depth) or (mark == "," and follows):
            depth -= mark == "]"
            yield Value(at, at + 1, None, BRACKET)
            at += 1
        else:
            value = _read_object(text, at) if mark == "{" else _read_line(text, at, NOT_JSON)
            follows = value.fields is not None
            yield value
            at = value.end


def _skip_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _read_line(text: str, at: int, why: str) -> Value:
    end = text.find("\n", at)
    line = text[at : len(text) if end < 0 else end]
    return Value(at, at + len(line.rstrip()), None, why)


def _read_object(text: str, at: int) -> Value:
    size = _WINDOW_SIZE
    while True:
        # Through a window: what an error says of its place takes as long as the text before it is long.
        window = text[at : at + size]
        try:
            fields, length = _decoder.raw_decode(window)
        except json.JSONDecodeError as error:
            if at + size < len(text) and _may_go_on(window, error):
                size *= 2
                continue
            return _read_line(text, at, _explain(window, error))
        except RecursionError:
            return _read_line(text, at, "a JSON object that is nested too deeply")
        except ValueError:
            return _read_line(text, at, "a JSON object with a number that is too long")
        return Value(at, at + length, fields)


def _may_go_on(window: str, error: json.JSONDecodeError) -> bool:
    """Return whether a value broke only because its window ended."""
    return error.pos + len("-Infinity") > len(window) or error.msg.startswith("Unterminated")


def _explain(text: str, error: json.JSONDecodeError) -> str:
    """Return what is wrong with the object that a text begins with."""
    pos = error.pos
    at_break = text[pos : pos + 1] in ("", "\n")
    begins_another = text.startswith("{", pos) and not text[text.rfind("\n", 0, pos) + 1 : pos].strip()
    if at_break or begins_another or error.msg.startswith("Unterminated"):
        return "a JSON object that is cut off"
    place = f"column {error.colno}" if error.lineno == 1 else f"its line {error.lineno}, column {error.colno}"
    return f"invalid JSON: {error.msg.lower()} ({place})"


def _keep_all(pairs: list[tuple[str, Any]]) -> Fields:
    """Return an object's fields; a name that comes twice keeps both values."""
    fields: Fields = {}
    for name, value in pairs:
        key, n = name, 2
        while key in fields:
            key, n = f"{name} ({n})", n + 1
        fields[key] = value
    return fields


_decoder: Final = json.JSONDecoder(object_pairs_hook=_keep_all)
