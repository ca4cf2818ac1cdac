"""Masking: texts without the secrets in them. Each is replaced by its kind."""

from __future__ import annotations

import re

from ledger.secrets.prefilter import find_stretches

_KEY_BLOCK = re.compile(
    rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]{0,40}-----|\Z)",
    re.DOTALL,
)
_KEY_KIND = "Private Key"


def mask(data: bytes) -> bytes:
    """Return ``data`` with every secret replaced by ``[redacted: <kind>]``: mostly ``data`` itself."""
    stretches = [stretch for stretch in find_stretches(data) if stretch.shape == "token"]
    if not stretches:
        return data
    from ledger.secrets.detectors import search_stretches

    values = {found.value: found.kind for _, found in search_stretches(data, stretches) if found.sure}
    data = _KEY_BLOCK.sub(_label(_KEY_KIND), data)
    # The longest first: one may be a part of another.
    for value in sorted(values, key=len, reverse=True):
        data = data.replace(value, _label(values[value]))
    return data


def mask_text(text: str) -> str:
    """Return a text with every secret replaced, as `mask` does."""
    data = text.encode("utf-8", "surrogateescape")
    masked = mask(data)
    return text if masked is data else masked.decode("utf-8", "surrogateescape")


def _label(kind: str) -> bytes:
    return b"[redacted: %b]" % kind.encode()
