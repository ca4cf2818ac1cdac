"""What a text says that it leaves out: refused, since its tree would not be the one that was meant."""

from __future__ import annotations

import re

from patches.errors import FileRefused, MissingBinary

_GIT = re.compile(rb"^diff --git ", re.MULTILINE)
_ONLY_IN = re.compile(rb"^Only in ([^\r\n]*): ([^\r\n]+)\r?$", re.MULTILINE)
_BINARY = re.compile(
    rb"^(?:Binary files|Files) ([^\r\n]+) differ\r?$"
    rb"|^Binary file ([^\r\n]+) has changed\r?$"
    rb"|^Index: ([^\r\n]+)\r?\n=+\r?\nCannot display: ",
    re.MULTILINE,
)
_FOSSIL = re.compile(rb"^(ADDED|DELETED) {2,}([^\r\n]+)\r?$", re.MULTILINE)
_MARKS = (b"Only in ", b"Binary file", b"Files ", b"Cannot display: ", b"ADDED  ", b"DELETED  ")


class LeftOut(FileRefused):
    """The text says that a file came, went or changed, and does not say how. It has to be made anew."""

    def __init__(self, path: bytes, reason: str, hint: str) -> None:
        super().__init__(path, reason)
        self.hint = hint


def says_omissions(data: bytes) -> bool:
    """Tell cheaply whether the text may say such a thing."""
    return any(data.startswith(mark) or b"\n" + mark in data for mark in _MARKS)


def refuse_omissions(data: bytes) -> None:
    """Refuse a text without whole files. Of a Git diff the engine itself says what is missing.

    Raises:
        LeftOut: a file is there on one side only, and its content is not in the text.
        MissingBinary: a binary file changed.
    """
    if not says_omissions(data) or _GIT.search(data):
        return
    only = _ONLY_IN.search(data)
    if only is not None:
        path = only[1] + b"/" + only[2]
        raise LeftOut(
            path,
            "the patch says that only one side has it, and not what it holds",
            "make it with `diff -ruN`",
        )
    binary = _BINARY.search(data)
    if binary is not None:
        named = next(filter(None, binary.groups()), b"")
        raise MissingBinary(
            named.partition(b" and ")[0], "a binary file changed, and the patch does not say how"
        )
    for file in _FOSSIL.finditer(data):
        if not data.startswith((b"\nIndex: ", b"\r\nIndex: "), file.end()):
            done = file[1].decode().lower()
            raise LeftOut(
                file[2],
                f"the patch says that it was {done}, and not what it held",
                "make it with `fossil diff -N`",
            )
