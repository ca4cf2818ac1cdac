"""Usage: how much of the disk a ledger takes, and where.

Only names and sizes are read; the ledger may change meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct


class Usage(Struct, frozen=True):
    """Sizes of what is kept for good, and how many closed segments wait to be sealed."""

    log_size_bytes: int = 0
    sealed_size_bytes: int = 0
    bodies_size_bytes: int = 0
    waiting: int = 0

    @property
    def size_bytes(self) -> int:
        """All of it together."""
        return self.log_size_bytes + self.sealed_size_bytes + self.bodies_size_bytes


def measure_usage(root: Path) -> Usage:
    """Return what the ledger at ``root`` takes; nothing where there is none."""
    segments = list(_sizes(root / "log"))
    return Usage(
        log_size_bytes=sum(segments),
        sealed_size_bytes=sum(_sizes(root / "sealed")),
        bodies_size_bytes=sum(_sizes(root / "bodies")),
        waiting=max(0, len(segments) - 1),
    )


def _sizes(directory: Path) -> Iterator[int]:
    """Yield the size of every file below a directory."""
    try:
        entries = list(os.scandir(directory))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _sizes(Path(entry.path))
        elif not entry.name.startswith("."):
            try:
                yield entry.stat(follow_symlinks=False).st_size
            except FileNotFoundError:
                # Sealed or retired while this looked.
                continue
