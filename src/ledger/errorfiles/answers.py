"""Answers: what follows a question in the same file, under labels such as ``Cause`` and ``Resolution``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.errorfiles.blocks import find_label
from ledger.errorfiles.lines import Line
from ledger.errorfiles.states import says_nothing
from ledger.errorfiles.typography import fold

_CAPTURED: Final = re.compile(r"[-=*\s]*captured (?:at|on) (?P<time>\S.*?)[-=*\s]*", re.IGNORECASE)


class Answer(NamedTuple):
    """What follows a question: lines up to ``end`` belong to it.

    ``causes`` is all that was said where nothing of it is an answer. ``asked_at`` is the time that a line
    under the question says it was captured at.
    """

    end: int
    text: str = ""
    causes: str = ""
    asked_at: str = ""


def read_answer(lines: Sequence[Line], start: int, limit: int, *, fenced: bool) -> Answer:
    """Return the answer in the lines from ``start`` up to ``limit``.

    It begins at a label and goes on to a Markdown heading, a rule, a table, or the end of the fence that
    the question stands in; after that only another label goes on with it.

    Args:
        lines: Those of the file.
        start: The first after the question.
        limit: Where the next question begins.
        fenced: The question stands in a fence.
    """
    taken: list[Line] = []
    end, within, answers = start, False, False
    for at in range(start, limit):
        line = lines[at]
        captured = _CAPTURED.fullmatch(fold(line.text))
        if captured:
            return Answer(at + 1, *_told(taken, answers), captured["time"].strip())
        if line.fence and fenced:
            fenced, within, end = False, False, at + 1
            continue
        label = find_label(line.text)
        if label is not None:
            within = True
            answers = answers or _is_answer(lines, at, limit, label)
        elif line.blank:
            taken.append(line)
            continue
        elif not within or (line.divides and not line.in_fence):
            break
        taken.append(line)
        end = at + 1
    return Answer(end, *_told(taken, answers))


def _told(taken: Sequence[Line], answers: bool) -> tuple[str, str]:
    """Return the lines as an answer, or as causes alone."""
    text = "\n".join(line.text.rstrip() for line in taken).strip()
    return (text, "") if answers else ("", text)


def _is_answer(lines: Sequence[Line], at: int, limit: int, label: re.Match[str]) -> bool:
    """Return whether a label is one of an answer that was given: not of a cause, nor left blank."""
    if label["name"].lower().rstrip("s").endswith("cause"):
        return False
    if not says_nothing(lines[at].text[label.end() :]):
        return True
    # It stands alone: what follows it is the answer, unless that is the next label.
    following = lines[at + 1] if at + 1 < limit else None
    return (
        following is not None
        and not (following.blank or following.divides or following.fence)
        and find_label(following.text) is None
        and not says_nothing(following.text)
    )
