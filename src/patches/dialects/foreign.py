"""The headers that other tools write above a diff: Mercurial's export, Debian's DEP-3, StGit's patches."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from patches.dialects.mail import Message, parse_author

_DIFF = re.compile(rb"^(?:diff -|Index: |--- \S|\*\*\* \S|=== )", re.MULTILINE)
_DEP3 = re.compile(
    rb"^(?:Description|Author|Origin|Forwarded|Applied-Upstream|Last-Update|Bug(?:-\w+)?):",
    re.MULTILINE,
)
_SENT = re.compile(
    rb"^(?:Message-Id|Received|Content-Type|Content-Transfer-Encoding|MIME-Version):",
    re.MULTILINE | re.IGNORECASE,
)


_STGIT = re.compile(rb"([^\r\n]+)\r?\n\r?\n(?=(?:From|Author|Date):)")
_STGIT_AUTHOR = re.compile(rb"^Author:", re.MULTILINE)
_HG_DATE = re.compile(r"(-?\d{1,12}) (-?\d{1,5})")


def parse_hg(data: bytes) -> Message:
    """Return the change of ``hg export``: user, date and message."""
    match = _DIFF.search(data)
    start = match.start() if match else len(data)
    author, date = "", ""
    message: list[str] = []
    for line in data[:start].decode("utf-8", "replace").splitlines():
        if line.startswith("# User "):
            author = parse_author(line[7:])
        elif line.startswith("# Date "):
            date = _hg_date(line[7:].strip())
        elif message or not line.startswith("# "):
            message.append(line.rstrip())
    subject, _, body = "\n".join(message).strip("\n").partition("\n")
    return Message(data[start:], author, date, subject, _ended(body))


def _hg_date(text: str) -> str:
    """Return seconds since 1970 and seconds west of Greenwich as a date; any other text as it is."""
    match = _HG_DATE.fullmatch(text)
    if match is None:
        return text
    try:
        zone = timezone(-timedelta(seconds=int(match[2])))
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(match[1]))
        return at.astimezone(zone).isoformat(" ")
    except (ValueError, OverflowError):
        # No zone has so many seconds, or no calendar so many years.
        return text


def read_stgit(data: bytes) -> bytes | None:
    """Return a patch that StGit exported as the mail that it would be; None where it is none.

    It begins with the subject, an empty line, and then whose it is.
    """
    match = _STGIT.match(data)
    if match is None:
        return None
    end = data.find(b"\n\n", match.end())
    header = data[match.end() : end if end >= 0 else len(data)]
    mail = b"Subject: " + match[1] + b"\n" + _STGIT_AUTHOR.sub(b"From:", header)
    return mail + data[match.end() + len(header) :]


def parse_dep3(data: bytes, end: int) -> Message | None:
    """Return the change below a DEP-3 header of ``end`` bytes; None where those are something else.

    See: DEP-3, "Patch Tagging Guidelines", of Debian.
    """
    header = data[:end]
    if not _DEP3.search(header) or _SENT.search(header):
        return None
    fields = _fields(header.decode("utf-8", "replace"))
    match = _DIFF.search(data, end)
    start = match.start() if match else len(data)
    description = fields.get("description") or fields.get("subject") or ""
    subject, _, body = description.partition("\n")
    free = data[end:start].decode("utf-8", "replace").partition("\n---\n")[0].strip("\n-")
    author = fields.get("author") or fields.get("from") or ""
    return Message(
        data[start:],
        author and parse_author(author),
        fields.get("last-update") or fields.get("date") or "",
        subject,
        _ended("\n".join(filter(None, (body, free)))),
    )


def _fields(text: str) -> dict[str, str]:
    fields: dict[str, list[str]] = {}
    last: list[str] = []
    for line in text.splitlines():
        if line[:1] in {" ", "\t"}:
            # A line that holds only a full stop stands for an empty one.
            last.append("" if line.strip() == "." else line.strip())
        elif ":" in line:
            name, _, value = line.partition(":")
            last = fields.setdefault(name.lower(), [])
            last.append(value.strip())
    return {name: "\n".join(lines) for name, lines in fields.items()}


def _ended(text: str) -> str:
    text = text.strip("\n")
    return text + "\n" if text else ""
