"""What the site makes of pages that were written for the repository: links to sources, and plots.

MkDocs calls these (``hooks`` in ``mkdocs.yml``). The pages themselves stay as a forge shows them.
"""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path, PurePosixPath
from typing import Protocol

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[([^\]]+)\]\((?![a-z]+:)([^)#\s]+)(#[^)]*)?\)")
PLOT = re.compile(r"^```mermaid\nxychart-beta\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINE = re.compile(r'^\s*line "([^"]+)" (\[.*\])$', re.MULTILINE)
COLOURS = ("#3366aa", "#aa5500", "#228855", "#884499")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 300, 48, 160, 32, 40


class Source(Protocol):
    """The file of a page, as MkDocs describes it."""

    src_uri: str


class Page(Protocol):
    """A page of the site, as MkDocs describes it."""

    file: Source


def on_page_markdown(markdown: str, /, *, page: Page, **_: object) -> str:
    """Return a page's text for the site; what it links to outside of ``docs`` is named, not linked."""
    return PLOT.sub(draw_plot, name_sources(markdown, page.file.src_uri))


def name_sources(markdown: str, place: str) -> str:
    """Replace links out of ``docs`` by the path in the repository: the site has no copy of the sources.

    Args:
        markdown: The text of a page.
        place: Its path below ``docs``.

    Raises:
        FileNotFoundError: A link leads out of ``docs`` to no file.
    """

    def name(found: re.Match[str]) -> str:
        words, target = found[1], found[2]
        path = (ROOT / "docs" / PurePosixPath(place).parent / target).resolve()
        if path.is_relative_to(ROOT / "docs"):
            return found[0]
        if not path.exists():
            raise FileNotFoundError(f"{place}: {target}")
        shown = path.relative_to(ROOT).as_posix()
        return f"{words} (`{shown}`)" if shown.rpartition("/")[2] not in words else f"`{shown}`"

    return LINK.sub(name, markdown)


def draw_plot(block: re.Match[str]) -> str:
    """Return a chart of lines as SVG: Mermaid would load its program from another host."""
    title = _said(block[1], "title")
    labels = json.loads(block[1].partition("x-axis ")[2].partition("\n")[0])
    unit, top = _said(block[1], "y-axis"), float(block[1].partition("-->")[2].split()[0])
    lines = [(name, json.loads(values)) for name, values in LINE.findall(block[1])]
    step = (WIDTH - LEFT - RIGHT) / max(len(labels) - 1, 1)
    parts = [_text(LEFT, 16, title), _text(4, TOP + 4, f"{top:g} {unit}"), _text(4, HEIGHT - BOTTOM, "0")]
    rule = f'<path d="M{LEFT} {{}}H{WIDTH - RIGHT}" stroke="currentColor" opacity=".3"/>'
    parts += [rule.format(y) for y in (TOP, HEIGHT - BOTTOM)]
    parts += [_text(LEFT + at * step - 12, HEIGHT - 16, str(label)) for at, label in enumerate(labels)]
    for (name, values), colour in zip(lines, COLOURS, strict=False):
        heights = [HEIGHT - BOTTOM - value / top * (HEIGHT - BOTTOM - TOP) for value in values]
        points = " ".join(f"{LEFT + i * step:.0f},{y:.1f}" for i, y in enumerate(heights))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(_text(WIDTH - RIGHT + 6, heights[-1] + 4, name, colour))
    label = escape(title, quote=True)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _said(text: str, key: str) -> str:
    return text.partition(f'{key} "')[2].partition('"')[0]


def _text(x: float, y: float, words: str, colour: str = "currentColor") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="12" fill="{colour}">{escape(words)}</text>'
