"""Changes of whole files written as an ordinary Git patch, and the search for the lines that they replace."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate

from msgspec import Struct

from patches.dialects.rendering import Edit, render_hunks
from patches.errors import PatchError
from patches.lines import split_lines
from patches.names import quote_path

_MOST_PLACES = 8


class UnplacedText(PatchError):
    """The text that an edit replaces is not in the file."""


class FileEdit(Struct, frozen=True):
    """What becomes of one file. ``old`` and ``new`` are its paths; None where there is no file then."""

    old: bytes | None
    new: bytes | None
    content: bytes = b""
    """Before the change."""
    edits: tuple[Edit, ...] = ()


def render_files(files: Iterable[FileEdit], strip: int = 1) -> bytes:
    """Return a patch of files, each a matter of its own, with ``strip`` components before their names."""
    # A deletion may have a plain header, which is none after a Git header without content.
    ordered = sorted(files, key=lambda file: not _deletes_lines(file))
    return b"".join(_render_file(file, strip) for file in ordered)


def _deletes_lines(file: FileEdit) -> bool:
    return file.new is None and bool(file.edits)


def _render_file(file: FileEdit, strip: int) -> bytes:
    old, new = file.old if file.old is not None else file.new, file.new if file.new is not None else file.old
    before, after = quote_path(b"a/" * strip + (old or b"")), quote_path(b"b/" * strip + (new or b""))
    head = b"diff --git %s %s\n" % (before, after)
    if file.old is None:
        head, before = head + b"new file mode 100644\n", b"/dev/null"
    elif file.new is None:
        # A header that stated a mode could be wrong about it; only one says that an empty file goes.
        head, after = b"" if _deletes_lines(file) else head + b"deleted file mode 100644\n", b"/dev/null"
    elif file.old != file.new:
        moved = b"a/" * max(strip - 1, 0)
        head += b"rename from %s\nrename to %s\n" % (
            quote_path(moved + file.old),
            quote_path(moved + file.new),
        )
    hunks = render_hunks(split_lines(file.content), file.edits)
    # Git writes neither names nor hunks where no line changes.
    return head + (b"--- %s\n+++ %s\n%s" % (before, after, hunks) if hunks else b"")


class LineIndex:
    """The lines of a file, to be searched many times.

    A search runs in the joined text: linear in the size of the file, whatever the lines are.
    """

    def __init__(self, lines: Sequence[bytes]) -> None:
        self.lines = lines
        self._numbers: dict[bytes, list[int]] | None = None
        self._texts: dict[Callable[[bytes], bytes], tuple[bytes, list[int]]] = {}

    def find(self, wanted: Sequence[bytes], key: Callable[[bytes], bytes], start: int = 0) -> tuple[int, ...]:
        """Return where ``wanted`` stands among the lines from ``start``, compared by ``key``."""
        return self.find_below(wanted, key, range(start, len(self.lines) + 1))

    def find_below(
        self, wanted: Sequence[bytes], key: Callable[[bytes], bytes], heads: Sequence[int]
    ) -> tuple[int, ...]:
        """Return where ``wanted`` stands first from each of the lines ``heads``, which are in order.

        Places beyond the first few are not looked for: two are in doubt already.
        """
        text, offsets = self._text(key)
        needle = b"\n" + b"".join(key(line) + b"\n" for line in wanted)
        places: list[int] = []
        at = 0
        while at < len(heads) and len(places) < _MOST_PLACES:
            found = text.find(needle, offsets[heads[at]])
            if found < 0:
                break
            places.append(bisect_left(offsets, found))
            # From every head up to that place on it is the same one.
            at = bisect_right(heads, places[-1])
        return tuple(places)

    def numbers(self, line: bytes) -> Sequence[int]:
        """Return which lines are ``line``, but for the whitespace around it."""
        if self._numbers is None:
            self._numbers = {}
            for number, there in enumerate(self.lines):
                self._numbers.setdefault(there.strip(), []).append(number)
        return self._numbers.get(line, ())

    def has(self, wanted: Sequence[bytes], key: Callable[[bytes], bytes], at: int) -> bool:
        """Tell whether ``wanted`` stands at the line ``at``, from 0."""
        there = self.lines[at : at + len(wanted)] if at >= 0 else ()
        return [key(line) for line in there] == [key(line) for line in wanted]

    def _text(self, key: Callable[[bytes], bytes]) -> tuple[bytes, list[int]]:
        """Return the lines joined, and for each the offset of the newline before it."""
        made = self._texts.get(key)
        if made is None:
            keys = [key(line) for line in self.lines]
            offsets = list(accumulate((len(line) + 1 for line in keys), initial=0))
            made = self._texts[key] = (b"\n" + b"".join(line + b"\n" for line in keys), offsets)
        return made


def exact(line: bytes) -> bytes:
    """Compare a line without its line end, which the last line of a file may lack."""
    return line.removesuffix(b"\n").removesuffix(b"\r")


def without_end(line: bytes) -> bytes:
    """Compare a line without the whitespace at its end."""
    return line.rstrip()


def end_as_file(lines: Sequence[bytes], edits: Sequence[Edit]) -> tuple[Edit, ...]:
    """Return ``edits`` with the line ends of the file, and without a newline at its end where it has none."""
    returned = bool(lines) and all(line.endswith(b"\r\n") for line in lines[: len(lines) - 1] or lines)
    done: list[Edit] = []
    for edit in edits:
        new = [line[:-1].removesuffix(b"\r") + b"\r\n" if returned else line for line in edit.new]
        start = edit.start
        if edit.stop == len(lines) and lines and not lines[-1].endswith(b"\n"):
            if start == len(lines) and new:
                start, new = start - 1, [lines[-1] + (b"\r\n" if returned else b"\n"), *new]
            if new:
                new[-1] = new[-1].removesuffix(b"\n").removesuffix(b"\r")
        done.append(Edit(start, edit.stop, tuple(new)))
    return tuple(done)
