"""The envelope in which language models hand over changes: ``*** Begin Patch`` … ``*** End Patch``.

Its hunks have no line numbers: they are sought by content. Where that is in several places, the
``@@`` lines above a hunk say below which line it is meant; what is still in doubt is refused.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence

from patches.dialects.draft import Draft
from patches.dialects.gitdiff import (
    FileEdit,
    LineIndex,
    UnplacedText,
    end_as_file,
    exact,
    render_files,
    without_end,
)
from patches.dialects.model import AmbiguousPatch, Reader
from patches.dialects.rendering import Edit
from patches.errors import (
    AlreadyExists,
    MissingFile,
    OverlappingParts,
    PatchSyntaxError,
    UnsafePath,
    show_path,
)
from patches.lines import split_lines

_BEGIN = re.compile(rb"^[ \t]*\*\*\* Begin Patch[ \t]*\r?\n", re.MULTILINE)
_END = re.compile(rb"^[ \t]*\*\*\* End Patch[ \t]*\r?$", re.MULTILINE)
_OPERATION = re.compile(rb"\*\*\* (Add|Update|Delete) File: (.+?)[ \t]*$")
_MOVE = re.compile(rb"\*\*\* Move to: (.+?)[ \t]*$")
_NUMBERS = re.compile(rb"^-\d+(?:,\d+)? \+\d+(?:,\d+)?(?: @@)?(?=\s|$)")
_END_OF_FILE = b"*** End of File"


def read_envelope(data: bytes, read: Reader, strip: int = 1) -> bytes | None:
    """Return the envelope's changes as an ordinary Git patch; None where the text holds no envelope.

    Args:
        data: the envelope, whatever stands before and after it (a shell's here-document, prose).
        read: content of the tree that it is for.
        strip: how many components the engine takes from the names.

    Raises:
        AmbiguousPatch: a hunk fits several places.
        UnplacedText: a hunk fits nowhere.
        FileRefused: a path leads outside, exists where it must not, or is missing.
        PatchSyntaxError: the envelope is damaged.
    """
    begin = _BEGIN.search(data)
    if begin is None:
        return None
    end = _END.search(data, begin.end())
    first = data.count(b"\n", 0, begin.end()) + 1
    if end is None:
        raise PatchSyntaxError(first, "the envelope is cut off: it has no *** End Patch")
    text = data[begin.end() : end.start()].removesuffix(b"\n")
    return render_files(_Envelope(text, first, read).files(), strip)


class _Envelope:
    """One pass over the lines between begin and end."""

    def __init__(self, text: bytes, first: int, read: Reader) -> None:
        self._lines = [line.removesuffix(b"\r") for line in text.split(b"\n")] if text else []
        self._first = first
        self._read = read
        self._at = 0
        self._drafts: dict[bytes, Draft] = {}

    def files(self) -> list[FileEdit]:
        files: dict[bytes, FileEdit] = {}
        taken: set[bytes] = set()
        while self._at < len(self._lines):
            if not self._lines[self._at].strip():
                self._at += 1
                continue
            file = self._file()
            updates = file.old == file.new
            paths = [path for path in (file.old, file.new) if path is not None]
            for path in paths:
                # Updates go on from each other. What is done to a name that comes or goes has no order.
                if path in taken or (path in files and not updates):
                    raise OverlappingParts(path, "several parts of the envelope change it")
            taken.update(() if updates else paths)
            files[paths[0]] = file
        return list(files.values())

    def _file(self) -> FileEdit:
        match = _OPERATION.match(self._lines[self._at])
        if match is None:
            raise self._damaged("expected *** Add File:, *** Update File: or *** Delete File:")
        path = checked_path(match[2])
        self._at += 1
        content = self._read(path)
        if match[1] == b"Add":
            if content is not None:
                raise AlreadyExists(path)
            added = tuple(line[1:] + b"\n" for line in self._body(b"+"))
            return FileEdit(None, path, b"", (Edit(0, 0, added),) if added else ())
        if content is None:
            raise MissingFile(path)
        if match[1] == b"Delete":
            count = len(split_lines(content))
            return FileEdit(path, None, content, (Edit(0, count, ()),) if count else ())
        return self._update(path, content)

    def _update(self, path: bytes, content: bytes) -> FileEdit:
        target = path
        move = _MOVE.match(self._lines[self._at]) if self._at < len(self._lines) else None
        if move is not None:
            self._at += 1
            target = checked_path(move[1])
            if target != path and self._read(target) is not None:
                raise AlreadyExists(target)
        draft = self._drafts.setdefault(path, Draft(path, split_lines(content)))
        lines = draft.lines
        index = LineIndex(lines)
        edits: list[Edit] = []
        while self._at < len(self._lines) and not _OPERATION.match(self._lines[self._at]):
            edits += self._hunk(path, index, edits[-1].stop if edits else 0)
        if not edits and target == path:
            raise self._damaged(f"nothing is changed in {show_path(path)}")
        draft.apply(end_as_file(lines, edits))
        return FileEdit(path, target, content, draft.edits())

    def _hunk(self, path: bytes, index: LineIndex, start: int) -> list[Edit]:
        at_line = self._first + self._at
        seek: list[bytes] = []
        while self._at < len(self._lines) and self._lines[self._at].startswith(b"@@"):
            head = _NUMBERS.sub(b"", self._lines[self._at][2:].strip()).removesuffix(b"@@").strip()
            seek += [head] if head else []
            self._at += 1
        body = [line or b" " for line in self._body(b" +-", empty=True)]
        at_end = self._at < len(self._lines) and self._lines[self._at].rstrip() == _END_OF_FILE
        self._at += at_end
        while not at_end and len(body) > 1 and body[-1] == b" " and self._is_between():
            body.pop()
        if not body:
            raise self._damaged("a hunk without lines")
        old = [line[1:] for line in body if line[:1] != b"+"]
        place = _place(path, at_line, index, start, old, seek, at_end=at_end)
        return _edits(body, place)

    def _body(self, marks: bytes, *, empty: bool = False) -> list[bytes]:
        start = self._at
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if not ((line and line[:1] in marks) or (empty and not line)):
                break
            self._at += 1
        return self._lines[start : self._at]

    def _is_between(self) -> bool:
        """Tell whether empty lines just read may only separate this hunk from what follows."""
        return self._lines[self._at - 1] == b""

    def _damaged(self, reason: str) -> PatchSyntaxError:
        return PatchSyntaxError(self._first + min(self._at, max(len(self._lines) - 1, 0)), reason)


def checked_path(path: bytes) -> bytes:
    """Return a path as the tree has it.

    Raises:
        UnsafePath: it is absolute, or leads up.
    """
    parts = [part for part in path.split(b"/") if part != b"."]
    if (
        path.startswith((b"/", b"\\", b"~"))
        or path[1:2] == b":"
        or b".." in parts
        or b"" in parts
        or b"\0" in path
    ):
        raise UnsafePath(path, "leads outside the repository, or is no path")
    return b"/".join(parts)


def _place(
    path: bytes,
    at_line: int,
    index: LineIndex,
    start: int,
    old: list[bytes],
    seek: list[bytes],
    *,
    at_end: bool,
) -> int:
    """Return where a hunk's old lines stand in the file, below the hunks before it."""
    if not old and not at_end:
        raise PatchSyntaxError(at_line, f"{show_path(path)}: a hunk that only adds does not say where")
    for key in (exact, without_end):
        if at_end:
            last = len(index.lines) - len(old)
            places = (last,) if last >= start and index.has(old, key, last) else ()
        else:
            places = index.find(old, key, start)
        if len(places) > 1 and seek:
            places = _below(index, start, old, seek, key) or places
        if len(places) > 1:
            raise AmbiguousPatch(
                f"{show_path(path)}: the hunk at patch line {at_line}",
                [f"at line {place + 1}" for place in places],
                "give it more context, or an @@ line that names what it is in",
            )
        if places:
            return places[0]
    raise UnplacedText(
        f"{show_path(path)}: the lines of the hunk at patch line {at_line} are not in the file"
    )


def _below(
    index: LineIndex, start: int, old: list[bytes], seek: list[bytes], key: Callable[[bytes], bytes]
) -> tuple[int, ...]:
    """Return the first place below each line that the ``@@`` lines may mean."""
    heads: Sequence[int] = (start,)
    for head in seek:
        if not heads:
            return ()
        numbers = index.numbers(head)
        heads = [number + 1 for number in numbers[bisect_left(numbers, heads[0]) :]]
    return index.find_below(old, key, heads)


def _edits(body: list[bytes], at: int) -> list[Edit]:
    """Return the runs of changed lines; context stays as the file has it."""
    edits: list[Edit] = []
    start, new = at, list[bytes]()
    for line in body:
        if line[:1] == b"-":
            at += 1
        elif line[:1] == b"+":
            new.append(line[1:] + b"\n")
        else:
            if at > start or new:
                edits.append(Edit(start, at, tuple(new)))
            at += 1
            start, new = at, []
    if at > start or new:
        edits.append(Edit(start, at, tuple(new)))
    return edits
