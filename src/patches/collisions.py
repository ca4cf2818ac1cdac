"""Names that are different in a tree and one and the same on a file system that folds them.

In a tree they are fine. Written to such a file system, the second file would replace the first, or a file
would go through a symlink that has its directory's name in other letters.

See: CVE-2021-21300.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from patches.paths import folded_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Collision(NamedTuple):
    """Two paths of which a folding file system can hold only one."""

    path: bytes
    other: bytes


class _Name(NamedTuple):
    spelling: bytes
    path: bytes


def find_collisions(paths: Iterable[bytes]) -> Iterator[Collision]:
    """Yield the collisions among files, and of files with the directories of others.

    Two spellings of one directory are none: their files come together in it and lose nothing.
    """
    files: dict[bytes, _Name] = {}
    directories: dict[bytes, _Name] = {}
    for path in paths:
        fold = _fold(path)
        other = files.get(fold) or directories.get(fold)
        if other is not None and other.spelling != path:
            yield Collision(path, other.path)
        files.setdefault(fold, _Name(path, path))
        for parent, folded in zip(_parents(path), _parents(fold), strict=False):
            file = files.get(folded)
            if file is not None and file.spelling != parent:
                yield Collision(path, file.path)
            directories.setdefault(folded, _Name(parent, path))


def _parents(path: bytes) -> Iterator[bytes]:
    parent = path.rpartition(b"/")[0]
    while parent:
        yield parent
        parent = parent.rpartition(b"/")[0]


def _fold(path: bytes) -> bytes:
    """Return what the names have in common that some file system takes for the same."""
    if path.isascii():
        return path.lower()
    text = folded_name(path).decode("utf-8", "surrogateescape")
    return unicodedata.normalize("NFC", text.casefold()).encode("utf-8", "surrogateescape")
