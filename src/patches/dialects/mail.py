"""A mail as ``git mailinfo`` reads it: who wrote the change, when, why, and the diff."""

from __future__ import annotations

import base64
import binascii
import quopri
import re
from typing import TYPE_CHECKING

from msgspec import Struct

from patches.dialects.flowed import read_flowed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from email.message import Message as Part


class Message(Struct, frozen=True):
    """One change of a series: the diff, and what its header says; a field is empty where nothing does."""

    data: bytes
    """The diff, from the line that ends the message on. All of the text, where it is no mail."""
    author: str = ""
    """``Name <address>``."""
    date: str = ""
    """As it was written."""
    subject: str = ""
    """Without ``Re:`` and anything in brackets before it."""
    body: str = ""
    name: str = ""
    """The file's, in a series of files."""
    strip: int | None = None
    """Leading components to strip, where the series says so for this file."""
    talk: bool = False
    """It is a cover letter or a reply, and holds no diff."""


_WORD = re.compile(r"=\?([^?\s]+)\?([bBqQ])\?([^?]*)\?=")
_BETWEEN_WORDS = re.compile(r"(\?=)\s+(?==\?[^?\s]+\?[bBqQ]\?)")
_PATCH_STARTS = re.compile(rb"^(?:diff -|Index: |---[ \t\r]*$|--- \S)", re.MULTILINE)
_GIT = re.compile(rb"^diff --git ", re.MULTILINE)
_OTHER_STARTS = re.compile(
    rb"^(?:[ \t]*\*\*\* Begin Patch|\*\*\* [^\n]*\n--- [^\n]*\n\*{15}"
    rb"|=== (?:added|removed|renamed|modified) |(?:[^\n]*\n){0,4}<{5,9} SEARCH)",
    re.MULTILINE,
)
_IN_BODY = re.compile(r"(From|Date|Subject):[ \t]*(.*)", re.IGNORECASE)
_SEPARATOR = re.compile(r">From [0-9a-f]{40,64} Mon Sep 17 00:00:00 2001\s*$")
_SUBJECT_PREFIX = re.compile(r"[Rr][Ee]:|[ \t:]+|\[[^\]]*\]")
_ADDRESS = re.compile(r"<([^<>]*@[^<>]*)>|([^\s<>()]+@[^\s<>()]+)")
_BRACKETED = re.compile(r"(.*?)<([^<>]*)>", re.DOTALL)
_QUOTING = re.compile(r'\\(.)|["()]', re.DOTALL)
_FOLDER = "Mail System Internal Data"
"""The author of what some mailboxes begin with, which is no mail."""
_TALK = re.compile(r"\s*(?:[Rr][Ee]\s*:|\[[^\]]*\b0+/\d+\s*\])")
_LONGEST_NAME = 60
_LONGEST_AUTHOR = 1000
_HEADS_BYTES = 10_000


def parse_mail(data: bytes, *, alone: bool = False) -> Message:
    """Return what a mail says, with the diff's bytes as they were before they were sent.

    Args:
        data: one mail, without the ``From `` line of an mbox.
        alone: it is no part of a series, where a mail without a diff is talk about the others. Where no diff
            begins in it, all of its text is taken for one: it may be quoted, or in a form that has no start.

    See: ``git-mailinfo(1)``.
    """
    # Here: most patches are no mail, and the package takes longer to load than they do to apply.
    from email.parser import BytesParser
    from email.policy import compat32

    mail = BytesParser(policy=compat32).parsebytes(data)
    charset = _charset(mail)
    text, diff, whole = b"", b"", b""
    for part in _leaves(mail):
        content = _decoded(part)
        whole += content
        start = 0 if diff else _patch_start(content)
        text += _to_utf8(content[:start], part)
        diff += content[start:]
    headers = {name: _header(mail, name, charset) for name in ("From", "Date", "Subject")}
    in_body, body = _take_in_body(text.decode("utf-8", "replace").replace("\r\n", "\n"))
    if diff:
        # Without a patch the text is talk, and what looks like a header there is quoted.
        headers.update(in_body)
    return Message(
        diff or (whole if alone else b""),
        author=parse_author(headers["From"]),
        date=" ".join(headers["Date"].split()),
        subject=clean_subject(headers["Subject"]),
        body=body,
        talk=not diff and _is_talk(headers),
    )


def _is_talk(headers: Mapping[str, str]) -> bool:
    return headers["From"].startswith(_FOLDER) or _TALK.match(headers["Subject"]) is not None


def parse_author(text: str) -> str:
    """Return ``Name <address>`` for whatever a ``From:`` holds; the text itself where it holds no address."""
    match = _ADDRESS.search(text[:_LONGEST_AUTHOR])
    if match is None:
        bogus = _BRACKETED.match(text[:_LONGEST_AUTHOR])
        return f"{bogus[1].strip()} <{bogus[2]}>" if bogus else " ".join(text.split())
    address = match[1] or match[2]
    name = " ".join((text[: match.start()] + " " + text[match.end() :]).split())
    if name.startswith("(") and name.endswith(")"):
        name = name[1:-1]
    name = _unquoted(name).strip()
    if not name or len(name) > _LONGEST_NAME or any(c in name for c in "@<>"):
        name = address
    return f"{name} <{address}>"


