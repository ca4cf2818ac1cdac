"""The prefilter: which stretches of some bytes may hold a secret. Pure `re`, linear, nothing imported.

It is a superset of the detectors: what one of them would find in a line, an anchor here hits. Each anchor
has needles, at least one of which every hit contains; that is one fast search over everything, and
where none is there, which is the rule, the anchor's pattern is never tried. Every repetition is bounded or
possessive, so that no input makes a pattern slow.

See: ``detect_secrets.plugins``, whose patterns these follow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

REACH_BYTES = 2048
"""How far to both sides of a hit its line is looked at: lines may have no end."""


Shape: TypeAlias = Literal["bare", "token"]
"""``bare``: an assignment to a name like ``password`` without quotes, which only files of settings have."""


class Anchor(NamedTuple):
    """One shape to look for; ``folded``: needles and pattern are for the lower-cased bytes."""

    needles: tuple[bytes, ...]
    pattern: bytes
    folded: bool = False
    shape: Shape = "token"

    def hits(self, data: bytes, folded: bytes) -> Iterator[re.Match[bytes]]:
        """Yield where the shape is; without a needle nothing is even compiled."""
        text = folded if self.folded else data
        if not self.needles or any(needle in text for needle in self.needles):
            for match in re.compile(self.pattern).finditer(text):
                # A group that took no part: the pattern only went past what could not be tried again.
                if match.lastindex or not match.re.groups:
                    yield match


class Stretch(NamedTuple):
    """A line, or a part of a long one, that may hold a secret; ``end`` excluded."""

    start: int
    end: int
    shape: Shape = "token"


def _exact(pattern: bytes, *needles: bytes) -> Anchor:
    return Anchor(needles, pattern)


def _folded(pattern: bytes, *needles: bytes, shape: Shape = "token") -> Anchor:
    return Anchor(needles, pattern, folded=True, shape=shape)


# What `\\s` and `\\w` are in a text, as bytes of it.
_SPACE = rb"[\s\x1c-\x1f\x85\xa0]{0,64}"
_WORD = rb"[\w\x80-\xff]{0,64}+"
_ASSIGN = rb"[\"']?\]? *(?:=>?|::?=?| ) *[\"']?"
_CLOSE = rb"[\]'\"]{0,2}" + _SPACE
_QUOTE = rb"[\"'`]"
# What comes before: the ends of api_, auth_, service_, account_, database_, priv_, private_, client_ and db_.
_BEFORE_KEY = (
    rb"apikey|uthkey|icekey|untkey|asekey|rivkey|atekey|entkey|"
    rb"pi_key|th_key|ce_key|nt_key|se_key|iv_key|te_key|db_key"
)
# A name that promises a secret, found by the word that ends it: a search for a literal is the fast one.
_NAMES = (
    (rb"secret", b"secret"),
    (rb"passw(?:or)?d", b"passw"),
    (rb"pwd", b"pwd"),
    (rb"contrase(?:n|\xc3[\x91\xb1]|[\xd1\xf1])a", b"contrase"),
    (
        rb"pass(?:(?<=database_pass)|(?<=databasepass)|(?<=key_pass)|(?<=keypass|db_pass)|(?<=dbpass))",
        b"pass",
    ),
    (rb"key(?:(?<=" + _BEFORE_KEY + rb")|(?<=dbkey))", b"key"),
)
_QUOTED_VALUE = (
    _WORD + rb"(?:"
    + _CLOSE + rb"(?::=?|={1,3}>?|!={1,2}|=>)" + _SPACE + rb"@?" + _QUOTE
    + rb"|(?:\[[0-9]*+\])?" + _SPACE + rb"[!=]{1,2}" + _SPACE + rb"@?\""
    + rb"|(?:.assign)?\(\""
    + rb"|\S{0,50}?" + _SPACE + _QUOTE + rb"[^\n]{1,1024}?" + _QUOTE + rb";)"
)  # fmt: skip
_GITLAB = rb"gl(?:pat|dt|ft|soat|rt|cbt|imt|ptt|agent|oas)-[A-Za-z0-9_-]{20}"
_CLOUDANT = rb"cl(?:oudant|ou)?[_-]?(?:api)?(?:key|pw|pwd|password|pass|token)" + _ASSIGN + rb"[a-z0-9]{24}"
_LONG_VALUE = _ASSIGN + rb"[a-z0-9_-]{44}"
_BARE_VALUE = _WORD + _CLOSE + rb"(?::=?|={1,3}|!={1,2})" + _SPACE + rb"[^\s,]"

ANCHORS = (
    _exact(rb"A(?:3T[A-Z0-9]|BIA|CCA|KIA|SIA)[0-9A-Z]{16}"),
    _folded(rb"aws.{0,20}?(?:key|pwd|pw|pass|token).{0,40}?['\"][0-9a-z/+]{40}['\"]", b"aws"),
    _exact(rb"AKC[a-zA-Z0-9]{10}", b"AKC"),
    _exact(rb"AP[0-9A-F][a-zA-Z0-9]{8}"),
    _exact(rb"AccountKey=[a-zA-Z0-9+/=]{88}", b"AccountKey="),
    _exact(rb"://[^:/?#\[\]@!$&'()*+,;=\s]++:[^:/?#\[\]@!$&'()*+,;=\s]++@"),
    _folded(_CLOUDANT, b"cl"),
    _folded(rb"https?://[\w-]{1,512}:[a-z0-9]{24,64}@[\w-]{1,512}\.cloudant\.com", b"cloudant.com"),
    _exact(rb"\.[a-zA-Z\d_-]{6}\.[a-zA-Z\d_-]{27}"),
    _exact(rb"gh[pousr]_[A-Za-z0-9_]{36}"),
    _exact(rb"github_pat_[A-Za-z0-9_]{36}", b"github_pat_"),
    _exact(_GITLAB),
    _exact(rb"GR1348941[A-Za-z0-9_-]{20}", b"GR1348941"),
    *(_folded(name + _LONG_VALUE, name) for name in (b"key", b"pwd", b"password", b"pass", b"token")),
    _folded(rb"softlayer.com/soap/v3(?:.1)?/[a-z0-9]{64}", b"softlayer"),
    _exact(rb"eyJ[A-Za-z0-9_=-]++(\.[A-Za-z0-9_=-])?", b"eyJ"),
    _exact(rb"-us(?<=[0-9a-z]{32}-us)[0-9]", b"-us"),
    _exact(rb"/:_authToken=" + _SPACE + rb"(?:npm_|[A-Fa-f0-9-]{36})", b"/:_authToken="),
    _exact(rb"npm_[A-Za-z0-9]{36}", b"npm_"),
    _exact(rb"T3BlbkFJ(?<=[A-Za-z0-9]{20}T3BlbkFJ)[A-Za-z0-9]{20}", b"T3BlbkFJ"),
    _exact(rb"BEGIN (?:[A-Z0-9]{1,12} ){0,2}PRIVATE KEY", b"PRIVATE KEY"),
    _exact(rb"PuTTY-User-Key-File-", b"PuTTY-User-Key-File-"),
    _exact(rb"pypi-AgE[A-Za-z0-9_-]{70}", b"pypi-AgE"),
    _exact(rb"SG\.[a-zA-Z0-9_-]{22}\.[a-zA-Z0-9_-]{43}", b"SG."),
    _folded(rb"xox[abposr]-[0-9]", b"xox"),
    _folded(rb"hooks\.slack\.com/services/t", b"hooks.slack.com"),
    _exact(rb"sq0csp-[0-9A-Za-z\\_-]{43}", b"sq0csp-"),
    _exact(rb"k_live_(?<=[rs]k_live_)[0-9a-zA-Z]{24}", b"k_live_"),
    _exact(rb":(?<=[0-9]{8}:)[0-9A-Za-z_-]{35}"),
    _exact(rb"AC[a-z0-9]{32}"),
    _exact(rb"SK[a-z0-9]{32}"),
    _exact(rb"AIza[0-9A-Za-z_-]{35}", b"AIza"),
    *(_folded(name + _QUOTED_VALUE, needle) for name, needle in _NAMES),
    *(_folded(name + _BARE_VALUE, needle, shape="bare") for name, needle in _NAMES),
)  # fmt: skip


def find_stretches(data: bytes) -> list[Stretch]:
    """Return the stretches that may hold a secret, in order and apart; mostly there is none."""
    folded = data.lower()
    found = sorted({stretch for anchor in ANCHORS for stretch in _hits(anchor, data, folded)})
    merged: list[Stretch] = []
    for each in found:
        last = merged[-1] if merged else None
        if last is not None and each.start < last.end:
            merged[-1] = Stretch(last.start, max(last.end, each.end), max(last.shape, each.shape))
        else:
            merged.append(each)
    return merged


def _hits(anchor: Anchor, data: bytes, folded: bytes) -> Iterator[Stretch]:
    end = 0
    for match in anchor.hits(data, folded):
        if match.start() < end:
            # The same line once more.
            continue
        start, end = _line_around(data, match.start(), match.end())
        yield Stretch(start, end, anchor.shape)


def _line_around(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Return the line of a hit, at most so much of it."""
    begin = data.rfind(b"\n", max(0, start - REACH_BYTES), start) + 1 or max(0, start - REACH_BYTES)
    stop = data.find(b"\n", end, end + REACH_BYTES)
    return begin, min(len(data), end + REACH_BYTES) if stop < 0 else stop
