"""Which file a section is about, where its header alone does not say it as the engine wants."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from patches.dialects.model import AmbiguousPatch
from patches.errors import show_path
from patches.names import header_name, is_dev_null, stripped_name
from patches.options import DEFAULTS, ApplyOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from patches.dialects.model import Reader


class Target(NamedTuple):
    """A section's file, and the header that names it without doubt."""

    path: bytes
    """Whose content the hunks are placed in: in the tree, under the directory that the options name."""
    header: bytes
    adds: bool
    deletes: bool
    stripped_none: bool
    """The names have no ``a/`` and ``b/`` before them."""


def find_target(
    header: Sequence[bytes], read: Reader, options: ApplyOptions = DEFAULTS, *, bare_names: bool = False
) -> Target | None:
    """Return the file that a header names; None where it cannot be told.

    Args:
        header: its lines, without newlines.
        read: tells which files there are.
        options: how much is stripped, where that is stated, and what the names are under.
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
    components = 1 if options.strip is None else options.strip
    prefixed = stripped_name(text, components, stop_at_tab=True)
    bare = stripped_name(text, 0, stop_at_tab=True)
    if options.strip is not None:
        path = prefixed
    elif adds or moved:
        # Nothing in the tree can tell: the usual prefix is taken as meant.
        path = bare if bare_names and not text.startswith((b"a/", b"b/")) else prefixed
    else:
        paths = [
            path
            for path in dict.fromkeys((prefixed, bare))
            if path is not None and _is_there(path, read, options)
        ]
        if len(paths) > 1:
            raise AmbiguousPatch("the file's name", [show_path(path) for path in paths], "state it with -p")
        path = paths[0] if paths else None
    if path is None:
        return None
    kept = path == prefixed and git and header[0].startswith(b"diff --git ")
    made = b"".join(line + b"\n" for line in header)
    if not kept:
        sides = _quoted(b"a/" * components + path), _quoted(b"b/" * components + path)
        made = _made(header, sides, adds=adds, deletes=deletes)
    return Target(_placed(path, options), made, adds, deletes, stripped_none=path != prefixed)


def _placed(path: bytes, options: ApplyOptions) -> bytes:
    return options.directory + b"/" + path if options.directory else path


def names_are_bare(header: Sequence[bytes], read: Reader, options: ApplyOptions) -> bool:
    """Tell whether a header names a file of the tree, and does so only if nothing is stripped."""
    names = _names(header) if options.strip is None else None
    if names is None:
        return False
    prefixed, bare = (stripped_name(names[0], count, stop_at_tab=True) for count in (1, 0))
    return _is_there(bare, read, options) and not _is_there(prefixed, read, options)


def _is_there(path: bytes | None, read: Reader, options: ApplyOptions) -> bool:
    return path is not None and read(_placed(path, options)) is not None


def _names(header: Sequence[bytes]) -> tuple[bytes, bytes, bool] | None:
    """Return the texts of the ``---`` and ``+++`` lines, and whether the header is Git's."""
    git = bool(header) and header[0].startswith(b"diff --git ")
    old = next((line[4:] for line in header if line.startswith(b"--- ")), None)
    new = next((line[4:] for line in header if line.startswith(b"+++ ")), None)
    if old is not None and new is not None:
        return old, new, git
    name = header_name(header[0][11:]) if git else None
    return None if name is None else (b"a/" + name, b"b/" + name, False)


def _made(header: Sequence[bytes], sides: tuple[bytes, bytes], *, adds: bool, deletes: bool) -> bytes:
    """Return a header of Git's with the names of ``sides``, and the modes that the given one states."""
    one, other = sides
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
