"""Texts as a page shows them: nothing in them is markup, and nothing hides what they say."""

from __future__ import annotations

import re
from html import escape

_HIDING = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def visible(text: str) -> str:
    """Return a text with every character that cannot be seen, or turns others round, as its code point."""
    return _HIDING.sub(lambda found: "^M" if found[0] == "\r" else f"⟨{ord(found[0]):04x}⟩", text)


def shown(text: str) -> str:
    """Return a text as HTML for an element or an attribute in quotes."""
    return escape(visible(text))
