"""Globs over the paths of a tree, with the meaning of Git's ``:(glob)`` pathspec.

``*`` and ``?`` stop at slashes; ``**/`` is any number of directories, ``/**`` everything below; ``[…]``
is a set with ranges, classes (``[:alpha:]``) and ``!`` or ``^``; a backslash makes the next byte
literal. The text itself, wildcards and all, is also a literal path, and as such everything below it.
As in Git, bytes match bytes, and ``**`` counts right behind a literal beginning too: ``sr**/x.c``
matches ``src/x.c``.

See: "glob" in ``gitglossary(7)``; Git's ``dowild`` (``wildmatch.c``) and ``match_pathspec_item`` (``dir.c``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TypeAlias

from patches.errors import PatchError
from patches.moves import names_directory, normalize_path

_SPECIAL = re.compile(rb"[*?\[\\]")
_CLASSES = {
    b"alnum": rb"0-9A-Za-z",
    b"alpha": rb"A-Za-z",
    b"blank": rb" \t",
    b"cntrl": rb"\x00-\x1f\x7f",
    b"digit": rb"0-9",
    b"graph": rb"!-~",
    b"lower": rb"a-z",
    b"print": rb" -~",
    b"punct": rb"!-/:-@\[-`{-~",
    b"space": rb"\t-\r ",
    b"upper": rb"A-Z",
    b"xdigit": rb"0-9A-Fa-f",
}
_STAR, _DIRECTORIES, _ANYTHING = b"[^/]*", b"(?:.*/)?", b".*"
_CROSSING = frozenset({b"/", _DIRECTORIES, _ANYTHING})
_NOTHING = re.compile(rb"(?!)")

Piece: TypeAlias = tuple[bytes, int]
"""What one piece of a glob is as a regular expression, and where the next piece begins."""


class BadGlob(PatchError):
    """A glob that can match no path of a tree: it is empty or leads out of it."""

    def __init__(self, glob: str, reason: str) -> None:
        super().__init__(f"glob {glob!r}: {reason}")
        self.glob = glob
        self.reason = reason


def match_paths(paths: Iterable[bytes], glob: str) -> list[bytes]:
    """Return those of ``paths`` that ``git ls-files ':(glob)<glob>'`` would list, in their order.

    Args:
        paths: paths of files, relative to the tree's root.
        glob: a glob, relative to the same; surrogates stand for bytes that are not UTF-8.

    Raises:
        BadGlob: the glob is empty or leads out of the tree.
    """
    literal, pattern = _compile_glob(glob)
    below = literal if literal.endswith(b"/") or not literal else literal + b"/"
    return [
        path
        for path in paths
        if path == literal or path.startswith(below) or pattern.fullmatch(path) is not None
    ]


def match_flat(path: bytes, glob: bytes) -> bool:
    """Tell whether ``git apply --include`` takes ``glob`` for ``path``: slashes are bytes like any other."""
    pattern = _compile_flat(glob)
    return pattern is not None and pattern.fullmatch(path) is not None


def escape_glob(path: bytes) -> str:
    """Return a glob for one path. A byte that is not UTF-8 becomes ``?``, which has any one byte."""
    text = _SPECIAL.sub(rb"\\\g<0>", path).decode("utf-8", "surrogateescape")
    return "".join("?" if 0xDC80 <= ord(char) <= 0xDCFF else char for char in text)


@lru_cache(maxsize=256)
def _compile_glob(glob: str) -> tuple[bytes, re.Pattern[bytes]]:
    """Return a glob as the literal path that it is too, and as a regular expression for the whole of one."""
    raw = glob.encode("utf-8", "surrogateescape")
    if not raw:
        raise BadGlob(glob, "it is empty; '**' has every path")
    try:
        literal = normalize_path(raw)
    except PatchError as error:
        raise BadGlob(glob, "it leads out of the tree") from error
    if literal and names_directory(raw):
        literal += b"/"
    special = _SPECIAL.search(literal)
    if special is None:
        return literal, _NOTHING
    start = special.start()
    translated = _translate(literal[start:])
    if translated is None:
        return literal, _NOTHING
    return literal, re.compile(re.escape(literal[:start]) + translated, re.DOTALL)


@lru_cache(maxsize=256)
def _compile_flat(glob: bytes) -> re.Pattern[bytes] | None:
    translated = _translate(glob, flat=True)
    return None if translated is None else re.compile(translated, re.DOTALL)


def _translate(glob: bytes, *, flat: bool = False) -> bytes | None:
    """Return a glob as a regular expression; None where it can match nothing.

    Args:
        glob: the glob.
        flat: wildcards and sets match slashes too.
    """
    at, pieces = 0, list[bytes]()
    while at < len(glob):
        byte = glob[at : at + 1]
        if byte == b"*":
            piece: Piece | None = _flat_stars(glob, at) if flat else _stars(glob, at)
        elif byte == b"[":
            piece = _bracket(glob, at, flat=flat)
        elif byte == b"\\":
            piece = (re.escape(glob[at + 1 : at + 2]), at + 2) if at + 1 < len(glob) else None
        else:
            any_byte = b"." if flat else b"[^/]"
            piece = any_byte if byte == b"?" else re.escape(byte), at + 1
        if piece is None:
            return None
        pieces.append(piece[0])
        at = piece[1]
    if flat:
        return b"".join(_commit(pieces, _ANYTHING, frozenset()))
    return b"".join(_commit(pieces, _STAR, _CROSSING))


def _commit(pieces: Sequence[bytes], star_piece: bytes, crossing: frozenset[bytes]) -> Iterator[bytes]:
    """Yield the pieces with every ``*`` that another one follows in its component tried only once.

    Between two stars the first place that fits is as good as any later one, and without this
    ``*a*a*a*a*b`` takes time without bound.
    """
    stars = [at for at, piece in enumerate(pieces) if piece == star_piece]
    done = 0
    for star, following in pairwise(stars):
        if not crossing.intersection(pieces[star:following]):
            yield from pieces[done:star]
            yield b"(?>%s?%s)" % (star_piece, b"".join(pieces[star + 1 : following]))
            done = following
    yield from pieces[done:]


def _flat_stars(glob: bytes, at: int) -> Piece:
    end = at
    while glob[end : end + 1] == b"*":
        end += 1
    return _ANYTHING, end


def _stars(glob: bytes, at: int) -> Piece:
    end = at
    while glob[end : end + 1] == b"*":
        end += 1
    crosses = end - at > 1 and (at == 0 or glob[at - 1 : at] == b"/")
    rest = glob[end : end + 2]
    if not crosses or not (not rest or rest.startswith(b"/") or rest == b"\\/"):
        return _STAR, end
    return (_DIRECTORIES, end + 1) if rest.startswith(b"/") else (_ANYTHING, end)


def _bracket(glob: bytes, at: int, *, flat: bool) -> Piece | None:
    """Return a set; None where it has no end, which matches nothing."""
    at += 1
    negated = glob[at : at + 1] in (b"!", b"^")
    at += negated
    members: list[bytes] = []
    first = True
    while first or glob[at : at + 1] != b"]":
        member = _member(glob, at)
        if member is None:
            return None
        members.append(member[0])
        at, first = member[1], False
    inside = b"|".join(filter(None, members)) or b"(?!)"
    # A set of a path's glob never matches a slash, whatever is in it.
    return ((b"" if flat else b"(?!/)") + (b"(?!%s)." if negated else b"(?:%s)") % inside, at + 1)


def _member(glob: bytes, at: int) -> Piece | None:
    """Return one class, range or byte of a set; a range that runs backwards has nothing in it."""
    if glob.startswith(b"[:", at):
        end = glob.find(b"]", at + 2)
        if end < 0:
            return None
        if glob[end - 1 : end] == b":" and end - 1 >= at + 2:
            ranges = _CLASSES.get(glob[at + 2 : end - 1])
            return None if ranges is None else (b"[%s]" % ranges, end + 1)
    low = _byte(glob, at)
    if low is None:
        return None
    if glob[low[1] : low[1] + 1] != b"-" or glob[low[1] + 1 : low[1] + 2] in (b"]", b""):
        return re.escape(low[0]), low[1]
    high = _byte(glob, low[1] + 1)
    if high is None:
        return None
    if low[0] > high[0]:
        # Git compares with the first byte before it looks at the range.
        return re.escape(low[0]), high[1]
    return b"[%s-%s]" % (re.escape(low[0]), re.escape(high[0])), high[1]


def _byte(glob: bytes, at: int) -> Piece | None:
    """Return one byte of a set, which a backslash may stand before; the piece is the byte itself."""
    if glob[at : at + 1] == b"\\":
        at += 1
    byte = glob[at : at + 1]
    return (byte, at + 1) if byte else None
