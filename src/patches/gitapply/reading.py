"""The parts of a patch that this run is about: parsed, turned round where asked, outside paths left out."""

from __future__ import annotations

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
    # Which paths are wanted is told of whole ones, those of plain diffs with the prefix.
    reading = replace(options, paths=())
    patch = parse_patch(data, reading)
    if options.strip is None and prefix:
        plain = min((file.at_line for file in patch.files if file.plain), default=None)
        strip = None if plain is None else _strip_for_prefix(data, plain, prefix)
        patch = patch if strip is None else parse_patch(data, replace(reading, strip=strip))
    parts: list[Part] = []
    for file in patch.files:
        part = make_part(file, prefix)
        if part.path.startswith(prefix) and is_selected(part.path, options.paths):
            parts.append(part)
        else:
            voice.say_part("Skipped patch '", part, "'.", above=NORMAL)
    return parts


def _strip_for_prefix(data: bytes, at_line: int, prefix: bytes) -> int | None:
    """Return how much to strip where the plain diff there names files from above the current directory."""
    first, second = data.split(b"\n", at_line + 1)[at_line - 1 : at_line + 1]
    names = plain_names(first[4:], second[4:], 0)
    counts = {_count_for(name, prefix) for name in (names[0], names[1]) if name is not None}
    return counts.pop() if len(counts) == 1 else None


def _count_for(name: bytes, prefix: bytes) -> int | None:
    if b"/" not in name:
        return 0
    if name.startswith(prefix):
        return prefix.count(b"/")
    if name.partition(b"/")[2].startswith(prefix):
        return prefix.count(b"/") + 1
    return None
