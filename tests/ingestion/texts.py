"""The cases of ``texts.toml``: every text in every encoding that it is written in, a word, a line or a page long."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TEXTS = Path(__file__).with_suffix(".toml")
HALVES = ("tuned", "held_out")
LENGTHS = ("word", "line", "page")


@dataclass(frozen=True, slots=True)
class Case:
    """A text and the encoding that its bytes are in."""

    half: str
    language: str
    encoding: str
    length: str
    text: str

    @property
    def data(self) -> bytes:
        return self.text.encode(self.encoding)

    def is_right(self, encoding: str | None) -> bool:
        """Return whether an answer gives the text back; its name does not matter, nor does the mark."""
        if encoding is None:
            return False
        try:
            return self.data.decode(encoding).removeprefix("\ufeff") == self.text
        except (UnicodeError, LookupError):
            return False


def read_cases() -> list[Case]:
    """Return all cases in the file's order."""
    halves: dict[str, list[dict[str, Any]]] = tomllib.loads(TEXTS.read_text("utf-8"))
    return [
        Case(half, entry["language"], encoding, length, text)
        for half in HALVES
        for entry in halves[half]
        for encoding in entry["encodings"]
        for length, text in _texts(entry)
        if not text.isascii() and _holds(encoding, text)
    ]


def _texts(entry: dict[str, Any]) -> Iterator[tuple[str, str]]:
    words, lines = entry["words"], entry["lines"]
    yield from (("word", word) for word in words)
    yield from (("line", line) for line in lines)
    yield "page", _page(words, lines)


def _page(words: list[str], lines: list[str]) -> str:
    """Return a page as people write them: a heading, paragraphs, and a table."""
    paragraphs = "\n\n".join([*lines, " ".join(lines), *reversed(lines)])
    rows = "".join(f"{number},{word},2024-0{number}-15\n" for number, word in enumerate(words, 1))
    return f"{words[0]} (1)\n{'=' * 8}\n\n{paragraphs}\n\nid,name,date\n{rows}"


def _holds(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
