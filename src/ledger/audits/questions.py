"""Open questions: those of the log, and those that stand in the tracked Markdown of a repository.

See: `ledger.audits.openings` for what counts as one in prose, `ledger.errorfiles` for blocks and tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ledger.audits.openings import find_openings
from ledger.audits.tracked import SUBMODULE, SYMLINK, TrackedFiles
from ledger.errorfiles import parse_questions
from ledger.measurements import Finding, Report
from patches.errors import show_path

SUFFIXES = (b".md", b".markdown", b".mdx")
_SHOWN_SIZE = 100


class Logged(NamedTuple):
    """A question of the log: its event, its step, what was said, and whether it is open."""

    event: str
    step: str
    message: str
    open: bool


def harvest(files: TrackedFiles, logged: Sequence[Logged] | None) -> Report:
    """Return the open questions as ``findings``: those of the log first, then by path and line.

    Args:
        files: Those of a work tree.
        logged: What the log asks, answered or not; None where there is no log.

    Raises:
        OSError: A file cannot be read.
    """
    asked = logged or ()
    findings = [
        Finding("logged", message=f"{each.event} {each.step}: {_shorten(each.message)}")
        for each in asked
        if each.open
    ]
    count = 0
    for file in files.entries():
        if file.mode in (SYMLINK, SUBMODULE) or not file.path.lower().endswith(SUFFIXES):
            continue
        with files.open(file) as stream:
            # The parsers count lines by line feeds.
            text = re.sub(r"\r\n?", "\n", stream.read().decode("utf-8-sig", "replace"))
        findings += _find(show_path(file.path), text, {_folded(each.message) for each in asked})
        count += 1
    return Report(
        metrics={"findings": float(len(findings)), "warnings": 0.0},
        examined=count + (logged is not None),
        unit="sources",
        findings=tuple(findings),
    )


def _find(path: str, text: str, known: Iterable[str]) -> Iterator[Finding]:
    """Yield the open questions of one Markdown text; of one that the log knows, the log tells."""
    asked = parse_questions(text, path)
    found = {each.line: f"{each.step}: {each.message}" for each in asked if each.state == "open"}
    words = {each.line: each.message for each in asked}
    for opening in find_openings(text):
        if opening.line not in words:
            found[opening.line] = words[opening.line] = opening.text
    for line in sorted(found):
        if _folded(words[line]) not in known:
            yield Finding("written", path, line, message=_shorten(found[line]))


def _folded(text: str) -> str:
    return " ".join(text.lower().split())


def _shorten(text: str) -> str:
    first = text.strip().partition("\n")[0]
    return first if len(first) <= _SHOWN_SIZE else f"{first[:_SHOWN_SIZE]} …"
