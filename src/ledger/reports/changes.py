"""Changes: what each event of a run did to the files, as a report holds it, and what it leaves out.

A report has the patch of each event and the first content of each file that a patch changes: any later
content follows from both. What is too large, was redacted, or does not fit is left out by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from msgspec import Struct

from ledger.filerecords import FileRecord, parse_path
from ledger.secrets.masking import mask
from patches.errors import PatchError, show_path
from patches.model import FilePatch
from patches.options import LENIENT
from patches.parse import parse_patch

FILE_LIMIT_BYTES = 256 << 10
"""What one file's patch, or its first content, may have to be in a report."""

REDACTED = "redacted"
TOO_LARGE = f"larger than {FILE_LIMIT_BYTES >> 10} KiB"
OVER_LIMIT = "over the limit of the whole report"
BINARY = "binary"
OLD = "only the newest patches of so long a run are here"
NO_OBJECTS = "not in the repository any more"
KEY = "a private key"


class Change(Struct, omit_defaults=True, kw_only=True, rename={"path": "p", "old_path": "o", "diff": "d"}):
    """What one event did to one file.

    ``diff`` are the hunks of the patch, from the first ``@@`` on; empty where there is none, and then
    ``why`` says why where there should be one. Paths are printable.
    """

    path: str
    op: str
    old_path: str = ""
    added: int = 0
    removed: int = 0
    mode: str = ""
    diff: str = ""
    why: str = ""


class Parts(NamedTuple):
    """A patch in its parts: what it does to each file, in order."""

    changes: tuple[Change, ...]

    @classmethod
    def of(cls, patch: bytes) -> Parts:
        """Return the parts of a patch that Git made; none where it is empty."""
        if not patch:
            return cls(())
        files = parse_patch(patch, LENIENT).files
        lines = patch.split(b"\n")
        ends = [file.at_line - 1 for file in files[1:]] + [len(lines)]
        return cls(
            tuple(_change(file, lines[file.at_line - 1 : end]) for file, end in zip(files, ends, strict=True))
        )


def parts_of(patch: bytes, files: Sequence[FileRecord]) -> tuple[Change, ...]:
    """Return what a patch does to each file; from the records of the event where it cannot be read."""
    try:
        return Parts.of(patch).changes
    except PatchError as error:
        return recorded(files, str(error))


def recorded(files: Iterable[FileRecord], why: str) -> tuple[Change, ...]:
    """Return what the records of an event say, without patches, and why these are not there."""
    return tuple(
        Change(
            path=show_path(parse_path(file.path)),
            op=file.operation,
            old_path="" if file.old_path is None else show_path(parse_path(file.old_path)),
            added=file.added,
            removed=file.removed,
            mode=file.mode or "",
            why=why,
        )
        for file in files
    )


def _change(file: FilePatch, lines: list[bytes]) -> Change:
    path = file.new_path if file.new_path is not None else file.old_path
    assert path is not None, "a patch names its file"
    start = next((at for at, line in enumerate(lines) if line.startswith(b"@@ ")), len(lines))
    diff, why = _shown(b"\n".join(lines[start:]))
    if file.binary:
        diff, why = "", BINARY
    moved = file.operation in ("rename", "copy") and file.old_path is not None
    return Change(
        path=show_path(path),
        op=file.operation,
        old_path=show_path(file.old_path) if moved and file.old_path is not None else "",
        added=sum(hunk.added for hunk in file.hunks),
        removed=sum(hunk.removed for hunk in file.hunks),
        mode="" if file.new_mode is None else f"{file.new_mode:06o}",
        diff=diff,
        why=why,
    )


def _shown(data: bytes) -> tuple[str, str]:
    """Return bytes as text without secrets, or an empty one and why it is left out."""
    if len(data) > FILE_LIMIT_BYTES:
        return "", TOO_LARGE
    masked = mask(data)
    if masked.count(b"\n") != data.count(b"\n"):
        # What is left would not fit together with the other patches of the file.
        return "", KEY
    return masked.decode("utf-8", "replace"), ""


def hide_redacted(events: Sequence[tuple[Sequence[Change], bool]]) -> None:
    """Take the patches of every file out that a redacted event touched, under all its later names too.

    Args:
        events: The changes of each event, in order, and whether its patch was redacted.
    """
    hidden: set[str] = set()
    for changes, gone in events:
        if gone:
            hidden.update(change.path for change in changes)
        hidden.update(change.path for change in changes if change.old_path in hidden)
    for changes, _ in events:
        for change in changes:
            if change.path in hidden or change.old_path in hidden:
                change.diff, change.why = "", REDACTED


class Budget:
    """How much text a report may still take in."""

    def __init__(self, limit_bytes: int) -> None:
        self.left_bytes = limit_bytes

    def takes(self, text: str) -> bool:
        """Tell whether a text still fits, and count it where it does."""
        size = len(text.encode("utf-8"))
        if size > self.left_bytes:
            return False
        self.left_bytes -= size
        return True


def keep_within(budget: Budget, events: Sequence[Sequence[Change]]) -> None:
    """Take patches out that do not fit any more: the newest come first."""
    for changes in reversed(events):
        for change in changes:
            if change.diff and not budget.takes(change.diff):
                change.diff, change.why = "", OVER_LIMIT


def first_contents(
    events: Sequence[Sequence[Change]],
    base: Iterable[str],
    read: Callable[[str], bytes | None],
    budget: Budget,
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the base's content of every file that a patch goes on from.

    Args:
        events: The changes of each event, in order.
        base: The printable paths of the base.
        read: Gives the content of one; None where the repository does not have it.
        budget: What may still be taken in.

    Returns:
        The contents by path; and why there is none, by path.
    """
    wanted, there, left_out = dict[str, None](), set(base), dict[str, str]()
    for changes in events:
        for change in changes:
            name = change.old_path or change.path
            if change.op != "add" and name in there:
                wanted[name] = None
                if change.why:
                    left_out.setdefault(name, change.why)
    contents: dict[str, str] = {}
    for path in wanted:
        if path not in left_out:
            text, why = _content(read(path))
            if not why and not budget.takes(text):
                why = OVER_LIMIT
            if why:
                left_out[path] = why
            else:
                contents[path] = text
    return contents, left_out


def _content(data: bytes | None) -> tuple[str, str]:
    if data is None:
        return "", NO_OBJECTS
    if b"\0" in data[:8000]:
        return "", BINARY
    return _shown(data)
