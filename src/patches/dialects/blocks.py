"""Search/replace blocks: ``<<<<<<< SEARCH`` … ``=======`` … ``>>>>>>> REPLACE``, below the name of a file."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from patches.dialects.envelope import checked_path
from patches.dialects.gitdiff import (
    FileEdit,
    LineIndex,
    UnplacedText,
    end_as_file,
    exact,
    render_file,
    split_lines,
    without_end,
)
from patches.dialects.model import AmbiguousPatch, Reader
from patches.dialects.rendering import Edit
from patches.errors import MissingFile, OverlappingParts, PatchSyntaxError, UnsafePath, show_path

_SEARCH = re.compile(rb"(?:<{5,9}|-{5,9}) SEARCH>?(?::(?:start_line:)?(\d+))?\s*$")
_DIVIDER = re.compile(rb"={5,9}\s*$")
_REPLACE = re.compile(rb"(?:>{5,9}|\+{5,9}) REPLACE\s*$")
_START_LINE = re.compile(rb":start_line:\s*(\d+)\s*$")
_RULE = re.compile(rb"-{5,9}\s*$")
_FENCE = re.compile(rb"(?:`{3,}|~{3,})[\w.+-]*(?:[ \t]+|(?<=[\w])(?=/)|$)(.*)$")


class _Block(NamedTuple):
    """One replacement as the text has it."""

    path: bytes
    at_line: int
    start_line: int
    search: list[bytes]
    replace: list[bytes]


def read_blocks(data: bytes, read: Reader) -> bytes | None:
    """Return the blocks' changes as an ordinary Git patch; None where the text holds no block.

    What is searched must be in the file once; an empty search makes a new file.

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
    return b"".join(render_file(_file(path, of_path, read(path))) for path, of_path in by_path.items())


def _file(path: bytes, blocks: list[_Block], content: bytes | None) -> FileEdit:
    if not content and not any(block.search for block in blocks):
        if len(blocks) > 1:
            raise OverlappingParts(path, "several blocks make it")
        added = tuple(line + b"\n" for line in blocks[0].replace)
        return FileEdit(None if content is None else path, path, b"", (Edit(0, 0, added),) if added else ())
    if content is None:
        raise MissingFile(path)
    lines = split_lines(content)
    index = LineIndex(lines)
    edits = sorted(_edit(block, index) for block in blocks)
    for before, after in pairwise(edits):
        if before.stop > after.start:
            raise OverlappingParts(path, f"two blocks replace line {after.start + 1}")
    return FileEdit(path, path, content, end_as_file(lines, edits))


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
        path = _name_above(lines[after:at], read) or (blocks[-1].path if blocks else b"")
        if not path:
            raise PatchSyntaxError(at + 1, "nothing above the block names its file")
        first = at + 1
        start_line = int(match[1][:18]) if match[1] else 0
        at += 1
        if at < len(lines) and (named := _START_LINE.match(lines[at])):
            start_line = int(named[1][:18])
            at += 1
            at += at < len(lines) and _RULE.match(lines[at]) is not None
        search, at = _until(lines, at, _DIVIDER, first)
        replace, at = _until(lines, at, _REPLACE, first)
        after = at
        blocks.append(_Block(checked_path(path), first, start_line, search, replace))
    return blocks


def _until(lines: list[bytes], at: int, end: re.Pattern[bytes], first: int) -> tuple[list[bytes], int]:
    start = at
    while at < len(lines) and not end.match(lines[at]):
        if _SEARCH.match(lines[at]):
            break
        at += 1
    if at == len(lines) or not end.match(lines[at]):
        raise PatchSyntaxError(first, "the search/replace block is cut off")
    return lines[start:at], at + 1


def _name_above(lines: list[bytes], read: Reader) -> bytes:
    """Return the file's name from the nearest lines above the block; empty where there is none."""
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
    return next((name for name in named if b"." in name or b"/" in name), b"")


def _exists(name: bytes, read: Reader) -> bool:
    try:
        return read(checked_path(name)) is not None
    except UnsafePath:
        # Taken for a name only if no other line gives one, and refused then.
        return False
