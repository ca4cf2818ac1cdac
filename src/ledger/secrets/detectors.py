"""The detectors: those of detect-secrets that know what a token looks like, and the few it lacks.

Loading them takes a fifth of a second, so that nobody should who has not met `prefilter.find_stretches`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from math import log2
from typing import NamedTuple, TypeAlias, cast

from ledger.secrets.prefilter import REACH_BYTES, Stretch

KEYWORD = "Secret Keyword"

KINDS = frozenset(
    {
        "AWS Access Key",
        "Artifactory Credentials",
        "Azure Storage Account access key",
        "Basic Auth Credentials",
        "Cloudant Credentials",
        "Discord Bot Token",
        "GitHub Token",
        "GitLab Token",
        "IBM COS HMAC Credentials",
        "IBM Cloud IAM Key",
        "JSON Web Token",
        "Mailchimp Access Key",
        "NPM tokens",
        "OpenAI Token",
        "Private Key",
        "PyPI Token",
        KEYWORD,
        "SendGrid API Key",
        "Slack Token",
        "SoftLayer Credentials",
        "Square OAuth Secret",
        "Stripe Access Key",
        "Telegram Bot Token",
        "Twilio API Key",
    }
)
"""Those that are asked, by the library's names: addresses are no secrets, and entropy only warns."""

_MORE = (
    ("GitHub Token", r"github_pat_[A-Za-z0-9_]{36,255}"),
    ("Google API Key", r"AIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])"),
    ("NPM tokens", r"(?<![0-9A-Za-z_])npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])"),
    ("Private Key", r"BEGIN ENCRYPTED PRIVATE KEY"),  # pragma: allowlist secret
    ("Private Key", r"PuTTY-User-Key-File-[13]"),
)
_WHOLE = frozenset({"Basic Auth Credentials", "GitHub Token", "GitLab Token"})
"""Those whose patterns have groups that are less than the secret, or too little to look for elsewhere."""

# A baseline's entry, which is there so that the secret itself is not.
_HASHED = re.compile(r'\s*"hashed_secret": "[0-9a-f]{40}",?\s*')
_PIECE_BYTES = 3 * REACH_BYTES
_RANDOM_SIZE = 16
_RANDOM_BITS = 3.5


class Found(NamedTuple):
    """A value that a detector took for a secret, in bytes; ``sure`` is False where it only may be one.

    ``part`` is what the library itself takes for the secret: for some kinds a part, the same in every one.
    """

    kind: str
    value: bytes
    sure: bool = True
    part: bytes = b""


def search(text: bytes, path: str = "") -> Iterator[Found]:
    """Yield what the detectors find in one line; ``path`` tells of what kind of file it is."""
    seen: set[tuple[str, str]] = set()
    for piece in _pieces(text.decode("latin-1")):
        for kind, part, value in _detect(piece, path):
            if (kind, value) not in seen:
                seen.add((kind, value))
                sure = kind != KEYWORD or is_random(value)
                yield Found(kind, value.encode("latin-1"), sure, part.encode("latin-1"))


def search_stretches(data: bytes, stretches: list[Stretch]) -> Iterator[tuple[int, Found]]:
    """Yield what is found in stretches of ``data``, each with the offset of its first occurrence there."""
    for stretch in stretches:
        for line_at, line in _lines(data, stretch):
            for found in search(line):
                yield line_at + line.find(found.value), found


def plugin_names() -> list[str]:
    """Return the library's names of the detectors that are asked, as its baselines list them."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    plugins = get_mapping_from_secret_type_to_class()
    return sorted(plugins[kind].__name__ for kind in KINDS)


def is_random(value: str) -> bool:
    """Tell whether a value looks drawn at random: long, of letters and digits, hardly repeating itself."""
    return (
        len(value) >= _RANDOM_SIZE
        and any(c.isdigit() for c in value)
        and any(c.isalpha() for c in value)
        and not any(c.isspace() for c in value)
        and entropy_bits(value) >= _RANDOM_BITS
    )


def entropy_bits(value: str) -> float:
    """Return Shannon's entropy of a text, in bits for each character."""
    size = len(value)
    return -sum(count / size * log2(count / size) for count in Counter(value).values())


