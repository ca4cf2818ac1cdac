"""Typography: what word processors make of hyphens, quotes and spaces, taken back for matching.

Folding keeps every offset: what is found in the folded text is cut out of the text itself.
"""

from __future__ import annotations

_ALIKE = {
    " ": "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000",
    "-": "\u00ad\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d",
    "'": "\u2018\u2019\u201a\u201b\u2032\u00b4",
    '"': "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb",
    ":": "\uff1a\ua789",
    "@": "\uff20",
    "?": "\uff1f",
}
_PLAIN = str.maketrans({other: plain for plain, others in _ALIKE.items() for other in others})


def fold(text: str) -> str:
    """Return a text of the same length with plain spaces, hyphens, quotes, colons."""
    return text.translate(_PLAIN)


def bare(text: str) -> str:
    """Return a text without one pair of quotes or backticks around all of it, and without blanks there.

    A full stop after the closing quote belongs to the sentence around it, and goes too.
    """
    text = text.strip()
    folded = fold(text)
    for quote in ("`", "'", '"'):
        body = folded[:-1] if folded.endswith(f"{quote}.") else folded
        inner = body[1:-1]
        if len(body) > 2 and body[0] == body[-1] == quote and quote not in inner:
            return text[1 : len(body) - 1].strip()
    return text
