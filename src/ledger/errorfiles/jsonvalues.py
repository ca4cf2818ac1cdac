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


def read_values(text: str, start: int, end: int) -> Iterator[Value]:
    """Yield the objects in a stretch of a text, and what lies between them, a line at a time.

    A line where a value is damaged is yielded with the reason, and reading goes on at the next one.
    """
    text = text[:end]
    depth, follows = 0, False
    at = start
    while (at := _skip_blanks(text, at)) < end:
        mark = text[at]
        if mark == "[" and text[_skip_blanks(text, at + 1) :][:1] in ("{", "[", "]"):
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
    line = text[at:].partition("\n")[0] if len(text) - at < 4096 else text[at : _line_end(text, at)]
    return Value(at, at + len(line.rstrip()), None, why)


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _read_object(text: str, at: int) -> Value:
    try:
        fields, end = _decoder.raw_decode(text, at)
    except json.JSONDecodeError as error:
        if _is_cut_off(text, error.pos):
            return _read_line(text, at, "a JSON object that is cut off")
        column = error.pos - text.rfind("\n", 0, error.pos)
        return _read_line(text, at, f"invalid JSON: {error.msg.lower()} (column {column})")
    except RecursionError:
        return _read_line(text, at, "a JSON object that is nested too deeply")
    except ValueError:
        return _read_line(text, at, "a JSON object with a number that is too long")
    return Value(at, end, fields)


def _is_cut_off(text: str, pos: int) -> bool:
    """Return whether a value breaks at the end of the text or of a line, or where a line begins another."""
    rest = text[pos:]
    begins_another = rest.startswith("{") and not text[text.rfind("\n", 0, pos) + 1 : pos].strip()
    # An unterminated string is reported where it begins.
    return begins_another or rest[:1] in ("", "\n") or (rest[0] == '"' and "\n" not in rest)


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
