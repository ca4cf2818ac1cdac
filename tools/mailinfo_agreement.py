"""How many of the mails of Git's own tests are read as ``git mailsplit`` and ``git mailinfo`` read them.

Usage: python tools/mailinfo_agreement.py <git source directory>

Prints what is read otherwise, and fails where one of them has no reason in `REASONS`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from patches.dialects.series import Message, parse_mailbox

FIELDS = ("data", "author", "date", "subject", "body")
BOXES = ("*.mbox", "*.mboxrd", "*.in", "nul-plain")
REASONS = {
    ("nul-plain", 1): "a blank line more before the diff",
    ("sample.mbox", 11): "blank lines less after the signature",
    ("sample.mbox", 15): "a From line in the body that names nobody: the author of the header stays",
}


def git(*words: str, where: Path, feed: bytes = b"") -> bytes:
    """Return what a command of Git prints."""
    command = ["git", *words]
    return subprocess.run(command, cwd=where, input=feed, check=True, capture_output=True).stdout


def expected(box: Path, where: Path) -> list[Message]:
    """Return what Git reads from a mailbox."""
    words = ["--mboxrd"] if box.suffix == ".mboxrd" else []
    git("mailsplit", "-b", *words, f"-o{where}", str(box), where=where)
    return [_expected(mail.read_bytes(), where) for mail in sorted(where.glob("0*"))]


def _expected(mail: bytes, where: Path) -> Message:
    info = git("mailinfo", "-u", "msg", "patch", where=where, feed=mail).decode("utf-8", "replace")
    fields = dict(line.split(": ", 1) for line in info.splitlines() if ": " in line)
    author = f"{fields['Author']} <{fields.get('Email', '')}>" if "Author" in fields else ""
    message = (where / "msg").read_bytes().decode("utf-8", "replace").strip()
    diff = (where / "patch").read_bytes()
    return Message(diff, author, fields.get("Date", "").strip(), fields.get("Subject", ""), message)


def differences(box: Path) -> list[str]:
    """Return for each mail of a mailbox what is read otherwise; empty where nothing is."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = expected(box, Path(folder))
    mails = parse_mailbox(box.read_bytes())
    if len(mails) != len(wanted):
        return [f"{len(mails)} mails instead of {len(wanted)}"]
    differing: list[str] = []
    for mail, want in zip(mails, wanted, strict=True):
        pairs = [(name, getattr(mail, name), getattr(want, name)) for name in FIELDS]
        fields = [name for name, read, wish in pairs if (read.strip() if name == "body" else read) != wish]
        differing.append(", ".join(fields))
    return differing


def main(source: str) -> int:
    """Compare mail by mail, name those that differ, and return an exit code."""
    directory = Path(source) / "t" / "t5100"
    boxes = sorted(box for pattern in BOXES for box in directory.glob(pattern))
    agreeing = total = unexplained = 0
    for box in boxes:
        for number, difference in enumerate(differences(box), 1):
            total += 1
            agreeing += not difference
            if difference:
                reason = REASONS.get((box.name, number))
                unexplained += reason is None
                print(f"{box.name} {number}: {difference}: {reason or 'NO REASON'}")
    print(f"{agreeing} of {total} mails agree, {unexplained} differ without a reason")
    return 0 if total and not unexplained else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
