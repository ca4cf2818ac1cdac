"""Which added lines of a patch have whitespace errors, said before anything is applied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from patches.hunks import new_lines
from patches.whitespace import find_errors

if TYPE_CHECKING:
    from patches.gitapply.parts import Part
    from patches.gitapply.voice import Voice
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
            for at_line, mark, line in new_lines(hunk):
                if mark in looked_at and (errors := find_errors(line, rule)):
                    voice.whitespace_error(at_line, errors, line.removesuffix(b"\n"))
