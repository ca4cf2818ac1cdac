"""The index of ``--build-fake-ancestor``: the blobs that the patch was made from, under their names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from patches.gitapply import gitcommands
from patches.gitapply.gitcommands import Blobs, IndexEntry, IndexUpdate
from patches.gitapply.refusals import Fatal
from patches.model import MODE_FILE, MODE_GITLINK

if TYPE_CHECKING:
    from patches.gitapply.parts import Part

_SUBMODULE_LINE = b"Subproject commit "


def write_fake_ancestor(parts: Sequence[Part], name: str) -> None:
    """Write an index file that has only what the patch was made from.

    Raises:
        Fatal: the patch does not say which blob a file was, or the repository does not have it.
        GitFailed: the file cannot be written.
    """
    blobs = Blobs()
    try:
        updates = [_update(part, blobs) for part in parts if not part.creates]
    finally:
        blobs.close()
    gitcommands.write_index(updates, index_file=str(Path(name).absolute()))


def _update(part: Part, blobs: Blobs) -> IndexUpdate:
    path, mode = part.first_path, part.old_mode or MODE_FILE
    return IndexUpdate(path, {0: IndexEntry(mode, _oid(part, path, mode, blobs))})


def _oid(part: Part, path: bytes, mode: int, blobs: Blobs) -> bytes:
    shown = os.fsdecode(path)
    if mode == MODE_GITLINK:
        return _submodule_oid(part, shown)
    found = blobs.find(part.file.old_oid)
    if found is not None:
        return found[0]
    if part.added or part.removed:
        raise Fatal(f"sha1 information is lacking or useless ({shown}).")
    entry = gitcommands.read_index().get(path)
    if entry is None:
        raise Fatal(f"mode change for {shown}, which is not in current HEAD")
    return entry.oid


def _submodule_oid(part: Part, shown: str) -> bytes:
    """Return the commit that the hunk names, or else the full oid of the index line."""
    old = part.file.old_oid
    hunks = part.file.hunks
    if len(hunks) == 1 and hunks[0].old.startswith(_SUBMODULE_LINE):
        oid = hunks[0].old.removeprefix(_SUBMODULE_LINE).strip()
        if oid.startswith(old):
            return oid
    if len(old) < 40 or old.strip(b"0123456789abcdef"):
        raise Fatal(f"sha1 information is lacking or useless for submodule {shown}")
    return old
