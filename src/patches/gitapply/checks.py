"""Whether each file of a patch can be applied, in Git's order and with its words, and what it leaves there.

Nothing is written. Every file is checked, so that all refusals are said at once.

See: the section on ``--reject`` and ``--index`` of ``git-apply(1)``.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from patches.errors import UnsafePath
from patches.gitapply.gitcommands import GitFailed, IndexEntry
from patches.gitapply.parts import NO_MODE, Part
from patches.gitapply.refusals import Fatal, Refused
from patches.gitapply.targets import parents_of, tree_mode
from patches.model import MODE_FILE, MODE_GITLINK, MODE_SYMLINK
from patches.paths import check_path

if TYPE_CHECKING:
    from patches.gitapply.contents import Contents
    from patches.gitapply.targets import Files, Index
    from patches.gitapply.voice import Voice

_TYPE = 0o170000
_Gone: TypeAlias = Literal["leaving", "left"]


class Checks:
    """The checks of one patch. Later files of it see what earlier ones made of a path."""

    def __init__(
        self,
        parts: Sequence[Part],
        files: Files,
        index: Index | None,
        contents: Contents,
        voice: Voice,
        *,
        cached: bool,
        unsafe_paths: bool,
        merges: bool,
    ) -> None:
        self._parts = parts
        self._files = files
        self._index = index
        self._contents = contents
        self._voice = voice
        self._cached = cached
        self._unsafe_paths = unsafe_paths
        self._merges = merges
        self._states: dict[bytes, Part | _Gone] = {}
        self.symlinks = SymlinkChanges(parts, files, index)

    def run(self) -> bool:
        """Check every part and complete it; tell whether all can be applied.

        Raises:
            Fatal: a path leads where no patch may write.
        """
        for part in self._parts:
            if part.leaves and part.old_path is not None:
                # Two files may swap their names: what a later part removes is not in the way.
                self._states[part.old_path] = "leaving"
        fine = True
        for part in self._parts:
            self._voice.say_part("Checking patch ", part, "...")
            try:
                self._check(part)
            except Refused as refusal:
                if str(refusal):
                    self._voice.error(str(refusal))
                fine = False
        return fine

    def _check(self, part: Part) -> None:
        found, entry = self._check_preimage(part)
        self._check_place(part)
        _check_type_stays(part)
        if not self._unsafe_paths:
            _refuse_unsafe(part)
        if not part.deletes and part.new_path is not None and self.symlinks.lead_to(part.new_path):
            raise Refused(f"affected file '{_show(part.new_path)}' is beyond a symbolic link")
        name = _show(part.first_path)
        try:
            self._apply(part, found, entry)
        except Refused as refusal:
            if str(refusal):
                self._voice.error(str(refusal))
            raise Refused(f"{name}: patch does not apply") from refusal
        part.refused = False

    def _earlier(self, part: Part) -> Part | None:
        """Return the part that made the content of the old path before this one."""
        if part.old_path is None or part.renames or part.copies:
            return None
        state = self._states.get(part.old_path)
        if state == "left":
            raise Refused(f"path {_show(part.old_path)} has been renamed/deleted")
        return state if isinstance(state, Part) else None

    def _look(self, path: bytes) -> os.stat_result | None:
        try:
            return self._files.look(path)
        except OSError as error:
            raise Refused(f"{_show(path)}: {error.strerror}") from error

    def _check_preimage(self, part: Part) -> tuple[os.stat_result | None, IndexEntry | None]:
        """See that the old file is there; where a plain diff has nothing of it, it may be created instead."""
        path = part.old_path
        if path is None:
            return None, None
        earlier = self._earlier(part)
        if earlier is not None:
            _settle_modes(part, earlier.new_mode, self._voice)
            return None, None
        found = None if self._cached else self._look(path)
        entry = None
        if self._index is not None:
            entry = self._index.entries.get(path)
            if entry is None:
                return self._create_instead(part, f"{_show(path)}: does not exist in index")
            if not self._cached:
                found = self._matching_file(path, found)
        elif found is None:
            return self._create_instead(part, f"{_show(path)}: No such file or directory")
        _settle_modes(part, self._mode_there(part, found, entry), self._voice)
        return found, entry

    def _create_instead(self, part: Part, refusal: str) -> tuple[None, None]:
        if part.creates is not None:
            raise Refused(refusal)
        part.creates, part.deletes, part.old_path = True, False, None
        return None, None

    def _matching_file(self, path: bytes, found: os.stat_result | None) -> os.stat_result:
        """Return the status of a file that is as the index has it; a missing one is checked out."""
        index = self._index
        if index is None:
            raise RuntimeError("there is no index to match")
        if found is None:
            try:
                index.check_out(path)
            except GitFailed as failure:
                raise Refused(f"cannot checkout {_show(path)}") from failure
            found = self._look(path)
        if found is None:
            raise Refused(f"cannot checkout {_show(path)}")
        if not index.matches(path, found):
            raise Refused(f"{_show(path)}: does not match index")
        return found

    def _mode_there(self, part: Part, found: os.stat_result | None, entry: IndexEntry | None) -> int:
        if found is None:
            return entry.mode if entry is not None else NO_MODE
        mode = tree_mode(found.st_mode)
        if not stat.S_ISREG(found.st_mode) or self._files.trusts_mode:
            return mode
        if entry is not None:
            return entry.mode
        return part.old_mode or MODE_FILE

    def _check_place(self, part: Part) -> None:
        """See that what the part creates is not there yet."""
        path = part.new_path
        if path is None or not (part.creates or part.renames or part.copies):
            return
        may_exist = isinstance(self._states.get(path), str)
        refusal = self._occupied(path, may_exist=may_exist)
        if refusal is not None and not self._merges:
            raise Refused(f"{_show(path)}: {refusal}")
        part.merges_directly = refusal is not None
        if not part.new_mode:
            part.new_mode = MODE_FILE if part.creates else part.old_mode

    def _occupied(self, path: bytes, *, may_exist: bool) -> str | None:
        if self._index is not None and path in self._index.entries and not (may_exist and self._cached):
            intended = self._index.is_intended(path)
            if not may_exist and not intended:
                return "already exists in index"
            # The index has no content for it, so it cannot be what a file there holds.
            if intended and not self._cached:
                return "does not match index"
        if self._cached:
            return None
        try:
            found = self._files.look(path)
        except NotADirectoryError:
            return None
        except OSError as error:
            return str(error.strerror)
        if found is None or stat.S_ISDIR(found.st_mode) or may_exist or self._files.symlink_above(path):
            return None
        return "already exists in working directory"

    def _apply(self, part: Part, found: os.stat_result | None, entry: IndexEntry | None) -> None:
        earlier = self._earlier(part)
        before = earlier.content if earlier is not None else self._preimage(part, found, entry)
        self._contents.apply(part, before, self.current)
        if part.new_path is not None:
            self._states[part.new_path] = part
        if part.leaves and part.old_path is not None:
            self._states[part.old_path] = "left"
        if part.deletes and part.content:
            raise Refused("removal patch leaves file contents")

    def _preimage(self, part: Part, found: os.stat_result | None, entry: IndexEntry | None) -> bytes:
        path = part.old_path
        if path is None:
            return b""
        if self._index is None and part.old_mode == MODE_GITLINK:
            # What the submodule is at stands only in the index.
            part.hunks = ()
            return b""
        return self._content(path, found, entry, keeps_crlf=part.has_old_crlf)

    def _content(
        self, path: bytes, found: os.stat_result | None, entry: IndexEntry | None, *, keeps_crlf: bool
    ) -> bytes:
        content: bytes | None = None
        if self._index is not None:
            content = b"" if entry is None else self._index.read(entry)
        elif self._files.symlink_above(path):
            raise Refused(f"reading from '{_show(path)}' beyond a symbolic link")
        elif found is not None:
            try:
                content = self._files.read(path, found, keeps_crlf=keeps_crlf)
            except (OSError, GitFailed) as error:
                self._voice.error(f"unable to open or read {_show(path)}")
                raise Refused(f"failed to read {_show(path)}") from error
        if content is None:
            raise Refused(f"failed to read {_show(path)}")
        return content

    def current(self, part: Part) -> bytes:
        """Return what is at the path that a part would create: one side of their merge."""
        path = part.path
        entry = None if self._index is None else self._index.entries.get(path)
        if entry is None:
            raise Refused(f"{_show(path)}: does not exist in index")
        found = None if self._cached else self._matching_file(path, self._look(path))
        return self._content(path, found, entry, keeps_crlf=part.has_old_crlf)


class SymlinkChanges:
    """Which symlinks a patch removes, and which it makes or keeps: no file may be written through one."""

    def __init__(self, parts: Sequence[Part], files: Files, index: Index | None) -> None:
        self._files = files
        self._index = index
        self._removed = {part.old_path for part in parts if part.old_mode == MODE_SYMLINK and part.leaves}
        self._kept = {part.new_path for part in parts if part.new_mode == MODE_SYMLINK}

    def lead_to(self, path: bytes) -> bool:
        """Tell whether a directory on the way to ``path`` is, or will be, a symlink."""
        return any(map(self._is_symlink, parents_of(path)))

    def _is_symlink(self, directory: bytes) -> bool:
        if directory in self._kept:
            return True
        if directory in self._removed:
            return False
        if self._index is not None:
            entry = self._index.entries.get(directory)
            return entry is not None and entry.mode == MODE_SYMLINK
        return self._files.is_symlink(directory)


def _settle_modes(part: Part, mode: int, voice: Voice) -> None:
    """Complete the modes of a file that is there, with ``mode``."""
    path = _show(part.old_path or b"")
    if part.creates is None:
        part.creates = False
    part.old_mode = part.old_mode or mode
    if (mode ^ part.old_mode) & _TYPE:
        raise Refused(f"{path}: wrong type")
    if mode != part.old_mode:
        voice.warn(f"{path} has type {mode:o}, expected {part.old_mode:o}")
    if not part.new_mode and not part.deletes:
        part.new_mode = mode


def _check_type_stays(part: Part) -> None:
    if part.new_path is None or part.old_path is None:
        return
    part.new_mode = part.new_mode or part.old_mode
    if (part.old_mode ^ part.new_mode) & _TYPE:
        names = f"({part.new_mode:o}) of {_show(part.new_path)}"
        text = f"new mode {names} does not match old mode ({part.old_mode:o})"
        raise Refused(text if part.old_path == part.new_path else f"{text} of {_show(part.old_path)}")


def _refuse_unsafe(part: Part) -> None:
    """Refuse a path outside, or in the repository itself, before anything is read or written there."""
    sides = [(part.new_path, part.new_mode)]
    if part.deletes or not (part.creates or part.copies):
        sides.insert(0, (part.old_path, part.old_mode))
    for path, mode in sides:
        if path is None or (path == part.new_path and part.deletes and path != part.old_path):
            continue
        try:
            check_path(path, symlink=mode == MODE_SYMLINK)
        except UnsafePath as error:
            raise Fatal(f"invalid path '{_show(path)}'") from error


def _show(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
