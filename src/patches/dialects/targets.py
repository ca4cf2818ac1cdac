"""Which file a section is about, where its header alone does not say it as the engine wants."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from patches.dialects.model import AmbiguousPatch
from patches.errors import show_path
from patches.names import header_name, is_dev_null, stripped_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from patches.dialects.model import Reader


class Target(NamedTuple):
    """A section's file, and the header that names it without doubt."""

    path: bytes
    """Whose content the hunks are placed in."""
    header: bytes
    adds: bool
    deletes: bool
    stripped_none: bool
    """The names have no ``a/`` and ``b/`` before them."""


def find_target(header: Sequence[bytes], read: Reader, *, bare_names: bool = False) -> Target | None:
    """Return the file that a header names; None where it cannot be told.

    Args:
        header: its lines, without newlines.
        read: tells which files there are.
        bare_names: other names of the patch have no prefix, so that of a new file has none either.

    Raises:
        AmbiguousPatch: with and without the first component the name is a file's.
    """
    names = _names(header)
    if names is None:
        return None
    old, new, git = names
    adds = is_dev_null(old) or any(line.startswith(b"new file mode") for line in header)
    deletes = is_dev_null(new) or any(line.startswith(b"deleted file mode") for line in header)
    moved = any(line.startswith((b"rename ", b"copy ")) for line in header)
    text = new if adds else old
    prefixed = stripped_name(text, 1, stop_at_tab=True)
    bare = stripped_name(text, 0, stop_at_tab=True)
    if adds or moved:
        # Nothing in the tree can tell: the usual prefix is taken as meant.
        path = bare if bare_names and not text.startswith((b"a/", b"b/")) else prefixed
    else:
        paths = [
            path for path in dict.fromkeys((prefixed, bare)) if path is not None and read(path) is not None
        ]
        if len(paths) > 1:
            raise AmbiguousPatch("the file's name", [show_path(path) for path in paths], "state it with -p")
        path = paths[0] if paths else None
    if path is None:
        return None
    kept = path == prefixed and git and header[0].startswith(b"diff --git ")
    made = (
        b"".join(line + b"\n" for line in header) if kept else _made(header, path, adds=adds, deletes=deletes)
    )
    return Target(path, made, adds, deletes, stripped_none=path != prefixed)


def names_are_bare(header: Sequence[bytes], read: Reader) -> bool:
    """Tell whether a header names a file of the tree, and does so only if nothing is stripped."""
    names = _names(header)
    if names is None:
        return False
    prefixed, bare = (stripped_name(names[0], count, stop_at_tab=True) for count in (1, 0))
    return bare is not None and read(bare) is not None and (prefixed is None or read(prefixed) is None)


def _names(header: Sequence[bytes]) -> tuple[bytes, bytes, bool] | None:
    """Return the texts of the ``---`` and ``+++`` lines, and whether the header is Git's."""
    git = bool(header) and header[0].startswith(b"diff --git ")
    old = next((line[4:] for line in header if line.startswith(b"--- ")), None)
    new = next((line[4:] for line in header if line.startswith(b"+++ ")), None)
    if old is not None and new is not None:
        return old, new, git
    name = header_name(header[0][11:]) if git else None
    return None if name is None else (b"a/" + name, b"b/" + name, False)


def _made(header: Sequence[bytes], path: bytes, *, adds: bool, deletes: bool) -> bytes:
    """Return a header of Git's that names ``path``, with the modes that the given one states."""
    one, other = _quoted(b"a/" + path), _quoted(b"b/" + path)
    lines = [b"diff --git " + one + b" " + other]
    lines += [line for line in header if line.startswith((b"old mode ", b"new mode "))]
    stated = [line for line in header if line.startswith((b"new file mode ", b"deleted file mode "))]
    if adds or deletes:
        lines += stated or [b"new file mode 100644" if adds else b"deleted file mode 100644"]
    lines += [line for line in header if line.startswith(b"index ")]
    lines += [b"--- " + (b"/dev/null" if adds else one), b"+++ " + (b"/dev/null" if deletes else other)]
    return b"".join(line + b"\n" for line in lines)


def _quoted(name: bytes) -> bytes:
    return show_path(name).encode()
