"""What a patch's ``index`` lines say about its readings: the ids of a file before and after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from patches.oids import hash_blob
from patches.parse import parse_patch

if TYPE_CHECKING:
    from patches.dialects.model import Reader
    from patches.dialects.trial import State
    from patches.options import ApplyOptions

_SHORTEST = 7
"""Digits of an id that tell: fewer may agree by chance."""


def is_attested(data: bytes, states: dict[bytes, State], read: Reader, options: ApplyOptions) -> bool | None:
    """Tell whether a reading makes of the files what their ``index`` lines name.

    Args:
        data: the patch, as it is read.
        states: what it makes of each path.
        read: content of a path before it.
        options: how it is read.

    Returns:
        True where every file's id agrees, False where one does not although the file is the one that the
        patch was made from; None where there is nothing to hold it against.
    """
    attested = True
    for file in parse_patch(data, options).files:
        path = file.new_path
        if path is None:
            continue
        content = states[path][0]
        before = b"" if file.old_path is None else read(file.old_path)
        if content is None or before is None or not file.hunks:
            attested = attested and not file.hunks
        elif len(file.new_oid) < _SHORTEST:
            attested = False
        elif _is_named(content, file.new_oid):
            continue
        elif file.old_path is None or _is_named(before, file.old_oid):
            return False
        else:
            attested = False
    return True if attested else None


def _is_named(content: bytes, prefix: bytes) -> bool:
    return len(prefix) >= _SHORTEST and hash_blob(content).hex().encode().startswith(prefix)
