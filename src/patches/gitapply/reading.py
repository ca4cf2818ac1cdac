"""The parts of a patch that this run is about: parsed, turned round where asked, outside paths left out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec.structs import replace

from patches.gitapply.parts import Part, make_part
from patches.gitapply.voice import NORMAL
from patches.names import plain_names
from patches.parse import parse_patch
from patches.selection import is_selected

if TYPE_CHECKING:
    from patches.gitapply.voice import Voice
    from patches.options import ApplyOptions

_PLAIN_HEADER = re.compile(rb"^--- (.*)\n\+\+\+ (.*)\n@@ -", re.MULTILINE)


def read_parts(data: bytes, options: ApplyOptions, prefix: bytes, voice: Voice) -> list[Part]:
    """Return the parts of the patch ``data`` in the order in which they are applied.

    Args:
        data: the patch.
        options: how it is read.
        prefix: where in the work tree the command stands, with a slash at its end: a plain diff's
            names are relative to it, and nothing outside is touched.
        voice: told what is skipped.

    Raises:
        EmptyPatch: there is no diff in it.
        PatchSyntaxError: it is damaged.
    """
    if options.strip is None and prefix:
        options = replace(options, strip=_strip_for_prefix(data, prefix))
    parts: list[Part] = []
    # Which paths are wanted is told of whole ones, those of plain diffs with the prefix.
    for file in parse_patch(data, replace(options, paths=())).files:
        part = make_part(file, prefix)
        if part.path.startswith(prefix) and is_selected(part.path, options.paths):
            parts.append(part)
        else:
            voice.say_part("Skipped patch '", part, "'.", above=NORMAL)
    return parts


def _strip_for_prefix(data: bytes, prefix: bytes) -> int | None:
    """Return how much to strip where a plain diff names files from above the current directory."""
    match = _PLAIN_HEADER.search(data)
    if match is None:
        return None
    counts = {_count_for(name, prefix) for name in plain_names(*match.groups(), 0) if name is not None}
    return counts.pop() if len(counts) == 1 else None


def _count_for(name: bytes, prefix: bytes) -> int | None:
    if b"/" not in name:
        return 0
    if name.startswith(prefix):
        return prefix.count(b"/")
    if name.partition(b"/")[2].startswith(prefix):
        return prefix.count(b"/") + 1
    return None
