"""What a patch would make of a tree: every check that can refuse it, and no change to the tree.

The rules are those of ``git apply --cached``. Parts of one patch see each other as there: a part
reads what an earlier part left, but renames and copies read the tree as it was, so that
two files can swap their names.

See: ``check_patch_list`` in Git's ``apply.c``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from patches.binary import BinaryDamage, apply_delta
from patches.errors import (
    AlreadyExists,
    ContentMismatch,
    ContradictoryNames,
    MissingBinary,
    MissingFile,
    OverlappingParts,
    UnsafePath,
    WrongMode,
)
from patches.locate import apply_hunks
from patches.model import (
    MODE_EXECUTABLE,
    MODE_FILE,
    MODE_GITLINK,
    MODE_SYMLINK,
    BinaryDelta,
    Entry,
    FileChange,
    FilePatch,
    Oid,
    Patch,
)
from patches.objects import Objects
from patches.oids import hash_blob
from patches.options import DEFAULTS, ApplyOptions
from patches.paths import check_path
from patches.whitespace import DEFAULT_RULE, WhitespaceRule, adapted_rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from patches.tree import Tree

_TYPE = 0o170000
_REGULAR = 0o100000
_GITLINK_TEXT = b"Subproject commit "
_NO_OID = b"0" * 40
_EMPTY_BLOB: Oid = bytes.fromhex("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")


Rules: TypeAlias = "Callable[[bytes], WhitespaceRule]"
"""What counts as a whitespace error under a path."""


class _Side(NamedTuple):
    """A file on its way: its mode, and its oid or its content, whichever is known so far."""

    mode: int
    oid: Oid | None
    content: bytes | None


class _Part(NamedTuple):
    """What one part of the patch did to one path: ``side`` is None where it removed it."""

    side: _Side | None
    source: bytes | None
    added: int
    removed: int


class ContentMerge(Protocol):
    """Gets to merge each file before its hunks are put where they fit."""

    def merge(
        self, file: FilePatch, mode: int, ours: bytes, patched: Callable[[bytes], bytes]
    ) -> bytes | None:
        """Return the content of ``file`` after its part of the patch; None leaves it to the hunks.

        Args:
            file: The part: a change with hunks or binary content, or an ``add`` of what exists.
            mode: Mode of the result.
            ours: The present content.
            patched: What the part makes of another content; raises ``PatchError`` where it does not fit.
        """
        ...


def plan_patch(
    tree: Tree,
    patch: Patch,
    options: ApplyOptions = DEFAULTS,
    *,
    rules: Rules | None = None,
    merge: ContentMerge | None = None,
) -> tuple[FileChange, ...]:
    """Return what ``patch`` does to each path of ``tree``.

    The tree is unchanged. The new blobs are in ``tree.objects``; a refused patch adds none.

    Args:
        tree: what it is applied to.
        patch: as ``parse_patch`` gives it under the same ``options``.
        options: where hunks may go and what becomes of whitespace errors; the rest was done in parsing.
        rules: what counts as a whitespace error under a path; Git's default where there is none.
        merge: gets to merge each file first.

    Raises:
        HunkMismatch: a hunk's lines are nowhere in the file.
        AmbiguousHunk: they are not where its header says, and at several other places.
        WhitespaceRefused: it adds whitespace errors that ``options`` do not let pass.
        ContentMismatch: a binary file or a deleted file is not what the patch was made from.
        MissingFile: a file to change is not there.
        ContradictoryNames: the patch names two files that exist, and does not say which it is for.
        AlreadyExists: a file to create is there already, or a directory is in its place.
        WrongMode: a file has another type than the patch says, or would get an impossible mode.
        UnsafePath: a path leads outside, into ``.git`` or through something that is no directory.
        MissingBinary: the patch does not carry a binary file's content.
        OverlappingParts: the outcome would depend on the order of the patch's parts.
        MissingObject: the repository is incomplete.
    """
    return _Plan(tree, patch, options, rules, merge).changes()


def gitlink_text(oid: Oid) -> bytes:
    """Return a submodule entry as the one line of text that patches show for it."""
    return b"%s%s\n" % (_GITLINK_TEXT, oid.hex().encode())


class _Plan:
    """One patch against one tree. ``_parts`` holds the last state of every path that was touched."""

    def __init__(
        self, tree: Tree, patch: Patch, options: ApplyOptions, rules: Rules | None, merge: ContentMerge | None
    ) -> None:
        self._tree = tree
        self._options = options
        self._rules = rules
        self._merge = merge
        self._objects: Objects = tree.objects
        self._files = patch.files
        self._parts: dict[bytes, _Part] = {}
        # Paths that some part deletes or renames away: until that part's turn they may be overwritten.
        self._leaving = {file.old_path for file in patch.files if file.operation in ("delete", "rename")}
        self._undone_copies: list[tuple[bytes, bytes, Oid]] = []

    def changes(self) -> tuple[FileChange, ...]:
        """Plan every part, check the outcome as a whole, and only then add the new blobs."""
        for file in self._files:
            self._plan_file(file)
        self._check_places()
        self._check_undone_copies()
        return tuple(self._collect())

    def _plan_file(self, file: FilePatch) -> None:
        path = file.new_path or file.old_path or b""
        old = self._preimage(file)
        self._refuse_two_files(file)
        if old is None or file.operation in ("rename", "copy"):
            self._check_free(path)
        mode = self._new_mode(file, old)
        if file.old_path is not None and file.operation in ("delete", "rename"):
            self._check_may_leave(file.old_path, renamed=file.operation == "rename")
        if file.operation == "delete" and old is not None:
            check_path(path)
            self._remove(file, path, old)
            return
        check_path(path, symlink=mode == MODE_SYMLINK)
        side = _Side(mode, *self._outcome(file, path, old, mode))
        if mode & _TYPE == MODE_GITLINK and side.content is not None:
            side = _Side(mode, _parse_gitlink(path, side.content), None)
        if file.old_path is not None and (file.operation == "rename" or _is_unnamed_rename(file)):
            check_path(file.old_path)
            left = self._parts.get(file.old_path)
            if file.old_path != path and (left is None or left.side is None):
                self._put(file.old_path, None, None, file)
        self._put(path, side, file.old_path if file.operation in ("rename", "copy") else None, file)

    def _refuse_two_files(self, file: FilePatch) -> None:
        """Refuse a plain diff whose two lines name two files that exist: Git changes the second."""
        if file.other_path is None or file.new_path is None or self._options.lenient:
            return
        if None not in (self._tree.entry(file.other_path), self._tree.entry(file.new_path)):
            raise ContradictoryNames(file.new_path, file.other_path)

    def _put(self, path: bytes, side: _Side | None, source: bytes | None, file: FilePatch) -> None:
        """Record what happened to a path; line counts of its parts add up."""
        before = self._parts.get(path)
        added, removed = (before.added, before.removed) if before else (0, 0)
        if source is None and before is not None and side is not None and before.side is not None:
            source = before.source
        if path == (file.new_path or file.old_path):
            added += sum(hunk.added for hunk in file.hunks)
            removed += sum(hunk.removed for hunk in file.hunks)
        self._parts[path] = _Part(side, source, added, removed)

    def _remove(self, file: FilePatch, path: bytes, old: _Side) -> None:
        if file.copied_from is not None:
            oid, content = self._postimage(file, path, old)
            self._undone_copies.append((path, file.copied_from, oid or hash_blob(content or b"")))
        elif not self._is_whole(file, old):
            oid, content = self._postimage(file, path, old)
            if content or (content is None and oid != _EMPTY_BLOB):
                raise ContentMismatch(path, "is deleted, but the patch does not remove all of its content")
        self._put(path, None, None, file)

    def _is_whole(self, file: FilePatch, old: _Side) -> bool:
        """Tell whether the only hunk removes exactly the content that the tree names: it need not be read."""
        return (
            len(file.hunks) == 1
            and old.oid is not None
            and old.mode != MODE_GITLINK
            and not file.hunks[0].new
            and hash_blob(file.hunks[0].old) == old.oid
        )

    def _preimage(self, file: FilePatch) -> _Side | None:
        """Return what a part starts from; None where it creates a file."""
        path = file.old_path
        if path is None:
            return self._same_addition(file)
        part = self._parts.get(path) if file.operation not in ("rename", "copy") else None
        if part is not None:
            if part.side is None:
                raise MissingFile(path, "is renamed or deleted by an earlier part of the patch")
            return part.side
        entry = self._tree.entry(path)
        if entry is None:
            if (
                file.plain
                and file.operation == "modify"
                and len(file.hunks) == 1
                and not file.hunks[0].old_count
            ):
                return None
            raise MissingFile(path)
        return _Side(entry.mode, entry.oid, None)

    def _same_addition(self, file: FilePatch) -> _Side | None:
        """Return the file that stands where a part creates one, if the two may be merged."""
        path = file.new_path or b""
        if self._merge is None or path in self._parts or path in self._leaving:
            return None
        entry = self._tree.entry(path)
        return None if entry is None else _Side(entry.mode, entry.oid, None)

    def _new_mode(self, file: FilePatch, old: _Side | None) -> int:
        """Return the mode after the part, with the types of both sides checked."""
        path = file.old_path or file.new_path or b""
        if old is None:
            return _checked_mode(path, file.new_mode or MODE_FILE)
        stated = file.old_mode or old.mode
        if (stated ^ old.mode) & _TYPE:
            raise WrongMode(path, f"is {_describe(old.mode)}, the patch is for {_describe(stated)}")
        mode = _checked_mode(path, file.new_mode or old.mode)
        if (mode ^ old.mode) & _TYPE:
            raise WrongMode(path, f"is {_describe(old.mode)} and cannot become {_describe(mode)} in one step")
        return mode

    def _check_free(self, path: bytes) -> None:
        """Refuse to create what exists, unless another part of the patch removes it."""
        part = self._parts.get(path)
        if part is not None and part.side is not None:
            raise AlreadyExists(path, "is created twice by the patch")
        if part is None and path not in self._leaving and self._tree.entry(path) is not None:
            raise AlreadyExists(path)

    def _check_may_leave(self, path: bytes, *, renamed: bool) -> None:
        """Refuse to remove what an earlier part put there: Git writes last, and would bring it back.

        A path that another file was renamed or copied to may still be renamed away: that is a swap.
        """
        part = self._parts.get(path)
        if part is not None and part.side is not None and not (renamed and part.source is not None):
            raise OverlappingParts(
                path,
                "is changed by one part of the patch and removed by a later one: apply them in turn",
            )

    def _outcome(
        self, file: FilePatch, path: bytes, old: _Side | None, mode: int
    ) -> tuple[Oid | None, bytes | None]:
        """Return oid or content after the part, merged where the plan merges."""
        if self._merge is None or old is None or mode == MODE_GITLINK:
            return self._postimage(file, path, old)

        def patched(base: bytes) -> bytes:
            side = None if file.operation == "add" else _Side(mode, None, base)
            oid, content = self._postimage(file, path, side)
            return self._content(_Side(mode, oid, content))

        merged = self._merge.merge(file, mode, self._content(old), patched)
        if merged is None and file.operation == "add":
            raise AlreadyExists(path)
        return self._postimage(file, path, old) if merged is None else (None, merged)

    def _postimage(self, file: FilePatch, path: bytes, old: _Side | None) -> tuple[Oid | None, bytes | None]:
        """Return oid or content after the part: the oid alone where the content stays."""
        if file.binary:
            return self._binary_postimage(file, path, old)
        if not file.hunks:
            self._refuse_lost_content(file, path, old)
            return (None, b"") if old is None else (old.oid, old.content)
        content = b"" if old is None else self._content(old)
        return None, apply_hunks(
            file.old_path or path, content, file.hunks, self._options, self._rule(file, path)
        )

    def _refuse_lost_content(self, file: FilePatch, path: bytes, old: _Side | None) -> None:
        """Refuse a part without hunks whose index line says that the content changes.

        It was cut off, or written without them (``--irreversible-delete``): Git leaves an empty file, or
        renames the old content.
        """
        if self._options.lenient or not file.new_oid or file.operation == "delete":
            return
        before = _EMPTY_BLOB.hex().encode() if old is None else file.old_oid
        if not (before.startswith(file.new_oid) or file.new_oid.startswith(before)):
            raise ContentMismatch(path, "the patch states new content and does not carry it: is it cut off?")

    def _rule(self, file: FilePatch, path: bytes) -> WhitespaceRule:
        if self._options.whitespace in ("nowarn", "warn"):
            return DEFAULT_RULE
        return adapted_rule(file, DEFAULT_RULE if self._rules is None else self._rules(path))

    def _content(self, side: _Side) -> bytes:
        if side.content is not None:
            return side.content
        if side.oid is None:
            raise RuntimeError("a file with neither oid nor content")
        return gitlink_text(side.oid) if side.mode == MODE_GITLINK else self._objects.read_blob(side.oid)

    def _binary_postimage(
        self, file: FilePatch, path: bytes, old: _Side | None
    ) -> tuple[Oid | None, bytes | None]:
        old_oid, new_oid = _full_oid(path, file.old_oid), _full_oid(path, file.new_oid)
        if old is not None:
            have = old.oid or hash_blob(self._content(old))
            if have != old_oid:
                raise ContentMismatch(
                    path, f"the binary patch was made from {file.old_oid.decode()}, the file is {have.hex()}"
                )
        if file.new_oid == _NO_OID:
            return None, b""
        if file.forward is None:
            if not self._objects.has_blob(new_oid):
                raise MissingBinary(
                    path, "the patch does not carry the binary content (see git diff --binary)"
                )
            return new_oid, None
        content = self._apply_binary(file.forward, path, old)
        if hash_blob(content) != new_oid:
            raise ContentMismatch(path, "the binary patch gives other content than its index line states")
        return None, content

    def _apply_binary(self, forward: BinaryDelta, path: bytes, old: _Side | None) -> bytes:
        if forward.kind == "literal":
            return forward.data
        try:
            return apply_delta(b"" if old is None else self._content(old), forward.data)
        except BinaryDamage as damage:
            raise ContentMismatch(path, f"the binary patch does not apply: {damage}") from damage

    def _final(self, path: bytes) -> _Side | None:
        """Return a path's state after all parts."""
        part = self._parts.get(path)
        if part is not None:
            return part.side
        entry = self._tree.entry(path)
        return None if entry is None else _Side(entry.mode, entry.oid, None)

    def _check_places(self) -> None:
        """Refuse paths that did not exist before and have no place in the resulting tree."""
        for path, part in self._parts.items():
            if part.side is None or self._tree.entry(path) is not None:
                continue
            parent = path.rpartition(b"/")[0]
            while parent:
                blocker = self._final(parent)
                if blocker is not None:
                    raise UnsafePath(path, f"its parent is {_describe(blocker.mode)}")
                parent = parent.rpartition(b"/")[0]
            if any(self._final(inner) is not None for inner, _ in self._tree.entries(path)):
                raise AlreadyExists(path, "a directory is in its place")

    def _check_undone_copies(self) -> None:
        for path, source, oid in self._undone_copies:
            side = self._final(source)
            if side is None or (side.oid or hash_blob(self._content(side))) != oid:
                raise ContentMismatch(path, "is no longer the copy that the patch made")

    def _collect(self) -> list[FileChange]:
        """Return the net changes. The blobs are added here, when nothing can be refused any more."""
        changes: list[FileChange] = []
        renamed: set[bytes] = set()
        for path, part in self._parts.items():
            old, new = self._tree.entry(path), self._entry(part.side)
            source = part.source
            if old == new:
                continue
            if old is None and source is not None:
                operation = "copy"
                if source not in renamed and self._final(source) is None:
                    operation = "rename"
                    renamed.add(source)
                old = self._tree.entry(source)
            else:
                operation = "add" if old is None else "delete" if new is None else "modify"
                source = None
            changes.append(FileChange(path, operation, old, new, source, part.added, part.removed))
        return [change for change in changes if change.operation != "delete" or change.path not in renamed]

    def _entry(self, side: _Side | None) -> Entry | None:
        if side is None:
            return None
        if side.oid is not None:
            return Entry(side.mode, side.oid)
        return Entry(side.mode, self._objects.add_blob(self._content(side)))


