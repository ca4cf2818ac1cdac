"""Line ends between the work tree and a blob, as configuration and attributes have them.

See: "End-of-line conversion" of ``gitattributes(5)``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

_CONTROLS = bytes(code for code in (*range(32), 127) if code not in b"\b\t\x1b\x0c\r\n")


class LineEnds(NamedTuple):
    """How one path's line ends are converted."""

    text: bool
    """Whether they are converted at all."""
    guessed: bool
    """Only where the content looks like text."""
    crlf: bool
    """Lines end in CRLF in the work tree."""


AS_THEY_ARE = LineEnds(text=False, guessed=False, crlf=False)


def read_line_ends(attributes: Mapping[str, str], configuration: Mapping[str, str]) -> LineEnds:
    """Return what attributes and configuration say about one path."""
    autocrlf = configuration.get("core.autocrlf", "false").lower()
    autocrlf = (
        "input" if autocrlf == "input" else "true" if autocrlf in ("true", "yes", "on", "1") else "false"
    )
    text = attributes.get("text", attributes.get("crlf"))
    if text == "unset":
        return AS_THEY_ARE
    end = attributes.get("eol")
    if end in ("lf", "crlf"):
        return LineEnds(text=True, guessed=text == "auto", crlf=end == "crlf")
    if text == "input":
        return LineEnds(text=True, guessed=False, crlf=False)
    if text in ("set", "auto"):
        return LineEnds(text=True, guessed=text == "auto", crlf=_writes_crlf(autocrlf, configuration))
    if autocrlf == "false":
        return AS_THEY_ARE
    return LineEnds(text=True, guessed=True, crlf=autocrlf == "true")


def _writes_crlf(autocrlf: str, configuration: Mapping[str, str]) -> bool:
    if autocrlf != "false":
        return autocrlf == "true"
    end = configuration.get("core.eol", "native").lower()
    return end == "crlf" or (end == "native" and os.linesep == "\r\n")


def looks_binary(content: bytes) -> bool:
    """Tell whether Git takes ``content`` for binary when it guesses about line ends."""
    if b"\0" in content or content.count(b"\r") != content.count(b"\r\n"):
        return True
    controls = len(content) - len(content.translate(None, _CONTROLS)) - content.endswith(b"\x1a")
    ends = content.count(b"\n") + content.count(b"\r")
    printable = len(content) - ends - controls - content.endswith(b"\x1a")
    return printable >> 7 < controls


def to_blob(content: bytes, ends: LineEnds) -> bytes:
    """Return the blob that a file's ``content`` becomes."""
    if not ends.text or b"\r\n" not in content or (ends.guessed and looks_binary(content)):
        return content
    return content.replace(b"\r\n", b"\n")


def to_file(content: bytes, ends: LineEnds) -> bytes:
    """Return what is written into the work tree for the blob ``content``."""
    if not ends.text or not ends.crlf:
        return content
    if ends.guessed and (b"\r" in content or looks_binary(content)):
        return content
    return content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
