"""One report as its parser sees it: bytes from a measured project, which may be anything."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeAlias, TypeVar
from urllib.parse import unquote

import msgspec
from msgspec import Meta

from ledger.gates.reports.errors import ReportUnreadable
from ledger.measurements import Severity

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_T = TypeVar("_T")
_BOM = b"\xef\xbb\xbf"

# A number past these bounds has no exact double, and past 64 bits no place in an event.
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**53)]
Position: TypeAlias = Annotated[int, Meta(ge=-1, le=2**53)]
"""A line or column as tools write it: some say -1 where there is none."""


class Source(NamedTuple):
    """The bytes of one report, the format they are read as, and the root that its paths are relative to."""

    format: str
    data: bytes
    root: Path

    def refuse(self, reason: str) -> ReportUnreadable:
        """Return the error that says why these bytes are no report of the format."""
        return ReportUnreadable(self.format, reason)

    def json(self, shape: type[_T], data: bytes | None = None) -> _T:
        """Return the report, or the part ``data`` of it, as a value of ``shape``.

        Fields that the shape does not have are passed over.

        Raises:
            ReportUnreadable: The bytes are no JSON, or not of that shape.
        """
        text = (self.data if data is None else data).removeprefix(_BOM)
        try:
            return msgspec.json.decode(text, type=shape)
        except msgspec.DecodeError as error:
            raise self.refuse(str(error)) from error
        except UnicodeDecodeError as error:
            raise self.refuse("it is not UTF-8") from error
        except RecursionError as error:
            raise self.refuse("it is nested too deeply") from error

    def xml(self) -> Element:
        """Return the report's root element.

        A document type with declarations of its own is refused before anything in it is expanded: with
        entities or default attributes a few bytes become gigabytes. No report needs them. What a
        document type names outside is never read.

        Raises:
            ReportUnreadable: The bytes are no XML, or declare a document type of their own.
        """
        from xml.etree.ElementTree import ParseError, fromstring
        from xml.parsers.expat import ExpatError, ParserCreate

        guard = ParserCreate()
        guard.StartDoctypeDeclHandler = self._refuse_declarations
        try:
            guard.Parse(self.data, True)
            return fromstring(self.data)  # noqa: S314  # the guard has read it without harm
        except (ExpatError, ParseError) as error:
            raise self.refuse(f"it is not well-formed XML: {error}") from error
        except (LookupError, ValueError) as error:
            raise self.refuse(f"its encoding cannot be read: {error}") from error

    def _refuse_declarations(self, _name: str, _system: str | None, _public: str | None, own: int) -> None:
        if own:
            raise self.refuse("its document type declares entities, which is refused: they can be bombs")

    def relative(self, path: str) -> str:
        """Return ``path``, or the path of a ``file:`` URI, relative to the root where it lies in it.

        A tool may have followed a symlink on the way to the root: both spellings count.
        """
        if path.startswith("file:"):
            path = unquote("/" + path.removeprefix("file:").removeprefix("//").partition("/")[2])
        if not path:
            return ""
        normal = posixpath.normpath(path.replace(os.sep, "/"))
        for root in (self.root.as_posix(), os.path.realpath(self.root).replace(os.sep, "/")):
            if normal.startswith(f"{root}/"):
                return normal[len(root) + 1 :]
        return normal


def severity_of(word: str, severities: Mapping[str, Severity]) -> Severity:
    """Return what a tool's word for a severity means; a word that nobody knows is an error."""
    return severities.get(word.lower(), "error")
