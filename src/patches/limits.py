"""How large a patch and what it makes may be: a text of a kilobyte must not take a gigabyte of memory.

The bound on text is Git's own, so that a patch that Git takes is not refused for its size. What is
inflated has no bound in Git.
"""

from __future__ import annotations

from patches.errors import PatchTooLarge

MAX_PATCH_BYTES = (1 << 30) - (1 << 20)
"""A patch is smaller than this. See: ``MAX_APPLY_SIZE`` in Git's ``apply.c``."""

MAX_BINARY_BYTES = 1 << 30
"""A binary file that a patch carries is not larger than this."""

_MAX_EXPANSION = 1000
_ALWAYS_ALLOWED_BYTES = 16 << 20


def check_patch_size(size_bytes: int) -> None:
    """Refuse a patch that is too large to be read.

    Raises:
        PatchTooLarge: it is.
    """
    if size_bytes >= MAX_PATCH_BYTES:
        raise PatchTooLarge("the patch", size_bytes, MAX_PATCH_BYTES - 1)


def check_binary_size(size_bytes: int) -> None:
    """Refuse binary content by the size that the patch states, before it is inflated.

    Raises:
        PatchTooLarge: it states too much.
    """
    if size_bytes > MAX_BINARY_BYTES:
        raise PatchTooLarge("the content of a binary patch", size_bytes, MAX_BINARY_BYTES)


def check_expansion(size_bytes: int, given_bytes: int) -> None:
    """Refuse a delta that makes a thousandfold of the file and the delta together.

    Up to 16 MiB it may: a small file of zeros that has grown a little is nothing bad.

    Raises:
        PatchTooLarge: it does, or the result is too large anyhow.
    """
    check_binary_size(size_bytes)
    limit = max(given_bytes * _MAX_EXPANSION, _ALWAYS_ALLOWED_BYTES)
    if size_bytes > limit:
        raise PatchTooLarge("the result of a binary delta", size_bytes, limit)
