"""How many of the mails in Git's own test t5100 are read as ``git mailinfo`` reads them.

Usage: python tools/mailinfo_agreement.py <git source directory>
"""

from __future__ import annotations

import sys
from pathlib import Path

from patches.dialects.series import Message, split_series


def expected(directory: Path, number: int) -> Message:
    """Return what Git's test expects of one mail."""
    info = (directory / f"info{number:04}").read_text()
    fields = dict(line.split(": ", 1) for line in info.splitlines() if ": " in line)
    author = f"{fields.get('Author', '')} <{fields.get('Email', '')}>"
    message = (directory / f"msg{number:04}").read_text().strip()
    diff = (directory / f"patch{number:04}").read_bytes()
    return Message(diff, author, fields.get("Date", "").strip(), fields.get("Subject", ""), message)


def main(source: str) -> int:
    """Compare mail by mail, name those that differ, and return an exit code."""
    directory = Path(source) / "t" / "t5100"
    mails = split_series((directory / "sample.mbox").read_bytes())
    differing: list[str] = []
    for number, mail in enumerate(mails, 1):
        read = Message(mail.data, mail.author, mail.date, mail.subject, mail.body.strip())
        want = expected(directory, number)
        fields = [
            field for field in Message.__struct_fields__ if getattr(read, field) != getattr(want, field)
        ]
        differing += [f"{number:04}: {', '.join(fields)}"] if fields else []
    print(f"{len(mails) - len(differing)} of {len(mails)} mails agree", *differing, sep="\n")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