def is_allowlisted(path: str, line: str, previous: str) -> bool:
    """Tell whether a line, or the one before, says ``pragma: allowlist secret`` as the library reads it."""
    from detect_secrets.filters.allowlist import is_line_allowlisted
    from detect_secrets.util.code_snippet import CodeSnippet

    return is_line_allowlisted(path, line, CodeSnippet([previous, line], 0, 1))


def _lines(data: bytes, stretch: Stretch) -> Iterator[tuple[int, bytes]]:
    at = stretch.start
    for line in data[stretch.start : stretch.end].split(b"\n"):
        yield at, line
        at += len(line) + 1


def _pieces(text: str) -> Iterator[str]:
    """Yield a line in pieces that overlap: some detectors take the square of a line's length."""
    step = _PIECE_BYTES - REACH_BYTES
    for at in range(0, max(1, len(text) - REACH_BYTES), step):
        yield text[at : at + _PIECE_BYTES]


def _detect(text: str, path: str) -> Iterator[tuple[str, str, str]]:
    from detect_secrets.filters import heuristic

    for kind, analyze in _detectors():
        for value, whole in analyze(text, path):
            if not (
                heuristic.is_sequential_string(value)
                or heuristic.is_templated_secret(value)
                or heuristic.is_prefixed_with_dollar_sign(value)
                or heuristic.is_not_alphanumeric_string(value)
                or heuristic.is_potential_uuid(value)
            ):
                yield kind, value, whole


_Analyze: TypeAlias = Callable[[str, str], Iterator[tuple[str, str]]]
"""Gives what decides, by which placeholders are told from secrets, and what must not be shown."""


@cache
def _detectors() -> tuple[tuple[str, _Analyze], ...]:
    """Load the library once and return how to ask each of its detectors, and ours."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
    from detect_secrets.plugins.base import RegexBasedDetector

    plugins = get_mapping_from_secret_type_to_class()
    detectors: list[tuple[str, _Analyze]] = []
    for kind in sorted(KINDS - {KEYWORD}):
        plugin = plugins[kind]()
        if kind in _WHOLE:
            assert isinstance(plugin, RegexBasedDetector), "their patterns are asked themselves"
            patterns = cast("Iterable[re.Pattern[str]]", getattr(plugin, "denylist"))  # noqa: B009 - untyped there
            detectors.append((kind, _matches(patterns)))
        else:
            detectors.append((kind, _values(plugin.analyze_string)))
    detectors.append((KEYWORD, _keyword_values))
    detectors += [(kind, _matches([re.compile(pattern)])) for kind, pattern in _MORE]
    return tuple(detectors)


def _values(analyze: Callable[[str], Iterator[str]]) -> _Analyze:
    return lambda text, _: ((value, value) for value in analyze(text))


def _matches(patterns: Iterable[re.Pattern[str]]) -> _Analyze:
    def analyze(text: str, _: str) -> Iterator[tuple[str, str]]:
        for pattern in patterns:
            for match in pattern.finditer(text):
                yield match[match.lastindex or 0], match[0]

    return analyze


def _keyword_values(text: str, path: str) -> Iterator[tuple[str, str]]:
    """Yield what is assigned to names like ``password``, by the rules for the kind of file."""
    from detect_secrets.filters import heuristic
    from detect_secrets.plugins import keyword
    from detect_secrets.util.filetype import determine_file_type

    if heuristic.is_indirect_reference(text) or heuristic.is_lock_file(path) or _HASHED.fullmatch(text):
        return
    patterns = keyword.REGEX_BY_FILETYPE.get(
        determine_file_type(path), keyword.QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP
    )
    for pattern, group in patterns.items():
        # "value" == password is a comparison, which the prefilter leaves alone.
        if pattern is not keyword.PRECEDED_BY_EQUAL_COMPARISON_SIGNS_QUOTES_REQUIRED_REGEX:
            for match in pattern.finditer(text):
                yield match.group(group), match.group(group)
