"""One question as prose: heading, step, message, context, the closing question. All variants of its words.

A block may lack its heading, its context or its closing question; whoever finds it decides where it ends.
"""

from __future__ import annotations

import re
from textwrap import dedent
from typing import Final, NamedTuple

from ledger.errorfiles import marks
from ledger.errorfiles.model import FoundError, State
from ledger.errorfiles.placeholders import find_placeholder, is_placeholder
from ledger.errorfiles.states import says_nothing
from ledger.errorfiles.typography import bare, fold

DECORATION: Final = re.compile(
    r"[ \t]*(?:>[ \t]?)*[ \t]*(?:(?:[-*+]|\d{1,3}[.)])[ \t]+)?(?:\[[ xX]\][ \t]+)?"
    r"(?:\#{1,6}[ \t]+)?[*_`]*[ \t]*"
)
"""What Markdown may have before the words of a line."""

_HEADING: Final = re.compile(
    r"(?:research[ ])?question[ ](?:for|from|to)[ ]chat[ ]?-?gpt(?:[ ]?-?[ ]?[0-9][0-9.]*o?)?"
    r"(?:,?[ ]*@[ ]?codex)?\b[ \t]*",
    re.IGNORECASE,
)
_TIME_BEGINS: Final = re.compile(r"[(\[]?[0-9${<%`\[]")
_WHILE: Final = re.compile(
    r"\b(?:while|when)\s+(?:performing|running|executing|doing|trying)\b", re.IGNORECASE
)
_NOUN: Final = r"(?:errors?|issues?|problems?|exceptions?|failures?|warnings?)"
_ENCOUNTERED: Final = re.compile(
    rf"\b(?:(?:I|we|it)\s+)?encountered\b(?:\s+(?:the|this|these)\s+following\s+{_NOUN}"
    rf"|\s+(?:an?|the)\s+{_NOUN}(?=\s*:))?\s*:?",
    re.IGNORECASE,
)
_CONTEXT: Final = re.compile(r"(?:^|(?<=\s))[*_]{0,2}Context[*_]{0,2}:[*_]{0,2}", re.MULTILINE)
_ASK: Final = re.compile(
    r"[*_]{0,2}\bWhat\s+(?:are|is)\s+(?:the\s+)?(?:possible|likely|probable)\s+causes?\b"
    r"(?:[^?]{0,160}\?[*_]{0,2})?",
    re.IGNORECASE,
)
_LABEL: Final = re.compile(
    r"(?P<name>(?:possible|root|likely)?[ ]?causes?|resolutions?|answers?|answered|solutions?|fix(?:es)?"
    r"|remediation|workaround)\b(?P<note>[^:\n]{0,60}):",
    re.IGNORECASE,
)
_FENCE_LINE: Final = re.compile(r"^[ \t]*(?:`{3,}|~{3,})[^\n]*$\n?", re.MULTILINE)


class Body(NamedTuple):
    """The parts of a block, as they stand in it: ``end`` is where its closing question ends, or -1."""

    asked_at: str
    step: str
    message: str
    context: str
    end: int


class Heading(NamedTuple):
    """A block's first line: its time, as it stands there, and what follows on the line."""

    asked_at: str
    rest: str


def parse_heading(line: str) -> Heading | None:
    """Return what a line says as the heading of a question, None where it is none."""
    plain = fold(line)
    decoration = DECORATION.match(plain)
    start = decoration.end() if decoration else 0
    found = _HEADING.match(plain, start)
    if found is None:
        return None
    rest = plain[found.end() :]
    begins = _WHILE.search(rest)
    head = rest if begins is None else rest[: begins.start()]
    time = head.strip(" \t*_:")
    if time and not _TIME_BEGINS.match(time):
        return None
    cut = len(rest) if begins is None else begins.start()
    if time.startswith("(") and time.endswith(")"):
        time = time[1:-1].strip()
    return Heading(time, line[found.end() + cut :])


def opens_without_heading(line: str, following: str) -> bool:
    """Return whether a line begins a question of its own: ``## While performing [step], encountered …``."""
    plain = fold(line)
    decoration = DECORATION.match(plain)
    begins = _WHILE.match(plain, decoration.end() if decoration else 0)
    return begins is not None and _ENCOUNTERED.search(f"{plain} {fold(following)}") is not None


