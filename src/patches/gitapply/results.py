"""What the checks worked out, written: removals first, then new content, then the hunks that did not fit."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from patches.gitapply import gitcommands
from patches.gitapply.checks import SymlinkChanges
from patches.gitapply.gitcommands import IndexEntry
from patches.gitapply.refusals import Fatal
from patches.gitapply.rejects import write_rejects
from patches.gitapply.targets import parents_of
from patches.model import MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK, MODE_SYMLINK

if TYPE_CHECKING:
    from patches.gitapply.hunktexts import HunkTexts
    from patches.gitapply.parts import Part
    from patches.gitapply.targets import Files, Index
    from patches.gitapply.voice import Voice

_TYPE = 0o170000


class Results:
    """Writes the parts of one patch into the work tree, the index, or both.

    A failure on the way leaves what was written until then, as Git's own command does.
    """

    def __init__(
        self,
        files: Files | None,
        index: Index | None,
        symlinks: SymlinkChanges,
        voice: Voice,
        *,
        intends: bool,
    ) -> None:
        self._files = files
        self._index = index
        self._symlinks = symlinks
        self._voice = voice
        self._intends = intends
        self._intended: list[bytes] = []
        self._conflicts: list[bytes] = []

    def write(self, parts: Sequence[Part], texts: HunkTexts) -> bool:
        """Write all parts that were not refused; tell whether everything was applied without a remark.

        Raises:
            Fatal: something cannot be written.
        """
        going = [part for part in parts if not part.refused]
        for part in going:
            if not (part.creates or part.copies):
                self._remove(part)
        fine = len(going) == len(parts)
        for part in going:
            if not part.deletes:
                self._create(part)
            fine &= write_rejects(part, texts, self._voice) and part.stages is None
        self._enter_into_index(going)
        self._conflicts = sorted(part.path for part in going if part.stages is not None)
        for path in self._conflicts:
            self._voice.say(b"U " + path)
        return fine

    def _remove(self, part: Part) -> None:
        path = part.old_path
        if path is None:
            return
        if self._index is not None:
            self._index.put(path, {})
        if self._files is None:
            return
        try:
            if part.old_mode & _TYPE == MODE_GITLINK:
                os.rmdir(path)
            else:
                os.unlink(path)
        except FileNotFoundError:
            return
        except OSError as error:
            call = "rmdir" if part.old_mode == MODE_GITLINK else "unlink"
            self._voice.warn(f"unable to {call} '{os.fsdecode(path)}': {error.strerror}")
            return
        if part.leaves:
            _remove_empty_parents(path)

    def _create(self, part: Part) -> None:
        path = part.new_path
        if path is None or self._files is None:
            return
        # A symlink that an earlier part of this patch made is there only now.
        if self._symlinks.lead_to(path):
            raise Fatal(f"affected file '{os.fsdecode(path)}' is beyond a symbolic link")
        mode = part.new_mode or MODE_FILE
        try:
            _make_room(path)
            self._write_file(path, mode, part.content)
        except OSError as error:
            raise Fatal(
                f"unable to write file '{os.fsdecode(path)}' mode {mode:o}: {error.strerror}"
            ) from error

    def _write_file(self, path: bytes, mode: int, content: bytes) -> None:
        files = self._files
        if files is None:
            return
        if mode & _TYPE == MODE_GITLINK:
            with suppress(FileExistsError):
                os.mkdir(path)
        elif mode & _TYPE == MODE_SYMLINK and files.has_symlinks:
            os.symlink(content.partition(b"\0")[0], path)
        else:
            content = files.converted(path, content)
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
            fd = os.open(path, flags, 0o777 if mode & 0o100 else 0o666)
            with open(fd, "wb") as file:
                file.write(content)

    def _enter_into_index(self, parts: Sequence[Part]) -> None:
        if self._intends:
            self._intended.extend(part.path for part in parts if part.creates)
            return
        index = self._index
        if index is None:
            return
        written = [part for part in parts if not part.deletes]
        whole = [part for part in written if part.stages is None and _index_mode(part) != MODE_GITLINK]
        oids = dict(
            zip(map(id, whole), gitcommands.write_blobs([part.content for part in whole]), strict=True)
        )
        for part in written:
            mode = _index_mode(part)
            if part.stages is not None:
                stages = {n: IndexEntry(mode, oid) for n, oid in enumerate(part.stages, 1) if oid is not None}
            else:
                stages = {0: IndexEntry(mode, oids[id(part)] if id(part) in oids else _submodule_oid(part))}
            index.put(part.path, stages)

    def finish(self) -> None:
        """Write the index, once for all patches.

        Raises:
            GitFailed: Git cannot.
        """
        if self._intended:
            gitcommands.intend_to_add(self._intended)
        elif self._index is not None:
            self._index.write()
        if self._conflicts and self._files is not None:
            gitcommands.record_conflicts()


def _index_mode(part: Part) -> int:
    mode = part.new_mode or MODE_FILE
    if mode & _TYPE in (MODE_GITLINK, MODE_SYMLINK):
        return mode & _TYPE
    return MODE_EXECUTABLE if mode & 0o100 else MODE_FILE


def _submodule_oid(part: Part) -> bytes:
    words = part.content.split()
    if words[:2] != [b"Subproject", b"commit"] or len(words) != 3:
        raise Fatal(f"corrupt patch for submodule {os.fsdecode(part.path)}")
    return words[2]


def _make_room(path: bytes) -> None:
    """Make the directories above ``path``, and take away what the new file replaces."""
    directory = os.path.dirname(path)
    if directory:
        os.makedirs(directory, exist_ok=True)
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(found.st_mode):
        with suppress(OSError):
            os.rmdir(path)
        return
    os.unlink(path)


def _remove_empty_parents(path: bytes) -> None:
    """Remove the directories that the removed file leaves empty, but for the one that we stand in."""
    for directory in parents_of(path):
        try:
            os.rmdir(directory)
        except OSError as error:
            if error.errno != errno.ENOENT:
                return
