"""What ``--stat``, ``--numstat`` and ``--summary`` print about a patch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from patches.gitapply.parts import Part
from patches.names import quote_path

_WIDTH = 70
"""Columns for a name and its graph, whatever the terminal is."""
_NAME_WIDTH = 50


class Widths:
    """The longest name and the largest change of all patches so far."""

    def __init__(self) -> None:
        self.name = 0
        self.change = 0

    def add(self, part: Part) -> None:
        """Count one more file."""
        self.change = max(self.change, part.added + part.removed)
        for path in (part.old_path, part.new_path):
            if path is not None:
                self.name = max(self.name, len(quote_path(path)))


def format_stat(parts: Sequence[Part], widths: Widths) -> bytes:
    """Return the diffstat."""
    lines = [_stat_line(part, widths) for part in parts]
    return b"".join([*lines, _stat_total(parts)])


def _stat_line(part: Part, widths: Widths) -> bytes:
    width = min(widths.name, _NAME_WIDTH)
    name = quote_path(part.path)
    if len(name) > width:
        # Cut at a slash where there is one in what is shown.
        start = len(name) + 3 - width
        slash = name.find(b"/", start)
        name = b"..." + name[slash if slash >= 0 else start :]
    name = name.ljust(width)
    if part.file.binary:
        return b" %s |  Bin\n" % name
    added, removed = part.added, part.removed
    if widths.change:
        room = _WIDTH - width if width + widths.change > _WIDTH else widths.change
        total = ((added + removed) * room + widths.change // 2) // widths.change
        pluses = (added * room + widths.change // 2) // widths.change
        minuses = total - pluses
    else:
        pluses = minuses = 0
    return b" %s |%5d %s%s\n" % (name, added + removed, b"+" * pluses, b"-" * minuses)


def _stat_total(parts: Sequence[Part]) -> bytes:
    if not parts:
        return b" 0 files changed\n"
    added, removed = sum(part.added for part in parts), sum(part.removed for part in parts)
    text = f" {len(parts)} file{'s' * (len(parts) != 1)} changed"
    if added or not removed:
        text += f", {added} insertion{'s' * (added != 1)}(+)"
    if removed or not added:
        text += f", {removed} deletion{'s' * (removed != 1)}(-)"
    return text.encode() + b"\n"


def format_numstat(parts: Iterable[Part], *, nul_terminated: bool) -> bytes:
    """Return added and removed lines and the name of each file."""
    lines: list[bytes] = []
    for part in parts:
        counts = b"-\t-" if part.file.binary else b"%d\t%d" % (part.added, part.removed)
        name = part.path + b"\0" if nul_terminated else quote_path(part.path) + b"\n"
        lines.append(counts + b"\t" + name)
    return b"".join(lines)


def format_summary(parts: Iterable[Part]) -> bytes:
    """Return a line for each creation, deletion, rename, copy, rewrite and change of mode."""
    return b"".join(map(_summary_line, parts))


def _summary_line(part: Part) -> bytes:
    # What a plain diff leaves open counts as said here: no file was looked at.
    if part.creates is not False and part.new_path is not None:
        return _mode_line(b"create", part.new_mode, part.new_path)
    if part.deletes is not False and part.old_path is not None:
        return _mode_line(b"delete", part.old_mode, part.old_path)
    if part.old_path is not None and part.new_path is not None and (part.renames or part.copies):
        verb = b"rename" if part.renames else b"copy"
        names = _paired_names(part.old_path, part.new_path)
        return b" %s %s (%d%%)\n%s" % (verb, names, part.file.score, _mode_change(part, b""))
    if part.file.score:
        return b" rewrite %s (%d%%)\n%s" % (part.path, part.file.score, _mode_change(part, b""))
    return _mode_change(part, b" " + part.path)


def _mode_line(verb: bytes, mode: int, path: bytes) -> bytes:
    return b" %s mode %06o %s\n" % (verb, mode, path) if mode else b" %s %s\n" % (verb, path)


def _mode_change(part: Part, name: bytes) -> bytes:
    if not part.old_mode or not part.new_mode or part.old_mode == part.new_mode:
        return b""
    return b" mode change %06o => %06o%s\n" % (part.old_mode, part.new_mode, name)


def _paired_names(old: bytes, new: bytes) -> bytes:
    """Return both names, their common leading directories once."""
    common = 0
    while True:
        old_slash, new_slash = old.find(b"/", common), new.find(b"/", common)
        if old_slash < 0 or old_slash != new_slash or old[common:old_slash] != new[common:new_slash]:
            break
        common = old_slash + 1
    if common:
        return b"%s{%s => %s}" % (old[:common], old[common:], new[common:])
    return b"%s => %s" % (old, new)
