"""Search/replace blocks: ``<<<<<<< SEARCH`` … ``=======`` … ``>>>>>>> REPLACE``, below the name of a file."""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import NamedTuple

from patches.dialects.draft import Draft
from patches.dialects.envelope import checked_path
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
from patches.errors import MissingFile, OverlappingParts, PatchError, PatchSyntaxError, UnsafePath, show_path
from patches.lines import split_lines

_SEARCH = re.compile(rb"(<{5,9}|-{5,9}) SEARCH>?(?::(?:start_line:)?(\d+))?\s*$")
_DIVIDER = re.compile(rb"={5,9}\s*$")
_REPLACE = re.compile(rb"(?:>{5,9}|\+{5,9}) REPLACE\s*$")
_START_LINE = re.compile(rb":start_line:\s*(\d+)\s*$")
_WORD = re.compile(rb"[\w+-]+")
_RULE = re.compile(rb"-{5,9}\s*$")
_FENCE = re.compile(rb"(?:`{3,}|~{3,})[\w.+-]*(?:[ \t]+|(?<=[\w])(?=/)|$)(.*)$")


class _Block(NamedTuple):
    """One replacement as the text has it."""

    path: bytes
    at_line: int
    start_line: int
    search: list[bytes]
    replace: list[bytes]


def read_blocks(data: bytes, read: Reader, strip: int = 1) -> bytes | None:
    """Return the blocks' changes as an ordinary Git patch; None where the text holds no block.

    What is searched must be in the file once, or in what the blocks before it made of the file; an empty
    search makes a new file. ``strip`` is how many components the engine takes from the names.

    Raises:
        AmbiguousPatch: it is there several times, and the block names no line.
        UnplacedText: it is not there.
        FileRefused: the path leads outside, or does not exist.
        PatchSyntaxError: a block is damaged, or nothing names its file.
    """
    blocks = _parse(data, read)
    if not blocks:
        return None
    by_path: dict[bytes, list[_Block]] = {}
    for block in blocks:
        by_path.setdefault(block.path, []).append(block)
    return render_files((_file(path, of_path, read(path)) for path, of_path in by_path.items()), strip)


def _file(path: bytes, blocks: list[_Block], content: bytes | None) -> FileEdit:
    if not content and not any(block.search for block in blocks):
        if len(blocks) > 1:
            raise OverlappingParts(path, "several blocks make it")
        added = tuple(line + b"\n" for line in blocks[0].replace)
        return FileEdit(None if content is None else path, path, b"", (Edit(0, 0, added),) if added else ())
    if content is None:
        raise MissingFile(path)
    return FileEdit(path, path, content, _edits(path, blocks, split_lines(content)))


def _edits(path: bytes, blocks: list[_Block], lines: list[bytes]) -> tuple[Edit, ...]:
    """Return the edits of blocks, each of which is about the file as it is, or as those before it made it."""
    draft = Draft(path, lines)
    at = 0
    while at < len(blocks):
        now = draft.lines
        index = LineIndex(now)
        edits: list[Edit] = []
        while at < len(blocks):
            try:
                edit = _edit(blocks[at], index)
            except PatchError:
                if not edits:
                    raise
                break
            place = bisect_left(edits, edit)
            if any(
                edit.start < other.stop and other.start < edit.stop
                for other in edits[max(place - 1, 0) : place + 1]
            ):
                break
            edits.insert(place, edit)
            at += 1
        draft.apply(end_as_file(now, edits))
    return draft.edits()


def _edit(block: _Block, lines: LineIndex) -> Edit:
    where = f"{show_path(block.path)}: the block at line {block.at_line} of the patch"
    if not block.search:
        raise PatchSyntaxError(
            block.at_line, f"{show_path(block.path)} exists, and the block does not say what to replace"
        )
    for key in (exact, without_end):
        places = lines.find(block.search, key)
        named = block.start_line - 1
        if len(places) > 1 and lines.has(block.search, key, named):
            places = (named,)
        if len(places) > 1:
            raise AmbiguousPatch(
                where, [f"line {at + 1}" for at in places], "search for more lines around the change"
            )
        if places:
            new = tuple(line + b"\n" for line in block.replace)
            return Edit(places[0], places[0] + len(block.search), new)
    raise UnplacedText(f"{where} searches for lines that are not in the file")


def _parse(data: bytes, read: Reader) -> list[_Block]:
    lines = [line.removesuffix(b"\r") for line in data.split(b"\n")]
    blocks: list[_Block] = []
    at = after = 0
    while at < len(lines):
        match = _SEARCH.match(lines[at])
        if match is None:
            at += 1
            continue
        makes = at + 1 < len(lines) and _DIVIDER.match(lines[at + 1]) is not None
        path = _name_above(lines[after:at], read, makes=makes) or (blocks[-1].path if blocks else b"")
        if not path:
            raise PatchSyntaxError(at + 1, "nothing above the block names its file")
        first = at + 1
        start_line = int(match[2][:18]) if match[2] else 0
        at += 1
        if at < len(lines) and (named := _START_LINE.match(lines[at])):
            start_line = int(named[1][:18])
            at += 1
            at += at < len(lines) and _RULE.match(lines[at]) is not None
        start, at = at, _end(lines, at, first)
        divider = _divider(lines, start, at, first, len(match[1]))
        search, replace = lines[start:divider], lines[divider + 1 : at]
        after = at = at + 1
        blocks.append(_Block(checked_path(path), first, start_line, search, replace))
    return blocks


def _end(lines: list[bytes], at: int, first: int) -> int:
    """Return which line ends the block that begins at the line ``first``, from 1."""
    while at < len(lines) and not _SEARCH.match(lines[at]):
        if _REPLACE.match(lines[at]):
            return at
        at += 1
    raise PatchSyntaxError(first, "the search/replace block is cut off")


def _divider(lines: list[bytes], start: int, stop: int, first: int, length: int) -> int:
    """Return which line parts what is searched from what replaces it: the one as long as the first mark.

    Raises:
        AmbiguousPatch: several lines may be it; titles are underlined like this.
    """
    dividers = [at for at in range(start, stop) if _DIVIDER.match(lines[at])]
    dividers = [at for at in dividers if len(lines[at].rstrip()) == length] or dividers
    if len(dividers) > 1:
        raise AmbiguousPatch(
            f"the block at patch line {first}", [f"parted at patch line {at + 1}" for at in dividers]
        )
    if not dividers:
        raise PatchSyntaxError(first, "the search/replace block is cut off")
    return dividers[0]


def _name_above(lines: list[bytes], read: Reader, *, makes: bool) -> bytes:
    """Return the file's name from the nearest lines above the block; empty where there is none.

    Args:
        lines: what stands between the block before and this one.
        read: tells which files there are.
        makes: the block makes a file, so that the tree cannot tell that a word is a name.
    """
    candidates: list[bytes] = []
    for line in [line for line in reversed(lines[-4:]) if line.strip()][:2]:
        fence = _FENCE.match(line)
        candidates.append(
            (fence[1] if fence else line).strip().strip(b"`*#: ").removeprefix(b"File:").strip()
        )
    named = [name for name in candidates if name and b" " not in name]
    for name in candidates:
        if name and _exists(name, read):
            return name
    near = next(iter(candidates), b"")
    if makes and _WORD.fullmatch(near) and lines[-1:] == [near]:
        return near
    return next((name for name in named if b"." in name or b"/" in name), b"")


def _exists(name: bytes, read: Reader) -> bool:
    try:
        return read(checked_path(name)) is not None
    except UnsafePath:
        # Taken for a name only if no other line gives one, and refused then.
        return False
