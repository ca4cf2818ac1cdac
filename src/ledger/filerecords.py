"""What an event says of each path that it changes, and paths as JSON can hold them.

Modes are Git's six octal digits, object ids 40 hexadecimal digits.

See: ``docs/format.md``, "Events" and "`patch.applied/1`".
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable
from typing import TypeAlias

from msgspec import Struct

from patches.model import Entry, FileChange, Operation


class EncodedPath(Struct, frozen=True):
    """A path whose bytes are not UTF-8, in base64."""

    b64: str


WirePath: TypeAlias = str | EncodedPath


def encode_path(path: bytes) -> WirePath:
    """Return the wire form of a Git path."""
    try:
        return path.decode("utf-8")
    except UnicodeDecodeError:
        return EncodedPath(b2a_base64(path, newline=False).decode("ascii"))


def parse_path(path: WirePath) -> bytes:
    """Return the bytes of a path in wire form."""
    return path.encode("utf-8") if isinstance(path, str) else a2b_base64(path.b64)


class FileRecord(Struct, frozen=True, omit_defaults=True, gc=False):
    """One file of a tree-changing event; the wire form of ``patches.model.FileChange``."""

    path: WirePath
    operation: Operation
    old_path: WirePath | None = None
    old_mode: str | None = None
    old_oid: str | None = None
    mode: str | None = None
    oid: str | None = None
    added: int = 0
    removed: int = 0

    @classmethod
    def of(cls, change: FileChange) -> FileRecord:
        """Return the record of what a patch did to one file."""
        old, new = change.old, change.new
        return cls(
            path=encode_path(change.path),
            operation=change.operation,
            old_path=None if change.old_path is None else encode_path(change.old_path),
            old_mode=None if old is None else f"{old.mode:06o}",
            old_oid=None if old is None else old.oid.hex(),
            mode=None if new is None else f"{new.mode:06o}",
            oid=None if new is None else new.oid.hex(),
            added=change.added,
            removed=change.removed,
        )

    @property
    def old(self) -> Entry | None:
        """The entry before: of ``old_path`` for a rename or copy, else of ``path``."""
        return _entry(self.old_mode, self.old_oid)

    @property
    def new(self) -> Entry | None:
        """The entry after, None where the path is gone."""
        return _entry(self.mode, self.oid)


def _entry(mode: str | None, oid: str | None) -> Entry | None:
    return None if mode is None or oid is None else Entry(int(mode, 8), bytes.fromhex(oid))


def changes_paths(files: Iterable[FileRecord]) -> dict[bytes, Entry | None]:
    """Return what the files of one event leave at each path that they touch (None: nothing)."""
    left: dict[bytes, Entry | None] = {}
    made: dict[bytes, Entry | None] = {}
    for file in files:
        if file.operation == "rename" and file.old_path is not None:
            left[parse_path(file.old_path)] = None
        path, new = parse_path(file.path), file.new
        # A deletion never hides what another file of the same patch puts at the path.
        (left if new is None else made)[path] = new
    return {**left, **made}
