"""What the command says while it works: on standard error, as loud as it was asked to be."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import IO

from patches.gitapply.parts import Part
from patches.names import quote_path

SILENT, NORMAL, VERBOSE = -1, 0, 1
_SHOWN_WHITESPACE_ERRORS = 5


class Voice:
    """Messages to a person. Standard output is for what was asked for."""

    def __init__(self, verbosity: int = NORMAL, stream: IO[bytes] | None = None) -> None:
        self.verbosity = verbosity
        self._stream = sys.stderr.buffer if stream is None else stream
        self.patch_name = "<stdin>"
        self.limits_whitespace_errors = True
        self.whitespace_errors = 0
        self.fixed_lines = 0

    def error(self, message: str | bytes) -> None:
        """Say why something cannot be done."""
        self.say(b"error: " + _bytes(message), above=SILENT)

    def warn(self, message: str | bytes) -> None:
        """Say what may not be meant."""
        self.say(b"warning: " + _bytes(message), above=SILENT)

    def say(self, line: str | bytes, *, above: int = SILENT) -> None:
        """Write one line where the verbosity is higher than ``above``."""
        if self.verbosity > above:
            self._stream.write(_bytes(line) + b"\n")
            self._stream.flush()

    def say_part(self, before: str, part: Part, after: str, *, above: int = NORMAL) -> None:
        """Write a line about one file, both names of it where it is renamed."""
        names = quote_path(part.path)
        if part.old_path and part.new_path and part.old_path != part.new_path:
            names = quote_path(part.old_path) + b" => " + quote_path(part.new_path)
        self.say(before.encode() + names + after.encode(), above=above)

    def whitespace_error(self, at_line: int, errors: Sequence[str], line: bytes) -> None:
        """Show one whitespace error of the patch; after the first few they are only counted."""
        self.whitespace_errors += 1
        if not self.limits_whitespace_errors or self.whitespace_errors <= _SHOWN_WHITESPACE_ERRORS:
            self.say(f"{self.patch_name}:{at_line}: {', '.join(errors)}.\n".encode() + line)

    def sum_up_hidden(self) -> None:
        """Say how many whitespace errors were not shown."""
        hidden = self.whitespace_errors - _SHOWN_WHITESPACE_ERRORS
        if self.limits_whitespace_errors and hidden > 0:
            self.warn(f"squelched {hidden} whitespace error{'s' * (hidden != 1)}")

    def sum_up_whitespace(self, *, applied: bool) -> None:
        """Say how many whitespace errors there were, and how many of them were mended."""
        self.sum_up_hidden()
        count = self.whitespace_errors
        if self.fixed_lines and applied:
            mended = self.fixed_lines
            self.warn(f"{mended} line{'s' * (mended != 1)} applied after fixing whitespace errors.")
        elif count:
            self.warn(added_errors(count))


def added_errors(count: int) -> str:
    """Return the sentence that sums up whitespace errors."""
    return f"{count} line adds whitespace errors." if count == 1 else f"{count} lines add whitespace errors."


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
