"""The sections that Subversion, CVS and Fossil begin with an ``Index:`` line, as ordinary ones.

Their names have no ``a/`` and ``b/``, and a file that comes or goes is told in words of their own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from patches.dialects.model import AmbiguousPatch, Normalised, Reader
from patches.dialects.omissions import LeftOut
from patches.dialects.trial import try_patch
from patches.errors import PatchError, show_path
from patches.names import is_dev_null, quote_path
from patches.options import ApplyOptions

_HEAD = re.compile(rb"^Index: ([^\r\n]+)\r?\n={60,}\r?\n", re.MULTILINE)
_NAMES = re.compile(rb"^--- ([^\n]*?)(\r?\n)\+\+\+ ([^\n]*?)(\r?\n)(@@ )?", re.MULTILINE)
_PROPERTIES = re.compile(rb"^\r?\n?Property changes on: [^\n]*\n_{60,}\r?\n", re.MULTILINE)
_NO_FILE = re.compile(rb"\t\((?:nonexistent|revision 0)\)\s*$|\t\.\.\./[^\n]*\(nonexistent\)\s*$")
_SUBVERSION = re.compile(rb"\t(?:\.\.\./[^\n]*)?\((?:revision \d+|working copy|nonexistent)\)\s*$")
_BINARY = b"\nGIT binary patch"
_RENAMED = re.compile(rb"^rename from ([^\r\n]+)", re.MULTILINE)
_PEG = re.compile(rb"^(copy from [^\r\n]+)@\d+(\r?)$", re.MULTILINE)


class _Section(NamedTuple):
    """What stands below one ``Index:`` line."""

    name: bytes
    text: bytes
    old: bytes | None
    """The text of the ``---`` line; None where there is none."""
    new: bytes
    properties: bool
    git: bool

    @property
    def adds(self) -> bool:
        return self.old is not None and (is_dev_null(self.old) or _NO_FILE.search(self.old) is not None)

    @property
    def deletes(self) -> bool:
        return is_dev_null(self.new) or _NO_FILE.search(self.new) is not None

    @property
    def creates(self) -> bool:
        """Tell whether it only adds lines to what may be a new file or an empty one."""
        return b"\n@@ -0,0 " in self.text and not self.adds

    @property
    def cvs(self) -> bool:
        return self.text.startswith(b"RCS file: ")

    @property
    def subversion(self) -> bool:
        return self.old is not None and _SUBVERSION.search(self.old) is not None

    @property
    def named_alike(self) -> bool:
        """Tell whether both sides have the name of the ``Index:`` line, as nothing to strip would have it."""
        names = [text.partition(b"\t")[0] for text in (self.old or b"", self.new) if not is_dev_null(text)]
        return all(name == self.name for name in names)


def read_indexed(data: bytes, read: Reader, options: ApplyOptions) -> Normalised | None:
    """Return the text with its sections as ordinary ones; None where it has none that need it.

    Raises:
        AmbiguousPatch: with and without their first component the names fit the tree.
        LeftOut: a section has no content.
    """
    heads = list(_HEAD.finditer(data))
    if not heads:
        return None
    stops = [head.start() for head in heads[1:]] + [len(data)]
    sections = [_read(head[1], data[head.end() : stop]) for head, stop in zip(heads, stops, strict=True)]
    _refuse_empty(sections)
    start = data[: heads[0].start()]
    level = _level(sections, read, options)
    texts = [_written(section, level) for section in sections]
    dropped = any(section.properties for section in sections)
    moved = {match[1] for section in sections if section.git for match in _RENAMED.finditer(section.text)}
    if moved:
        # A file that was renamed has a section of its own, which deletes it.
        texts = [
            b"" if section.name in moved else text for section, text in zip(sections, texts, strict=True)
        ]
    elif not dropped and texts == [section.text for section in sections]:
        return None
    subversion = any(section.subversion for section in sections)
    steps = ("svn" if subversion or dropped else "index lines", "left out: svn properties")
    return Normalised(start + b"".join(texts), steps if dropped else steps[:1])


def _read(name: bytes, text: bytes) -> _Section:
    properties = _PROPERTIES.search(text)
    if properties is not None:
        text = text[: properties.start()]
    names = _NAMES.search(text)
    git = text.startswith(b"diff --git ")
    if names is not None and not names[5]:
        # Only its properties changed.
        head = text[: names.start()]
        names, text = None, b"" if git and head.count(b"\n") == 1 else head
    if _BINARY in text and not text.endswith(b"\n\n"):
        # Git ends binary content with an empty line, and needs it.
        text += b"\n"
    if names is None:
        return _Section(name, text, None, b"", properties is not None, git)
    return _Section(name, text, names[1], names[3], properties is not None, git)


def _refuse_empty(sections: Sequence[_Section]) -> None:
    for section in sections:
        if section.old is None and not section.git and not section.properties:
            raise LeftOut(
                section.name,
                "the patch names it and says nothing of what it holds",
                "make it with svn diff --git, or with cvs diff -N",
            )


def _level(sections: Sequence[_Section], read: Reader, options: ApplyOptions) -> int | None:
    """Return how many components the sections' names have too many; None where they can stay as they are."""
    plain = [section for section in sections if section.old is not None and not section.git]
    deep = any(b"/" in section.name for section in plain)
    if options.strip is not None or not deep or not all(section.named_alike for section in plain):
        return None
    changing = [section for section in plain if not section.adds and not section.creates]
    levels = [
        level
        for level in (0, 1)
        if all(read(_stripped(section.name, level)) is not None for section in changing)
    ]
    if not any(b"/" in section.name for section in changing):
        # A diff with something to strip has different names on its two sides, where both sides have one.
        own = any(section.creates or section.subversion or section.cvs for section in plain)
        return 0 if own else None
    if len(levels) > 1:
        levels = [level for level in levels if _fits(changing, level, read, options)] or levels
    if len(levels) > 1:
        raise AmbiguousPatch(
            "the files' names",
            [_shown(changing, level) for level in levels],
            "state it with -p0 or -p1",
        )
    return levels[0] if levels else 0


def _fits(sections: Sequence[_Section], level: int, read: Reader, options: ApplyOptions) -> bool:
    try:
        try_patch(b"".join(_written(section, level) for section in sections), read, options)
    except PatchError:
        # Whether anything else fits is what is asked.
        return False
    return True


def _shown(sections: Sequence[_Section], level: int) -> str:
    return ", ".join(show_path(_stripped(section.name, level)) for section in sections[:3])


def _stripped(name: bytes, level: int) -> bytes:
    return name.split(b"/", 1)[-1] if level else name


def _written(section: _Section, level: int | None) -> bytes:
    """Return a section with ``/dev/null`` for a file that is not there, and names with one more component."""
    text = _PEG.sub(rb"\1\2", section.text) if section.git else section.text
    names = _NAMES.search(text) if section.old is not None else None
    if names is None:
        return text
    old, new = names[1], names[3]
    if level is not None:
        name = _stripped(section.name, level)
        old, new = quote_path(b"a/" + name), quote_path(b"b/" + name)
    old = b"/dev/null" if section.adds else old
    new = b"/dev/null" if section.deletes else new
    lines = b"--- " + old + names[2] + b"+++ " + new + names[4]
    return text[: names.start()] + lines + text[names.end() - len(names[5]) :]
