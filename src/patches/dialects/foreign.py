"""The headers that other tools write above a diff: Mercurial's export, and Debian's DEP-3."""

from __future__ import annotations

import re

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


def parse_hg(data: bytes) -> Message:
    """Return the change of ``hg export``: user, date (seconds and zone, as written) and message."""
    match = _DIFF.search(data)
    start = match.start() if match else len(data)
    author, date = "", ""
    message: list[str] = []
    for line in data[:start].decode("utf-8", "replace").splitlines():
        if line.startswith("# User "):
            author = parse_author(line[7:])
        elif line.startswith("# Date "):
            date = line[7:].strip()
        elif message or not line.startswith("# "):
            message.append(line.rstrip())
    subject, _, body = "\n".join(message).strip("\n").partition("\n")
    return Message(data[start:], author, date, subject, _ended(body))


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
