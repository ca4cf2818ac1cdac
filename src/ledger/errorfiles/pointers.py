"""Git-LFS pointers: what stands in a file where its content was never fetched."""

from __future__ import annotations

import re

from ledger.errorfiles.model import Piece

_POINTER = re.compile(
    r"^version https?://[^\n]*/spec/v\d+\n(?:ext-[^\n]*\n)*oid sha256:[0-9a-f]{64}\nsize (\d+)$", re.MULTILINE
)


def find_pointers(text: str) -> list[Piece]:
    """Return the pointers in a text. What they point to is not here, so each is left over."""
    return [
        Piece(
            found.start(),
            found.end(),
            "left",
            f"a Git LFS pointer: its {found[1]} bytes are not here",
        )
        for found in _POINTER.finditer(text)
    ]
