"""Strings that look drawn at random: no known kind of secret, and worth a look."""

from __future__ import annotations

import re
from collections.abc import Iterator

LIMIT_BYTES = 1 << 20
"""How far into some bytes is looked: beyond lies data, not source."""

_STRING = re.compile(rb"(?<=[\"'])[A-Za-z0-9+/_-]{24,128}={0,2}(?=[\"'])")
_DIGEST = re.compile(rb"[0-9a-f]+|[0-9A-F]+|(?:sha|md)[0-9]+-.*")
_BITS = 4.5


def find_random_strings(data: bytes) -> Iterator[int]:
    """Yield the offsets of quoted strings that look drawn at random and are no digests."""
    for match in _STRING.finditer(data, 0, LIMIT_BYTES):
        value = match[0]
        mixed = any(65 <= c <= 90 for c in value) and any(48 <= c <= 57 for c in value)
        if mixed and not _DIGEST.fullmatch(value):
            from ledger.secrets.detectors import entropy_bits

            if entropy_bits(value.decode("ascii")) >= _BITS:
                yield match.start()
