"""Several changes in one text or directory: a mailbox, ``git format-patch`` output, a quilt series."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import TypeAlias

from patches.dialects.foreign import parse_dep3, parse_hg, read_stgit
from patches.dialects.mail import Message, parse_mail
from patches.errors import PatchSyntaxError

__all__ = ["Message", "parse_mailbox", "parse_message", "read_quilt", "split_series"]

ReadPatch: TypeAlias = Callable[[str], bytes]
"""Content of a patch file that a series names."""

_FROM_LINE = re.compile(rb"^From [^\n]{0,200}\d:\d\d[^\n]{0,40} \d{4}[^\n]*\n", re.MULTILINE)
_MAIL_HEADER = re.compile(rb"(?:[!-9;-~]+:[^\n]*\n(?:[ \t][^\n]*\n)*)+(?:\r?\n|\Z)")
_MAIL_FIELD = re.compile(rb"^(?:From|Subject|Content-Type):", re.MULTILINE | re.IGNORECASE)
_BLANK_LINES = re.compile(rb"(?:[ \t\r]*\n)+")
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)
_HG = b"# HG changeset patch"
_NEXT_HG = re.compile(b"\n" + _HG)
_STRIP = re.compile(r"-p(?:=|\s*)(\d+|ab)$")


def split_series(data: bytes) -> tuple[Message, ...]:
    """Return the changes of a mailbox or a Mercurial export in order; of another text one, with empty fields.

    A cover letter and a reply without a diff are no changes. Any other mail without one is for the caller to
    refuse: its diff may have been lost.
    """
    messages = parse_mailbox(data)
    return tuple(message for message in messages if not message.talk) or messages


def parse_mailbox(data: bytes) -> tuple[Message, ...]:
    """Return every part of a text, whether or not it is a change; as ``split_series`` but for that.

    A line of a mail that looks like the start of another is quoted, and stays so but in a mailbox that
    says that it is an mboxrd: of any other it cannot be told whether its author wrote the quote.
    """
    if data.startswith(_HG):
        ends = [match.start() + 1 for match in _NEXT_HG.finditer(data)] + [len(data)]
        return tuple(parse_hg(data[start:end]) for start, end in pairwise([0, *ends]))
    starts = list(_FROM_LINE.finditer(data))
    if not starts or data[: starts[0].start()].strip():
        return (parse_message(data),)
    ends = [start.start() for start in starts[1:]] + [len(data)]
    mails = [data[start.end() : end] for start, end in zip(starts, ends, strict=True)]
    if starts[0][0].startswith(b"From mboxrd"):
        mails = [_QUOTED_FROM.sub(rb"\1", mail) for mail in mails]
    return tuple(parse_message(mail, alone=len(mails) == 1) for mail in mails)


def parse_message(data: bytes, *, alone: bool = True) -> Message:
    """Return one change with what its header says: of a mail, an export of Mercurial or StGit, or DEP-3.

    Of a mail that is not ``alone`` only what is certainly a diff is one.
    """
    if data.startswith(_HG):
        return parse_hg(data)
    blank = _BLANK_LINES.match(data)
    below = blank.end() if blank else 0
    header = _MAIL_HEADER.match(data, below)
    if header is not None:
        dep3 = parse_dep3(data, header.end())
        if dep3 is not None:
            return dep3
        if _MAIL_FIELD.search(header[0]):
            if b"\r\n" in header[0][: header[0].find(b"\n") + 1]:
                # As it was sent. What its content had there is no longer known, and is the tree's to tell.
                return parse_mail(data[below:].replace(b"\r\n", b"\n"), alone=alone)
            return parse_mail(data[below:], alone=alone)
    stgit = read_stgit(data)
    return Message(data) if stgit is None else parse_mail(stgit, alone=alone)


def read_quilt(series: bytes, read: ReadPatch) -> tuple[Message, ...]:
    """Return the changes that a ``series`` file lists, in order.

    Args:
        series: a patch file a line, ``-p<n>`` where names are stripped otherwise, comments after ``#``.
        read: content of a file that the series names.

    Raises:
        PatchSyntaxError: a line holds an option that changes how a patch is applied, and is not known.

    See: quilt(1), and deb-src-3.0 of dpkg-source(1).
    """
    messages: list[Message] = []
    for number, line in enumerate(series.decode("utf-8", "surrogateescape").splitlines(), 1):
        words = re.sub(r"(?:^|\s)#.*", "", line).split(None, 1)
        if not words:
            continue
        message = parse_message(read(words[0]))
        messages.append(
            Message(
                message.data,
                message.author,
                message.date,
                message.subject,
                message.body,
                words[0],
                _strip_of(number, words[1].strip()) if words[1:] else None,
            )
        )
    return tuple(messages)


def _strip_of(number: int, option: str) -> int:
    match = _STRIP.match(option)
    if match is None:
        raise PatchSyntaxError(number, f"the series gives a patch the option {option!r}; only -p<n> is known")
    return 1 if match[1] == "ab" else int(match[1][:9])
