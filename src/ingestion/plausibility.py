"""How likely a text is as a language that somebody writes: the bytes are given, the shortest reading wins.

Each candidate encoding turns the same bytes into another text. Each text has a length in bits: of frequent
letters few, of rare ones more, of an upper-case letter inside a word, a symbol between letters or a control
character many. Minus the length is the logarithm of a likelihood, so readings of one byte a character and
of two can be compared.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from typing import NamedTuple

from ingestion.languages import (
    FAMILIES,
    IDEOGRAPHIC_SYMBOLS,
    INSIDE_WORDS,
    LATIN_BETWEEN,
    OPENING,
    SYMBOLS,
    Family,
)

SAMPLE_SIZE_BYTES = 4096
CONTEXT_SIZE_BYTES = 64
UPPER_BITS = 2.5
STRANGE_BITS = 20.0
BETWEEN_SHARE = 0.5
WIDE_RARITY_BITS = 6.0
WIDE_BITS = 6.0  # for a byte: numbers of 16 bits are hardly ever so frequent as characters

_ASCII_BITS = {
    **dict.fromkeys("abcdefghijklmnopqrstuvwxyz", 4.5),
    **dict.fromkeys("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 6.5),
    **dict.fromkeys("0123456789", 5.5),
    **dict.fromkeys(" \n", 3.0),
    **dict.fromkeys("\t\r", 5.0),
}
_WORD = re.compile(r"[^\W\d_]+")
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")

# Kinds of characters: a/A ASCII letters, l/L letters beyond, c ideographs and other letters without case,
# o what opens a quotation or a question, y other symbols, p the few that stand inside words; 0 a digit.
_IMPROBABLE = (
    (re.compile("(?=[al]L|lA)"), 6.0),  # upper case after lower case
    (re.compile("(?=[AL]L[al]|LA[al])"), 4.0),  # … and more than one of it before lower case
    (re.compile("(?=[aAlLc]y[aAlLc])"), 6.0),  # a symbol inside a word
    (re.compile("(?=[aAlL0]o)"), 6.0),  # opened where nothing can begin
    (re.compile("(?=0[lLc]|[lLc]0)"), 3.0),
    (re.compile("(?=[lL]c|c[lL])"), 6.0),
    (re.compile("(?<![aAlLc])[lLc](?![aAlLc])"), 3.0),  # a letter alone
    (re.compile("(?<=[AL])L"), -2.0),  # upper case throughout costs little more
)
_IMPROBABLE_BESIDE_ASCII = (
    (re.compile("(?=[aA][lLc]|[lLc][aA])"), 6.0),  # two scripts in a word
)


class Reading(NamedTuple):
    """An encoding, and how many bits the sample has as text in it."""

    bits: float
    encoding: str


def rank(sample: bytes, *, whole: bool = True) -> list[Reading]:
    """Return the encodings that ``sample`` is valid in, the most plausible first.

    Args:
        sample: lines that are not UTF-8, as ``take_sample`` returns them.
        whole: False where what it was taken from may end inside a character.
    """
    whole = whole and len(sample) < SAMPLE_SIZE_BYTES
    texts: dict[str, _Text] = {}
    best: dict[str, float] = {}
    for family, models in _models():
        for encoding, rarity_bits in family.encodings.items():
            if encoding not in texts:
                decoded = _decode(sample, encoding, whole=whole)
                if decoded is None:
                    continue
                texts[encoding] = _Text(decoded)
            bits = rarity_bits + texts[encoding].length_bits(family, models)
            best[encoding] = min(bits, best.get(encoding, bits))
    return sorted(Reading(bits, encoding) for encoding, bits in best.items())


def rank_wide(sample: bytes, encodings: Iterable[str], *, whole: bool) -> list[Reading]:
    """Return those of ``encodings``, of two or four bytes a character, that make text of ``sample``.

    Args:
        sample: bytes with zeros or control characters among them.
        encodings: Python's names, with the order of bytes.
        whole: whether the sample ends where a character ends.
    """
    readings = list[Reading]()
    for encoding in encodings:
        text = _decode(sample, encoding, whole=whole)
        if text and not any(map(_is_strange, set(text))):
            bits = WIDE_RARITY_BITS + _shortest_bits(text)
            if bits <= WIDE_BITS * len(sample):
                readings.append(Reading(bits, encoding))
    return sorted(readings)


def rank_utf8(sample: bytes) -> Reading:
    """Return the reading of valid UTF-8, in the language that suits it best."""
    return Reading(_shortest_bits(sample.decode("utf-8")), "utf-8")


def share_of_first(sample: bytes, readings: Sequence[Reading]) -> float:
    """Return how likely the first of ``readings`` is among them; those that read alike count as one."""
    lengths: dict[str, float] = {}
    for bits, encoding in readings:
        lengths.setdefault(sample.decode(encoding, "replace"), bits)
    return 1 / sum(2 ** (readings[0].bits - bits) for bits in lengths.values())


def take_sample(data: bytes) -> bytes:
    """Return the first lines that have bytes beyond ASCII, up to a size; the last may end anywhere."""
    taken, size, place = list[bytes](), 0, 0
    while size < SAMPLE_SIZE_BYTES and (found := _BEYOND_ASCII.search(data, place)):
        # Where the line is long, not all that comes before: up to here it is ASCII, so no character is cut.
        start = max(data.rfind(b"\n", place, found.start()) + 1, place, found.start() - CONTEXT_SIZE_BYTES)
        stop = min(data.find(b"\n", found.start()) + 1 or len(data), start + SAMPLE_SIZE_BYTES - size)
        taken.append(data[start:stop])
        size += stop - start
        place = stop
    return b"".join(taken)


class _Text:
    """A decoded sample: its characters counted, and what is improbable in how they stand together."""

    def __init__(self, text: str) -> None:
        words = "".join(word for word in _WORD.findall(text) if not word.isascii())
        self._telling = Counter(words)
        self._rest = Counter(text)
        self._rest.subtract(self._telling)
        self._kinds = text.translate(_KINDS)
        self._order_bits = self._cost(_IMPROBABLE)

    def length_bits(self, family: Family, models: Iterable[_Model]) -> float:
        """Return its length in the language of ``family`` that suits it best."""
        order = self._order_bits if family.latin else self._order_bits_beside_ascii
        return order + min(self._letters_bits(model) for model in models)

    def _letters_bits(self, model: _Model) -> float:
        telling = sum(model[char] * count for char, count in self._telling.items())
        return telling + sum(model.bits_between(char) * count for char, count in self._rest.items())

    @cached_property
    def _order_bits_beside_ascii(self) -> float:
        return self._order_bits + self._cost(_IMPROBABLE_BESIDE_ASCII)

    def _cost(self, patterns: Iterable[tuple[re.Pattern[str], float]]) -> float:
        return sum(cost * len(pattern.findall(self._kinds)) for pattern, cost in patterns)


def _shortest_bits(text: str) -> float:
    """Return the length of ``text`` in whatever language suits it best."""
    sample = _Text(text)
    return min(sample.length_bits(family, models) for family, models in _models())


class _Kinds(dict[int, str]):
    """Fills itself with the kind of each character that is asked for."""

    def __missing__(self, code: int) -> str:
        self[code] = kind = _kind(chr(code))
        return kind


def _kind(char: str) -> str:
    category = unicodedata.category(char)
    if category == "Lu":
        return "A" if char.isascii() else "L"
    if category == "Ll":
        return "a" if char.isascii() else "l"
    if category[0] in "LM":
        return "c"
    if char in INSIDE_WORDS:
        return "p"
    if char in OPENING:
        return "o"
    if char.isspace():
        return " "
    return "0" if char.isdigit() else "." if char.isascii() else "y"


_KINDS = _Kinds()


class _Model(dict[str, float]):
    """The bits of each character in one language; what is not listed is costed when it is asked for."""

    def __init__(self, family: Family, language: str) -> None:
        super().__init__(_ASCII_BITS)
        self.family = family
        for letters in LATIN_BETWEEN if not family.latin else ():
            self._add(letters.chars, letters.first_bits, letters.step_bits)
        self._add(SYMBOLS, 6.5, 0.15)
        if family.national is not None:
            self._add(IDEOGRAPHIC_SYMBOLS, 6.0, 0.15)
        for letters in family.languages[language]:
            self._add(letters.chars, letters.first_bits, letters.step_bits)

    def _add(self, chars: str, first_bits: float, step_bits: float) -> None:
        for place, char in enumerate(chars):
            bits = first_bits + place * step_bits
            self[char] = bits
            if len(char.upper()) == 1 and char.upper() != char:
                self[char.upper()] = bits + UPPER_BITS

    def bits_between(self, char: str) -> float:
        """Return what ``char`` costs outside the words that have letters beyond ASCII.

        Much there is in another language: names, code, words of English.
        """
        flat = _ASCII_BITS.get(char)
        return self[char] if flat is None else flat + BETWEEN_SHARE * (self[char] - flat)

    def __missing__(self, char: str) -> float:
        self[char] = bits = self._unlisted_bits(char)
        return bits

    def _unlisted_bits(self, char: str) -> float:
        if _is_strange(char):
            return STRANGE_BITS
        if char.isascii():
            return 6.5
        category = unicodedata.category(char)
        if self.family.national is not None and category == "Lo":
            return 12.0 if char in _common(*self.family.national) else 16.0
        if category[0] != "L":
            return 13.0
        if self.family.latin and "LATIN" in unicodedata.name(char, ""):
            return 11.0
        return 14.0


def _is_strange(char: str) -> bool:
    """Return whether no text has it: a control character, an unassigned or a private one."""
    return unicodedata.category(char) in {"Cc", "Cn", "Co", "Cs"} and char not in "\t\n\r\f\v"


@cache
def _models() -> list[tuple[Family, list[_Model]]]:
    return [(family, [_Model(family, language) for language in family.languages]) for family in FAMILIES]


@cache
def _common(encoding: str, rare_row: int) -> frozenset[str]:
    """Return the characters of a national set that come before its rare ones."""
    last = 0x7F if encoding != "big5" else 0x40
    pairs = (bytes((row, cell)) for row in range(0xA1, rare_row) for cell in range(last, 0xFF))
    return frozenset("".join(pair.decode(encoding, "ignore") for pair in pairs))


def _decode(sample: bytes, encoding: str, *, whole: bool) -> str | None:
    """Return the sample as text, less a character that its end cuts; None where it is not valid."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(sample, final=whole)
    except UnicodeDecodeError:
        return None
