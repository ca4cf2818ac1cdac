"""A patch tried on the tree without building one: what each path would become."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from patches.errors import MissingFile
from patches.locate import apply_hunks
from patches.options import DEFAULTS, ApplyOptions
from patches.parse import parse_patch

if TYPE_CHECKING:
    from patches.dialects.model import Reader
    from patches.model import FilePatch

State: TypeAlias = tuple[bytes | None, int | None, bytes]
"""Content (None where the path is gone), the mode that the patch states, and the id of binary content."""


def try_patch(data: bytes, read: Reader, options: ApplyOptions = DEFAULTS) -> dict[bytes, State]:
    """Return what the strict engine would make of every path that the patch names.

    Modes and binary content are taken as stated: they make two readings of a text differ, and
    whether they fit is the engine's to judge.

    Raises:
        PatchError: the text is no patch, or a hunk is nowhere in its file.
    """
    states: dict[bytes, State] = {}
    for file in parse_patch(data, options).files:
        old = _before(file, states, read)
        content = apply_hunks(file.old_path or b"", old, file.hunks) if file.hunks else old
        if file.operation == "rename" and file.old_path is not None:
            states[file.old_path] = (None, None, b"")
        if file.new_path is None:
            states[file.old_path or b""] = (None, file.old_mode, file.old_oid)
        else:
            mode = file.old_mode if file.new_mode is None else file.new_mode
            states[file.new_path] = (content, mode, file.new_oid if file.binary else b"")
    return states


def _before(file: FilePatch, states: dict[bytes, State], read: Reader) -> bytes:
    path = file.old_path
    if path is None:
        return b""
    content = states[path][0] if path in states else read(path)
    if content is None:
        if file.plain and file.operation == "modify" and len(file.hunks) == 1 and not file.hunks[0].old_count:
            return b""
        # A submodule has no content to read, and its text is the engine's to judge.
        if _GITLINK in (file.old_mode, file.new_mode):
            return file.hunks[0].old if file.hunks else b""
        raise MissingFile(path)
    return content


_GITLINK = 0o160000
