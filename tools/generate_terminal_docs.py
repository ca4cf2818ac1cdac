"""Draws ``docs/images/terminal.svg`` from the README's transcript, or checks with ``--check`` that it is current.

A test types that transcript in and compares what is printed, so the picture shows what a terminal shows. It is
text in a picture: no font, no program and no other file is loaded for it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html import escape

from generated import ROOT, publish

BEGINS, ENDS = "**A patch that a strict gate rejects**", "$ ledger sql"
TARGET = "docs/images/terminal.svg"
COLUMN, ROW, MARGIN, BAR = 8.43, 19, 16, 34
COLOURS = (
    (re.compile(r"^\$ .*"), "#ffffff"),
    (re.compile(r"^(?:error|rejected|fail)\b"), "#ff8a80"),
    (re.compile(r"^(?:pass|accepted)\b"), "#9be29b"),
    (re.compile(r"^(?:hint|note):"), "#8ec7ff"),
)


def read_transcript() -> list[str]:
    """Return the lines of the README's transcript from the rejected patch on, without the patch itself.

    Raises:
        RuntimeError: The README has no such transcript any more.
    """
    part = (ROOT / "README.md").read_text("utf-8").partition(BEGINS)[2].partition("```console\n")[2]
    lines = part.partition(ENDS)[0].splitlines()
    starts = [at for at, line in enumerate(lines) if line.startswith("$ ledger")]
    if not starts:
        raise RuntimeError(f"README.md has no transcript below {BEGINS!r}")
    return lines[starts[0] :]


def spans(line: str) -> Iterator[str]:
    """Yield a line as pieces of SVG text; the word that says how it went has a colour, and is still a word."""
    for pattern, colour in COLOURS:
        found = pattern.match(line)
        if found:
            yield f'<tspan fill="{colour}" font-weight="bold">{escape(found[0])}</tspan>'
            line = line[found.end() :]
            break
    yield escape(line)


def draw(lines: list[str]) -> str:
    """Return the picture of a terminal with these lines."""
    width = round(max(map(len, lines)) * COLUMN + 2 * MARGIN)
    height = BAR + len(lines) * ROW + MARGIN
    label = escape(
        "A terminal: " + "; ".join(line[2:] for line in lines if line.startswith("$ ")), quote=True
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">',
        f'<rect width="{width}" height="{height}" rx="8" fill="#20262d"/>',
        *(f'<circle cx="{20 + 18 * at}" cy="17" r="5" fill="#56606b"/>' for at in range(3)),
        '<g font-family="ui-monospace,Menlo,Consolas,DejaVu Sans Mono,monospace" font-size="14" fill="#cfd6dd">',
    ]
    for at, line in enumerate(lines):
        y = BAR + (at + 1) * ROW - 5
        # The width is given: a font that is wider or narrower does not move the columns.
        length = f' textLength="{len(line) * COLUMN:.1f}" lengthAdjust="spacingAndGlyphs"' if line else ""
        parts.append(f'<text x="{MARGIN}" y="{y}" xml:space="preserve"{length}>{"".join(spans(line))}</text>')
    return "\n".join([*parts, "</g>", "</svg>"]) + "\n"


if __name__ == "__main__":
    raise SystemExit(
        publish(TARGET, draw(read_transcript()), "tools/generate_terminal_docs.py", sys.argv[1:])
    )