def _unquoted(name: str) -> str:
    """Return a name without its quoting, which is content inside of parentheses."""
    pieces: list[str] = []
    at = depth = 0
    for match in _QUOTING.finditer(name):
        mark = match[0]
        depth += (mark == "(") - (mark == ")" and depth > 0)
        kept = match[1] or ("" if mark == '"' and not depth else mark)
        pieces += [name[at : match.start()], kept]
        at = match.end()
    return "".join(pieces) + name[at:]


def clean_subject(text: str) -> str:
    """Return a subject without ``Re:``, ``[PATCH n/m]`` and the like before it, its whitespace single."""
    at = 0
    while match := _SUBJECT_PREFIX.match(text, at):
        at = match.end()
    return " ".join(text[at:].split())


def _patch_start(content: bytes) -> int:
    """Return where the patch begins: as Git sees it, or earlier, with what it does not know; else the end."""
    match = _PATCH_STARTS.search(content)
    start = match.start() if match else len(content)
    other = None if _GIT.search(content) else _OTHER_STARTS.search(content, 0, start + _HEADS_BYTES)
    return min(start, other.start()) if other else start


def _leaves(mail: Part) -> Iterator[Part]:
    """Yield the parts that have content; not the page that repeats the text for a browser."""
    for part in mail.walk():
        if not part.is_multipart() and (part is mail or part.get_content_type() != "text/html"):
            yield part


def _decoded(part: Part) -> bytes:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return b""
    encoding = str(part.get("Content-Transfer-Encoding", "")).strip().lower()
    # MIME counts the last newline before a boundary to the boundary. A diff's last line needs it.
    whole = not payload or payload.endswith(b"\n") or encoding == "base64"
    content = payload if whole else payload + b"\n"
    return (
        read_flowed(content, delsp=_says(part, "delsp", "yes"))
        if _says(part, "format", "flowed")
        else content
    )


def _says(part: Part, name: str, value: str) -> bool:
    """Tell whether a part's ``Content-Type`` has a parameter of this value."""
    said = part.get_param(name)
    return isinstance(said, str) and said.lower() == value


def _charset(part: Part) -> str:
    value = part.get_param("charset")
    return value if isinstance(value, str) else "utf-8"


def _to_utf8(content: bytes, part: Part) -> bytes:
    return _to_text(content, _charset(part)).encode("utf-8", "replace")


def _to_text(content: bytes, charset: str) -> str:
    """Decode as declared, else as UTF-8, else as Latin-1: a message is for people, and is never refused."""
    for name in (charset, "utf-8"):
        try:
            return content.decode(name)
        except (UnicodeError, LookupError, ValueError):
            # Declared wrongly, or unknown here.
            continue
    return content.decode("latin-1")


def _header(mail: Part, name: str, charset: str) -> str:
    for key, value in mail.raw_items():
        if key.lower() == name.lower():
            raw = str(value).encode("ascii", "surrogateescape")
            return _decode_words(re.sub(r"\r?\n[ \t]", " ", _to_text(raw, charset))).strip()
    return ""


def _decode_words(text: str) -> str:
    return _WORD.sub(_decode_word, _BETWEEN_WORDS.sub(r"\1", text))


def _decode_word(match: re.Match[str]) -> str:
    charset, kind, word = match[1].partition("*")[0], match[2].lower(), match[3].encode("utf-8", "replace")
    if kind == "q":
        return _to_text(quopri.decodestring(word, header=True), charset)
    try:
        return _to_text(base64.b64decode(word + b"=" * (-len(word) % 4)), charset)
    except binascii.Error:
        # What is no base64 stays as it is seen.
        return match[0]


def _take_in_body(text: str) -> tuple[dict[str, str], str]:
    """Split the headers that a forwarder left at the top of the body from the body."""
    headers: dict[str, str] = {}
    lines = text.strip("\n").split("\n")
    at, last = 0, ""
    while at < len(lines):
        line = lines[at]
        match = _IN_BODY.match(line)
        if match and match[1].title() not in headers:
            last = match[1].title()
            headers[last] = _decode_words(match[2].strip())
        elif last and line[:1] in {" ", "\t"}:
            headers[last] += " " + _decode_words(line.strip())
        elif at == 0 and line.startswith("[PATCH"):
            last, headers["Subject"] = "Subject", line
        elif not _SEPARATOR.match(line):
            break
        at += 1
    if "@" not in headers.get("From", "@"):
        # Prose that begins like a header: the mail's own sender is the author.
        del headers["From"]
    body = "\n".join(lines[at:]).strip("\n")
    return headers, body + "\n" if body else ""
