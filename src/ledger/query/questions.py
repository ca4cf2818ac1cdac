"""The questions that come with the ledger: one file of SQL each, in ``queries/``.

A file begins with its question, and says what a row is, what its columns hold, which parameters it
takes and which events it reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ledger.query_errors import NoSuchQuestion

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_HEADER = re.compile(r"(?:--.*\n)+")
_SECTION = re.compile(r"-- (\w+): *")


class Question(NamedTuple):
    """A question: its name, itself in words, what each of its parameters means, and its SQL."""

    name: str
    title: str
    parameters: Mapping[str, str]
    text: str


def find_questions() -> list[Question]:
    """Return every question, by name."""
    found = (entry for entry in _directory().iterdir() if entry.name.endswith(".sql"))
    return sorted(parse_question(entry.name[:-4], entry.read_text("utf-8")) for entry in found)


def read_question(name: str) -> Question:
    """Return the question of a name.

    Raises:
        NoSuchQuestion: There is none; the error names those of like names.
    """
    questions = {question.name: question for question in find_questions()}
    if name not in questions:
        near = get_close_matches(name, questions, 3) or [each for each in sorted(questions) if name in each]
        raise NoSuchQuestion(name, near)
    return questions[name]


def parse_question(name: str, text: str) -> Question:
    """Return the question of a file: its header is the comment that the file begins with."""
    match = _HEADER.match(text)
    lines = match[0].splitlines() if match else []
    title = lines[0].removeprefix("--").strip() if lines else ""
    return Question(name, title, dict(_parse_parameters(lines)), text)


def _parse_parameters(lines: list[str]) -> list[tuple[str, str]]:
    """Return what the section ``Params`` says: a name and its meaning on a line, which may go on."""
    found: list[tuple[str, str]] = []
    inside = False
    for line in lines:
        section = _SECTION.match(line)
        if section:
            inside = section[1] == "Params"
            line = line[section.end() :]  # noqa: PLW2901 - what is left of the same line
        if not inside:
            continue
        words = line.removeprefix("--").strip()
        name, gap, meaning = words.partition("  ")
        if gap:
            found.append((name, meaning.strip()))
        elif found:
            found[-1] = (found[-1][0], f"{found[-1][1]} {words}")
    return found


def _directory() -> Traversable:
    """Return where the files are: in the installed package, or beside the sources of a checkout."""
    installed = files("ledger") / "queries"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "queries"
