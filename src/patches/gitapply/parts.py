"""One file of a patch on its way through the checks, and the way its paths are found and chosen."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from patches.model import MODE_EXECUTABLE, MODE_FILE, MODE_SYMLINK, FilePatch, Hunk

NO_MODE = 0


class Part(Struct, kw_only=True, eq=False):
    """One file's patch. The checks complete it: modes, whether it creates the file, what it leaves there."""

    file: FilePatch
    old_path: bytes | None
    new_path: bytes | None
    old_mode: int
    new_mode: int
    creates: bool | None
    """None: a plain diff does not say, the files will."""
    deletes: bool | None
    renames: bool
    copies: bool
    hunks: Sequence[Hunk]
    content: bytes = b""
    """What the file holds afterwards (a submodule: its line of text)."""
    refused: bool = True
    rejected: set[int] = set()
    """Indices of the hunks that did not fit."""
    merges_directly: bool = False
    """It creates what is there: only a merge can bring the two together."""
    stages: tuple[bytes | None, bytes | None, bytes | None] | None = None
    """Oids of base, ours and theirs, where merging left conflicts."""

    @property
    def path(self) -> bytes:
        """The path that the part is about."""
        return self.new_path or self.old_path or b""

    @property
    def first_path(self) -> bytes:
        """The path that messages about its content name."""
        return self.old_path or self.new_path or b""

    @property
    def added(self) -> int:
        """How many lines it adds."""
        return sum(hunk.added for hunk in self.file.hunks)

    @property
    def removed(self) -> int:
        """How many lines it removes."""
        return sum(hunk.removed for hunk in self.file.hunks)

    @property
    def has_old_crlf(self) -> bool:
        """Whether lines that the file has already end in CRLF in the patch."""
        return any(b"\r\n" in hunk.old for hunk in self.file.hunks)

    @property
    def makes_symlink(self) -> bool:
        """Whether the patch says that the path is a symlink afterwards."""
        return (self.new_mode or self.old_mode) == MODE_SYMLINK

    @property
    def leaves(self) -> bool:
        """Whether nothing stays at the old path."""
        return self.new_path is None or self.renames


def make_part(file: FilePatch, prefix: bytes) -> Part:
    """Return a parsed file's patch as a part; a plain diff's names are relative to ``prefix``."""
    old, new = file.old_path, file.new_path
    creates: bool | None = file.operation == "add"
    deletes: bool | None = file.operation == "delete"
    if file.plain:
        old = prefix + old if old is not None else None
        new = prefix + new if new is not None else None
        if file.operation == "modify" and len(file.hunks) == 1:
            creates = None if not file.hunks[0].old_count else False
            deletes = None if not file.hunks[0].new_count else False
    return Part(
        file=file,
        old_path=old,
        new_path=new,
        old_mode=_stored_mode(file.old_mode),
        new_mode=_stored_mode(file.new_mode),
        creates=creates,
        deletes=deletes,
        renames=file.operation == "rename",
        copies=file.operation == "copy",
        hunks=file.hunks,
    )


def _stored_mode(mode: int | None) -> int:
    """Return the mode that Git stores for a stated one: of a file's permissions only one bit counts."""
    if mode is None:
        return NO_MODE
    if mode & 0o170000 != 0o100000:
        return mode
    return MODE_EXECUTABLE if mode & 0o100 else MODE_FILE
