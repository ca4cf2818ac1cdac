"""Names of Git objects: the SHA-1 of an object's header and content."""

from __future__ import annotations

from hashlib import sha1
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from patches.model import Oid

EMPTY_TREE: Oid = bytes.fromhex("4b825dc642cb6eb9a060e54bf8d69288fbee4904")


def hash_blob(data: bytes) -> Oid:
    """Return the oid of the blob with this content."""
    digest = sha1(b"blob %d\0" % len(data), usedforsecurity=False)
    digest.update(data)
    return digest.digest()


def hash_tree(data: bytes) -> Oid:
    """Return the oid of the tree with this encoding."""
    return sha1(b"tree %d\0" % len(data) + data, usedforsecurity=False).digest()