def _is_unnamed_rename(file: FilePatch) -> bool:
    """Tell whether the two names of a change differ though no line says that it is a rename."""
    return file.operation == "modify" and file.new_path is not None and file.new_path != file.old_path


def _checked_mode(path: bytes, mode: int) -> int:
    """Return the mode that Git stores for a stated one."""
    if mode & _TYPE == _REGULAR:
        return MODE_EXECUTABLE if mode & 0o100 else MODE_FILE
    if mode not in (MODE_SYMLINK, MODE_GITLINK):
        raise WrongMode(path, f"no file can have the mode {mode:06o}")
    return mode


def _describe(mode: int) -> str:
    kinds = {_REGULAR: "a file", MODE_SYMLINK: "a symlink", MODE_GITLINK: "a submodule"}
    return kinds.get(mode & _TYPE, f"of mode {mode:06o}")


def _parse_gitlink(path: bytes, text: bytes) -> Oid:
    start = len(_GITLINK_TEXT)
    digits = text[start : start + 40]
    if not text.startswith(_GITLINK_TEXT) or len(digits) != 40 or digits.strip(b"0123456789abcdefABCDEF"):
        raise ContentMismatch(path, "the patch leaves no 'Subproject commit' line for this submodule")
    return bytes.fromhex(digits.decode())


def _full_oid(path: bytes, digits: bytes) -> Oid:
    if len(digits) != 40 or digits.strip(b"0123456789abcdef"):
        raise MissingBinary(path, "a binary patch needs full object ids (see git diff --full-index)")
    return bytes.fromhex(digits.decode())
