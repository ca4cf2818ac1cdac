"""The values of the patch engine: tree entries, parsed patches, and what a patch did to each file.

Object ids are the 20 raw bytes of a SHA-1 and paths are bytes, exactly as Git stores
them: no encoding is guessed anywhere between the patch and the tree.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct

Oid: TypeAlias = bytes

MODE_TREE = 0o040000
MODE_FILE = 0o100644
MODE_EXECUTABLE = 0o100755
MODE_SYMLINK = 0o120000
MODE_GITLINK = 0o160000
ENTRY_MODES = frozenset({MODE_FILE, MODE_EXECUTABLE, MODE_SYMLINK, MODE_GITLINK})

Operation: TypeAlias = Literal["add", "modify", "delete", "rename", "copy"]
"""What a patch does to one path. A change of mode or type alone is ``modify``."""


class Entry(NamedTuple):
    """One leaf of a tree: a file, a symlink or a submodule."""

    mode: int
    oid: Oid


class Hunk(Struct, frozen=True, gc=False):
    r"""One ``@@`` block, as the bytes that it replaces and the bytes that it puts there.

    A hunk never ends inside a line, except where ``\\ No newline at end of file`` says that the
    file does. Swapping ``old`` and ``new`` is the inverse.
    """

    old_start: int
    old_count: int
    new_start: int
    new_count: int
    old: bytes
    """The preimage: context and removed lines."""
    new: bytes
    """The postimage: context and added lines."""
    added: int
    removed: int
    ends_in_context: bool
    """False where no context follows the last change: the hunk then belongs at the end of the file."""
    at_line: int
    """Line of the ``@@`` header in the patch, from 1."""
    marks: bytes
    """What each of its lines is, in order: ``' '``, ``'-'`` or ``'+'``."""


class BinaryDelta(Struct, frozen=True, gc=False):
    """One half of a ``GIT binary patch``: the inflated bytes of a ``literal`` or a ``delta``."""

    kind: Literal["literal", "delta"]
    data: bytes
    at_line: int


class FilePatch(Struct, frozen=True, gc=False, kw_only=True):
    """What a patch says about one file, before it meets a tree.

    ``old_path`` is None for an added file and ``new_path`` for a deleted one. Modes are None
    where the patch does not state them. ``old_oid`` and ``new_oid`` are the hexadecimal
    prefixes of the ``index`` line (empty where it is missing).
    """

    operation: Operation
    old_path: bytes | None
    new_path: bytes | None
    old_mode: int | None = None
    new_mode: int | None = None
    old_oid: bytes = b""
    new_oid: bytes = b""
    hunks: tuple[Hunk, ...] = ()
    binary: bool = False
    """The content is binary: ``forward`` and ``backward`` hold it, or it is missing from the patch."""
    forward: BinaryDelta | None = None
    backward: BinaryDelta | None = None
    plain: bool = False
    """No ``diff --git`` header: only the tree can tell an added file from an empty one that is filled."""
    score: int = 0
    """Per cent of the similarity of a rename or copy, or of the dissimilarity of a rewrite, as stated."""
    other_path: bytes | None = None
    """The name on the other line of a plain diff whose two lines name different files."""
    copied_from: bytes | None = None
    """Set on the inverse of a copy, a ``delete``: taking the hunks back must leave this path's content."""
    at_line: int


class Patch(Struct, frozen=True, gc=False):
    """A parsed patch: its files, in the order of the text."""

    files: tuple[FilePatch, ...]


class FileChange(Struct, frozen=True, gc=False):
    """What happened to one path between two trees.

    ``old`` is None for ``add``, ``new`` is None for ``delete``. For ``rename`` and ``copy``,
    ``old_path`` names the source and ``old`` is its entry; otherwise ``old_path`` is None.
    ``added`` and ``removed`` count text lines (0 for binary content).

    The changes of one patch are a set, in no needed order: each path is in at most one of them,
    as ``path`` or as the ``old_path`` of a rename; an added, renamed or copied path did not exist
    before, and a rename's source does not exist after. So a swap of two files is two ``modify``.
    """

    path: bytes
    operation: Operation
    old: Entry | None
    new: Entry | None
    old_path: bytes | None = None
    added: int = 0
    removed: int = 0
