"""The extended header of a ``diff --git`` section: what it says, and whether it is consistent."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import ClassVar, Literal

from patches.errors import PatchSyntaxError
from patches.model import FilePatch, Operation
from patches.names import header_name, is_dev_null, moved_components, stripped_name

_UNNAMED = "git diff header lacks filename information"
_BAD = "git apply: bad git-diff"
_PER_CENT = re.compile(rb"[ \t]*(\d{1,9})")
_WHOLE = 100
_Reader = Callable[["GitHeader", bytes, int], None]


def _by_first_byte(readers: dict[bytes, _Reader]) -> dict[bytes, list[tuple[bytes, _Reader]]]:
    table: dict[bytes, list[tuple[bytes, _Reader]]] = {}
    for keyword, reader in readers.items():
        table.setdefault(keyword[:1], []).append((keyword, reader))
    return table


class GitHeader:
    """Collects the lines of one header.

    Each line goes to ``take``, which tells whether it belongs to the header; ``finish`` gives
    the file patch without its content.
    """

    __slots__ = (
        "_components",
        "_first",
        "_lenient",
        "_moved_components",
        "at_line",
        "extension",
        "new_mode",
        "new_oid",
        "new_path",
        "old_mode",
        "old_oid",
        "old_path",
        "score",
    )

    def __init__(self, first: bytes, at_line: int, *, components: int = 1, lenient: bool = False) -> None:
        """Start with what follows ``diff --git``; ``lenient`` takes two names without a rename."""
        self._first = first
        self._components = components
        self._lenient = lenient
        self._moved_components = max(components - 1, 0)
        self.at_line = at_line
        self.extension: Operation | None = None
        self.old_path: bytes | None = None
        self.new_path: bytes | None = None
        self.old_mode: int | None = None
        self.new_mode: int | None = None
        self.old_oid = b""
        self.new_oid = b""
        self.score = 0

    def take(self, line: bytes, at_line: int) -> bool:
        """Read one line; False where it does not belong to the header.

        Raises:
            PatchSyntaxError: it contradicts the lines before it.
        """
        for keyword, reader in self._READERS.get(line[:1], ()):
            if line.startswith(keyword):
                reader(self, line[len(keyword) :], at_line)
                return True
        return False

    def finish(self, at_line: int) -> FilePatch:
        """Return what the header said.

        Raises:
            PatchSyntaxError: no name can be told from it, or only one of two.
        """
        if self.old_path is None and self.new_path is None:
            self.old_path = self.new_path = self._repeated_name(at_line)
        adds, deletes = self.extension == "add", self.extension == "delete"
        if (self.new_path is None and not deletes) or (self.old_path is None and not adds):
            raise PatchSyntaxError(at_line, "the header lacks a file name", _UNNAMED)
        if self.extension is None and self.old_path != self.new_path and not self._lenient:
            raise PatchSyntaxError(at_line, "two file names, but no line says that the file was renamed")
        return FilePatch(
            operation=self.extension or "modify",
            old_path=None if adds else self.old_path,
            new_path=None if deletes else self.new_path,
            old_mode=self.old_mode,
            new_mode=self.new_mode,
            old_oid=self.old_oid,
            new_oid=self.new_oid,
            score=self.score,
            at_line=self.at_line,
        )

    def _repeated_name(self, at_line: int) -> bytes:
        name = header_name(self._first, self._components)
        if name is None:
            plural = "s" * (self._components != 1)
            fault = f"{_UNNAMED} when removing {self._components} leading pathname component{plural}"
            raise PatchSyntaxError(at_line, "the header lacks a file name", fault)
        return name

    def _extend(self, extension: Operation, at_line: int) -> None:
        if self.extension not in (None, extension):
            raise PatchSyntaxError(at_line, f"the header says {extension} after {self.extension}")
        self.extension = extension

    def _read_index(self, text: bytes, at_line: int) -> None:
        old, dots, rest = text.rstrip(b"\r").partition(b"..")
        new, _, mode = rest.partition(b" ")
        if not dots or len(old) > 40 or len(new) > 40:
            return
        self.old_oid = old
        self.new_oid = new
        if mode:
            self._read_old_mode(mode, at_line)

    def _read_old_mode(self, text: bytes, at_line: int) -> None:
        self.old_mode = _parse_mode(text, at_line)

    def _read_new_mode(self, text: bytes, at_line: int) -> None:
        self.new_mode = _parse_mode(text, at_line)

    def _read_added(self, text: bytes, at_line: int) -> None:
        self._extend("add", at_line)
        self.new_path = header_name(self._first, self._components)
        self._read_new_mode(text, at_line)

    def _read_deleted(self, text: bytes, at_line: int) -> None:
        self._extend("delete", at_line)
        self.old_path = header_name(self._first, self._components)
        self._read_old_mode(text, at_line)

    def _read_renamed(self, text: bytes, at_line: int) -> None:
        self._extend("rename", at_line)
        self.old_path = self._source_name(text)

    def _read_renamed_to(self, text: bytes, at_line: int) -> None:
        self._extend("rename", at_line)
        self.new_path = self._moved_name(text)

    def _read_copied(self, text: bytes, at_line: int) -> None:
        self._extend("copy", at_line)
        self.old_path = self._source_name(text)

    def _read_copied_to(self, text: bytes, at_line: int) -> None:
        self._extend("copy", at_line)
        self.new_path = self._moved_name(text)

    def _read_old_name(self, text: bytes, at_line: int) -> None:
        self.old_path = self._agreed_name(text, self.old_path, "old", at_line)

    def _read_new_name(self, text: bytes, at_line: int) -> None:
        self.new_path = self._agreed_name(text, self.new_path, "new", at_line)

    def _read_score(self, text: bytes, _: int) -> None:
        """Read how much stayed or went: it says nothing about the result."""
        match = _PER_CENT.match(text)
        if match is not None and int(match[1]) <= _WHOLE:
            self.score = int(match[1])

    def _source_name(self, text: bytes) -> bytes | None:
        """Return the name of a ``from`` line; that of the ``to`` line is stripped as much."""
        if not self._lenient:
            self._moved_components = moved_components(self._first, text, self._components)
        return self._moved_name(text)

    def _moved_name(self, text: bytes) -> bytes | None:
        """Return the name of a rename or copy line, which never has the ``a/`` of the others."""
        return stripped_name(text, self._moved_components, stop_at_tab=False)

    def _agreed_name(
        self, text: bytes, known: bytes | None, side: Literal["old", "new"], at_line: int
    ) -> bytes | None:
        """Return the name of a ``---`` or ``+++`` line, which must agree with what is already known."""
        if self.extension == ("add" if side == "old" else "delete"):
            if not is_dev_null(text):
                raise PatchSyntaxError(
                    at_line,
                    "expected /dev/null, since the header adds or deletes the file",
                    f"{_BAD} - expected /dev/null",
                )
            return None
        if is_dev_null(text):
            raise PatchSyntaxError(at_line, "/dev/null without a 'new file mode' or 'deleted file mode' line")
        name = stripped_name(text, self._components, stop_at_tab=True)
        if name is None and known is None and self._lenient:
            return None  # The first line of the header may name both.
        if name is None or (known is not None and name != known):
            fault = f"{_BAD} - inconsistent {side} filename"
            raise PatchSyntaxError(at_line, "the file name contradicts the header", fault)
        return name

    _READERS: ClassVar = _by_first_byte(
        {
            b"index ": _read_index,
            b"--- ": _read_old_name,
            b"+++ ": _read_new_name,
            b"old mode ": _read_old_mode,
            b"new mode ": _read_new_mode,
            b"new file mode ": _read_added,
            b"deleted file mode ": _read_deleted,
            b"similarity index ": _read_score,
            b"dissimilarity index ": _read_score,
            b"rename from ": _read_renamed,
            b"rename to ": _read_renamed_to,
            b"rename old ": _read_renamed,
            b"rename new ": _read_renamed_to,
            b"copy from ": _read_copied,
            b"copy to ": _read_copied_to,
        }
    )


def _parse_mode(text: bytes, at_line: int) -> int:
    digits = text.split(maxsplit=1)[0] if text[:1].isdigit() else b""
    if not digits or len(digits) > 7 or digits.strip(b"01234567"):
        raise PatchSyntaxError(at_line, "the file mode is not an octal number", "invalid mode", text + b"\n")
    return int(digits, 8)
