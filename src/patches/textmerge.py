"""The merge of three contents: Git's own line merge, in memory, without files and without a process.

Libgit2 carries Git's merge code; it only wants its inputs as blobs of some repository, so it is
given one that is nowhere but in memory.

See: ``git-merge-file(1)``; "Defining a custom merge driver" and ``merge`` in ``gitattributes(5)``.
"""

from __future__ import annotations

import importlib
import re
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from patches.model import MODE_FILE
from patches.oids import hash_blob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pygit2

    from patches.options import Favor

ConflictStyle: TypeAlias = Literal["merge", "diff3", "zdiff3"]
"""How a conflict is shown, as ``merge.conflictStyle`` names it."""

Driver: TypeAlias = Literal["text", "union", "binary"]
"""How a path's contents are merged, as its ``merge`` attribute names it."""

MARKER_SIZE = 7
_MARKER_SIZE = re.compile(r"[1-9][0-9]{0,3}")
_BINARY_WITHIN = 8000  # Git calls content binary by a NUL in as many bytes.
_LARGEST = 1023 << 20  # Git's line merge takes no larger content.
_FAVORS: dict[Favor | None, int] = {None: 0, "ours": 1, "theirs": 2, "union": 3}
_STYLES: dict[ConflictStyle, int] = {"merge": 1, "diff3": 2, "zdiff3": 256}
_BLOB = 3
_BEGIN = re.compile(rb"^(<+) ours\r?$", re.MULTILINE)


class Region(NamedTuple):
    """One conflict in a merged file: the lines of its first and its last marker, from 1."""

    first: int
    last: int


class MergedContent(NamedTuple):
    """What three contents became.

    Where ``conflicted``, ``data`` holds marked regions or, of content that no markers can go into, ours.
    """

    data: bytes
    conflicted: bool
    binary: bool = False
    """The line merge did not take it: a conflict has no markers."""


def choose_driver(attribute: bool | str | None, default: str, is_own: Callable[[str], bool]) -> Driver:
    """Return how the contents of a path are merged.

    A driver of the user's own is a program that may do anything: none is run, and without it a path on which
    both sides disagree is in conflict, as a binary file is.

    Args:
        attribute: the path's ``merge``: set, unset, a name, or None where it is not specified.
        default: the name that ``merge.default`` has for those; "text" where it has none.
        is_own: tells whether the configuration has a driver of a name.
    """
    name = default if attribute is None else attribute
    if name is False or name == "binary":
        return "binary"
    if name == "union":
        return "union"
    return "binary" if isinstance(name, str) and name != "text" and is_own(name) else "text"


def choose_marker_size(attribute: bool | str | None) -> int:
    """Return how long the markers of a conflict are, as the path's ``conflict-marker-size`` says."""
    if not isinstance(attribute, str) or not _MARKER_SIZE.fullmatch(attribute):
        return MARKER_SIZE
    return int(attribute)


def merge_contents(
    base: bytes,
    ours: bytes,
    theirs: bytes,
    *,
    favor: Favor | None = None,
    style: ConflictStyle = "merge",
    driver: Driver = "text",
    marker_size: int = MARKER_SIZE,
) -> MergedContent:
    """Merge what ``theirs`` changed in ``base`` into ``ours``.

    Args:
        base: What both sides come from.
        ours: The present content.
        theirs: The content to bring in.
        favor: Which side wins where both changed the same lines; None marks them.
        style: How they are marked.
        driver: ``binary`` never merges lines, ``union`` keeps both sides' lines.
        marker_size: How many characters a marker has.
    """
    if ours in (base, theirs):
        return MergedContent(theirs, conflicted=False)
    if base == theirs:
        return MergedContent(ours, conflicted=False)
    if driver == "binary" or any(map(_is_binary, (base, ours, theirs))):
        data = theirs if favor == "theirs" else ours
        return MergedContent(data, favor not in ("ours", "theirs"), binary=True)
    if driver == "union":
        favor = "union"
    options = _LineMerge(_FAVORS[favor], _STYLES[style], marker_size)
    if base and ours and theirs:
        return options.merge(base, ours, theirs)
    # Libgit2 leaves the label off an empty side. So none is: all get the same first line.
    line = _new_first_line(base, ours, theirs)
    merged = options.merge(line + base, line + ours, line + theirs)
    return MergedContent(merged.data[len(line) :], merged.conflicted)