def has_step(text: str) -> bool:
    """Return whether a text says what was being performed."""
    return _WHILE.search(fold(text)) is not None


def find_ask(text: str) -> re.Match[str] | None:
    """Return where the closing question of a block is."""
    return _ASK.search(fold(text))


def find_label(line: str) -> re.Match[str] | None:
    """Return the label that begins a line of an answer: ``**Resolution:** …``."""
    plain = fold(line)
    decoration = DECORATION.match(plain)
    return _LABEL.match(plain, decoration.end() if decoration else 0)


def find_message(text: str) -> int:
    """Return where the message of a block begins, -1 where it has none."""
    begins = _WHILE.search(fold(text))
    met = _ENCOUNTERED.search(fold(text), begins.end()) if begins else None
    return met.end() if met else -1


def parse_body(text: str) -> Body | None:
    """Return the parts of a block, None where it does not say what was performed and what came of it."""
    plain = fold(text)
    begins = _WHILE.search(plain)
    met = _ENCOUNTERED.search(plain, begins.end()) if begins else None
    if begins is None or met is None:
        return None
    first, _, between = text[: begins.start()].partition("\n")
    heading = parse_heading(first)
    asks = _ASK.search(plain, met.end())
    until = asks.start() if asks else len(text)
    context = _find_context(plain, met.end(), until)
    said = "" if context is None else _clean_message(text[context.end() : until])
    return Body(
        heading.asked_at if heading else "",
        clean_step(text[begins.end() : met.start()]),
        _clean_message(text[met.end() : context.start() if context else until]),
        "\n".join(part for part in (between.strip(" \t\n*_`>#"), said) if part),
        asks.end() if asks else -1,
    )


def _find_context(plain: str, start: int, until: int) -> re.Match[str] | None:
    """Return the context's label: the first at the start of a line, else the first in the midst of one."""
    found = list(_CONTEXT.finditer(plain, start, until))
    lines = (plain[plain.rfind("\n", 0, each.start()) + 1 : each.start()] for each in found)
    at_start = [each for each, before in zip(found, lines, strict=True) if not before.strip(" \t>")]
    return next(iter(at_start or found), None)


def clean_step(text: str) -> str:
    """Return a step without the brackets, quotes and commas around it, on one line."""
    step = " ".join(text.split()).strip(" ,")
    if step.startswith("[") and step.endswith("]"):
        step = step[1:-1].strip()
    word, _, name = step.partition(" ")
    if word == "step" and not name[:1].isdigit():
        step = name
    return bare(step)


def _clean_message(text: str) -> str:
    """Return a text without the fence, the quotes and the emphasis around it."""
    stripped = text.strip()
    if stripped.startswith(("```", "~~~")) and stripped.endswith(("```", "~~~")):
        text = _FENCE_LINE.sub("", text)
    return bare(dedent(text).strip().strip("*"))


def is_template(body: Body) -> bool:
    """Return whether a block was never filled in."""
    return is_placeholder(body.message) or (not body.message and is_placeholder(f"[{body.step}]"))


def make_error(body: Body, answer: str = "", more: str = "", *, cut_short: bool = False) -> FoundError:
    """Return the error of a block.

    Args:
        body: Its parts.
        answer: What follows it and says how it was resolved.
        more: What else follows it: where it may come from, or words under no label.
        cut_short: It has no closing question.
    """
    found: list[str] = []
    asked_at = body.asked_at
    if asked_at and is_placeholder(asked_at):
        found.append(f"{marks.TIME_NOT_FILLED_IN}: {find_placeholder(asked_at) or asked_at}")
        asked_at = ""
    if is_placeholder(f"[{body.step}]"):
        found.append(marks.STEP_NOT_FILLED_IN)
    sign = marks.signs_of_tests(body.message, body.step, body.context)
    if sign:
        found.append(f"{marks.TEST_SUITE}: {sign}")
    if cut_short:
        found.append(marks.NO_CLOSING)
    state: State = "open" if says_nothing(answer) else "answered"
    return FoundError(
        step=body.step,
        message=body.message,
        context="\n".join(part for part in (body.context, more) if part),
        asked_at=asked_at,
        state=state,
        answer=answer if state == "answered" else "",
        marks=tuple(found),
    )
