"""Which paths a patch may write: what Git refuses on any platform is refused on every platform.

A tree made here is checked out elsewhere too, so a name that only some file system folds into
``.git`` or ``..`` is refused everywhere.

See: ``verify_path`` in Git's ``read-cache.c``; CVE-2014-9390, CVE-2019-1352, CVE-2019-1353.
"""

from __future__ import annotations

import re

from patches.errors import UnsafePath

# Most paths are plain: one search tells that none of the checks below can find anything.
_SUSPECT = re.compile(rb"(?i)\.git|git(?:mod)?~|gi7eb|(?:^|[/\\])\.{0,2}(?:[/\\]|$)|[\x80-\xff\0\\]")
_SEPARATORS = re.compile(rb"[/\\]")
_DOT_GIT = re.compile(rb"(?:\.git|git~1)[. ]*(?::.*)?", re.DOTALL)
_DOT_GITMODULES = re.compile(
    rb"(?:\.gitmodules|gitmod~[1-4]|gi7eba~[1-9]|gi7eb~[1-9][0-9])[. ]*(?::.*)?", re.DOTALL
)


def check_path(path: bytes, *, symlink: bool = False) -> None:
    """Refuse a path that leads outside the repository or into ``.git``, however it is spelled.

    Args:
        path: as the patch names it.
        symlink: the path shall be a symlink, so it must not be ``.gitmodules`` either.

    Raises:
        UnsafePath: it does.
    """
    if _SUSPECT.search(path) is None:
        return
    if b"\0" in path:
        raise UnsafePath(path, "the name holds a NUL byte")
    if path.startswith(b"/"):
        raise UnsafePath(path, "the path is absolute")
    if not all(path.split(b"/")):
        raise UnsafePath(path, "the path has an empty component")
    for component in _SEPARATORS.split(path):
        _check_component(path, component, symlink)


def _check_component(path: bytes, component: bytes, symlink: bool) -> None:
    if component in (b".", b".."):
        raise UnsafePath(path, f"'{component.decode()}' is no name for a file")
    folded = folded_name(component)
    if _DOT_GIT.fullmatch(folded):
        raise UnsafePath(path, "some file system takes this name for .git")
    if symlink and _DOT_GITMODULES.fullmatch(folded):
        raise UnsafePath(path, ".gitmodules must not be a symlink")


def folded_name(component: bytes) -> bytes:
    """Return a name, or a path, as a case-insensitive file system with HFS+ rules compares it."""
    text = component.decode("utf-8", "surrogateescape")
    return text.translate(_HFS_IGNORED).lower().encode("utf-8", "surrogateescape")


_HFS_IGNORED: dict[int, None] = dict.fromkeys(
    [*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF]
)