def conflict_regions(data: bytes) -> tuple[Region, ...]:
    """Return where the markers of conflicts stand in ``data``, in order.

    Only a whole region counts: a begin, a middle and an end marker of one size, with the labels
    ``ours`` and ``theirs`` that `merge_contents` writes.
    """
    return tuple(_regions(data)) if _BEGIN.search(data) else ()


def _regions(data: bytes) -> Iterator[Region]:
    first, awaited = 0, list[bytes]()
    for number, line in enumerate(data.split(b"\n"), 1):
        text = line.removesuffix(b"\r")
        begin = _BEGIN.fullmatch(text)
        if begin:
            size = len(begin[1])
            first, awaited = number, [b">" * size + b" theirs", b"=" * size]
        elif awaited and text == awaited[-1]:
            awaited.pop()
            if not awaited:
                yield Region(first, number)


def _is_binary(data: bytes) -> bool:
    return len(data) > _LARGEST or b"\0" in data[:_BINARY_WITHIN]


def _new_first_line(base: bytes, ours: bytes, theirs: bytes) -> bytes:
    """Return a line that none of the contents has: common to all, it takes no part in their merge.

    It ends as the markers are to end, which look at the lines around them.
    """
    styles = [_has_crlf(content) for content in (ours, theirs, base)]
    end = b"\r\n" if False not in styles and styles[-1] else b"\n"
    number = 0
    while any(b"%d%s" % (number, end) in content for content in (base, ours, theirs)):
        number += 1
    return b"%d%s" % (number, end)


def _has_crlf(content: bytes) -> bool | None:
    """Tell how the first line ends; None where it does not."""
    at = content.find(b"\n")
    return None if at < 0 else content[:at].endswith(b"\r")


class _LineMerge(NamedTuple):
    """Libgit2's options of a file merge, as its numbers."""

    favor: int
    style: int
    marker_size: int

    def merge(self, base: bytes, ours: bytes, theirs: bytes) -> MergedContent:
        from pygit2.errors import check_error

        ffi, library = _library().ffi, _library().C
        labels = [ffi.new("char[]", label) for label in (b"base", b"ours", b"theirs")]
        repository, oids = _memory_repository(base, ours, theirs)
        options = ffi.new("git_merge_file_options *")
        options.version = 1
        options.ancestor_label, options.our_label, options.their_label = labels
        options.favor, options.flags, options.marker_size = self
        inputs = [_index_entry(oid, label) for oid, label in zip(oids, labels, strict=True)]
        result = ffi.new("git_merge_file_result *")
        # pygit2's own method for this takes no options.
        pointer = repository._repo  # noqa: SLF001
        check_error(library.git_merge_file_from_index(result, pointer, *inputs, options))
        try:
            data = bytes(ffi.buffer(result.ptr, result.len)) if result.len else b""
            return MergedContent(data, not result.automergeable)
        finally:
            library.git_merge_file_result_free(result)


def _index_entry(oid: bytes, name: Any) -> Any:
    ffi = _library().ffi
    entry = ffi.new("git_index_entry *", {"path": name, "mode": MODE_FILE})
    ffi.buffer(ffi.addressof(entry, "id"))[:] = oid
    return entry


def _memory_repository(*contents: bytes) -> tuple[Any, list[bytes]]:
    """Return a repository that has these blobs and nothing else, and their oids."""
    import pygit2

    blobs = {hash_blob(content): content for content in contents}

    class Memory(pygit2.OdbBackend):
        def read_cb(self, oid: pygit2.Oid) -> tuple[int, bytes]:
            return _BLOB, blobs[oid.raw]

        def read_header_cb(self, oid: pygit2.Oid) -> tuple[int, int]:
            return _BLOB, len(blobs[oid.raw])

        def exists_cb(self, oid: pygit2.Oid) -> bool:
            return oid.raw in blobs

    repository: Any = pygit2.Repository()
    objects = pygit2.Odb()
    objects.add_backend(Memory(), 1)
    repository.set_odb(objects)
    return repository, [hash_blob(content) for content in contents]


@cache
def _library() -> Any:
    # It has no types, and neither has anything that comes out of it.
    return importlib.import_module("pygit2.ffi")
