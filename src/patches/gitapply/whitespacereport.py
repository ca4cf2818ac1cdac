"""Which added lines of a patch have whitespace errors, said before anything is applied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from patches.fitting import split_lines
from patches.whitespace import find_errors

if TYPE_CHECKING:
    from patches.gitapply.parts import Part
    from patches.gitapply.voice import Voice
    from patches.model import Hunk
    from patches.options import ApplyOptions
    from patches.whitespace import WhitespaceRule


def report_added_lines(
    parts: Iterable[Part], rules: Mapping[bytes, WhitespaceRule], options: ApplyOptions, voice: Voice
) -> None:
    """Say which lines that the patch adds have errors; where they are to be mended, those of context too."""
    looked_at = b"+ " if options.whitespace == "fix" and not options.reverse else b"+"
    for part in parts:
        rule = rules[part.path]
        for hunk in part.file.hunks:
            for at_line, mark, line in _new_lines(hunk):
                if mark in looked_at and (errors := find_errors(line, rule)):
                    voice.whitespace_error(at_line, errors, line.removesuffix(b"\n"))


def _new_lines(hunk: Hunk) -> Iterator[tuple[int, int, bytes]]:
    """Yield the lines of a hunk's postimage, each with its line in the patch and its mark."""
    olds, news = iter(split_lines(hunk.old)), iter(split_lines(hunk.new))
    at_line = hunk.at_line
    for mark in hunk.marks:
        at_line += 1
        old = b"\n" if mark == _ADDED else next(olds)
        line = old if mark == _REMOVED else next(news)
        if mark != _REMOVED:
            yield at_line, mark, line
        at_line += not line.endswith(b"\n")  # The marker of a missing newline has a line of its own.


_ADDED, _REMOVED = b"+-"
