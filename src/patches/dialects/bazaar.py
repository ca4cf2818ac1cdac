"""The sections that Bazaar and Breezy begin with a ``===`` line, as ordinary Git ones."""

from __future__ import annotations

import re

from patches.dialects.omissions import LeftOut
from patches.names import quote_path

_HEAD = re.compile(
    rb"^=== (added|removed|renamed|modified) (file|directory|symlink) '([^\r\n]*)'"
    rb"(?: \(properties changed: ([^)\r\n]*)\))?\r?\n",
    re.MULTILINE,
)
_NAMES = re.compile(rb"--- [^\n]*\n\+\+\+ [^\n]*\n(?=@@ )")
_ARROW = b"' => '"
_EXECUTABLE = {b"-x to +x": (b"100644", b"100755"), b"+x to -x": (b"100755", b"100644")}


def read_bazaar(data: bytes, strip: int) -> bytes | None:
    """Return the text with its ``===`` sections as Git writes them; None where it has none.

    Args:
        data: as ``brz diff`` prints it, with any prefix.
        strip: how many components the engine takes from the names.

    Raises:
        LeftOut: it changes what such a diff cannot carry.
    """
    heads = list(_HEAD.finditer(data))
    if not heads:
        return None
    stops = [head.start() for head in heads[1:]] + [len(data)]
    sections = [
        _section(head, data[head.end() : stop], strip) for head, stop in zip(heads, stops, strict=True)
    ]
    # A removal has a plain header, which is none after a Git header without content.
    sections.sort(key=lambda section: not section.startswith(b"--- "))
    return data[: heads[0].start()] + b"".join(sections)


def _section(head: re.Match[bytes], body: bytes, strip: int) -> bytes:
    done, kind = head[1], head[2]
    old, _, new = head[3].partition(_ARROW)
    new = new or old
    if kind == b"directory" and done != b"renamed":
        return b""
    if kind != b"file":
        raise LeftOut(
            new,
            f"the patch does not say how this {kind.decode()} changed",
            "make it with brz diff --format=git",
        )
    before, after = quote_path(b"a/" * strip + old), quote_path(b"b/" * strip + new)
    lines = [b"diff --git %s %s\n" % (before, after)]
    if done == b"added":
        lines.append(b"new file mode 100644\n")
        before = b"/dev/null"
    elif done == b"removed":
        # A header that stated a mode could be wrong about it; only one says that an empty file goes.
        lines = [] if _NAMES.match(body) else [*lines, b"deleted file mode 100644\n"]
        after = b"/dev/null"
    else:
        lines += [b"old mode %s\nnew mode %s\n" % mode for mode in [_EXECUTABLE.get(head[4])] if mode]
        if old != new:
            moved = b"a/" * max(strip - 1, 0)
            lines.append(
                b"rename from %s\nrename to %s\n" % (quote_path(moved + old), quote_path(moved + new))
            )
    names = _NAMES.match(body)
    if names is not None:
        return b"".join(lines) + b"--- %s\n+++ %s\n" % (before, after) + body[names.end() :]
    # A part that only says "modified" changed something that is none of Git's.
    return b"".join(lines) if len(lines) > 1 else b""
