"""Suffixed backups: groups of one canonical file and the copies of it that lie beside it in a tree.

Who is in a group is decided by names (see `patches.backupnames`): a name's last reading whose
canonical file is *established* counts. A canonical name is established where the directory has a
regular file of that name, where one name is certain, or where two names agree. Directories, symlinks
and submodules are never members; a group whose canonical path is one of these is left out, for it
may lead to one of the backups (``x.yaml -> x.yaml.1``).

Contents decide two things. A member with a weak name that has next to nothing in common with the
file it is said to be a copy of is *doubtful*: it is shown, but proposed for nothing. And where the
canonical file is missing and names only agree, they are a group only if their contents do too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from patches.backupnames import Reading, read_name
from patches.model import MODE_EXECUTABLE, MODE_FILE, Entry
from patches.moves import count_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from patches.tree import Tree

_REGULAR = frozenset({MODE_FILE, MODE_EXECUTABLE})
_SHARED = 2 / 3
"""Of the smaller file's different lines, how many the other must have for one to be a copy of it."""
_COMMENT = (b"#", b"//", b"/*", b"*", b";", b"--", b"<!--", b'"""')
"""What a comment starts with: files that have only their licence in common are no copies."""
_COMPARED_BYTES = 8 << 20


class Backup(Struct, frozen=True, kw_only=True):
    """One backup: where it is, what its name says, and how it differs from the group's reference.

    ``mark`` is what the name bears besides the canonical one. ``added`` and ``removed`` count lines from the
    reference to this file (None: binary or very large). ``changed_at`` is the caller's, None where it
    knows none. ``junk`` is an editor's or tool's scratch file, which never survives.
    """

    path: bytes
    entry: Entry
    size_bytes: int
    mark: str
    changed_at: int | None = None
    identical: bool = False
    added: int | None = None
    removed: int | None = None
    junk: bool = False
    doubtful: bool = False


class BackupGroup(Struct, frozen=True, kw_only=True):
    """A canonical path with its backups, by path, and which of them is proposed to survive.

    ``entry``, ``size_bytes`` and ``changed_at`` are the canonical file's, None where it is missing.
    ``survivor`` is None where only junk is left of it; ``reason`` says why it is that one.
    """

    canonical: bytes
    entry: Entry | None
    size_bytes: int | None
    changed_at: int | None
    members: tuple[Backup, ...]
    survivor: bytes | None
    reason: str

    @property
    def directory(self) -> bytes:
        """Where the group lies; empty for the root."""
        return self.canonical.rpartition(b"/")[0]


def group_backups(
    tree: Tree,
    *,
    below: bytes = b"",
    changed_at: Callable[[bytes], int | None] | None = None,
) -> tuple[BackupGroup, ...]:
    """Return the groups of backups in a tree, by canonical path.

    The survivor is the canonical file where it is there and not empty; else the backup that changed
    last; else, where no times are known, the largest. An empty file survives only where all are
    empty, junk never does, and a weak name only where its content resembles another backup's.

    Args:
        tree: only the blobs of groups are read.
        below: only what is in this directory.
        changed_at: the time of a path's last change, in seconds since 1970 UTC, None where it is not known.

    Raises:
        MissingObject: the repository is incomplete.
    """
    directories: dict[bytes, dict[bytes, Entry]] = defaultdict(dict)
    for path, entry in tree.entries(below):
        directory, slash, name = path.rpartition(b"/")
        directories[directory + slash][name] = entry
    groups: list[BackupGroup] = []
    for prefix, files in directories.items():
        for canonical, readings in _assign(files).items():
            if canonical in files and files[canonical].mode not in _REGULAR:
                continue
            group = _Group(tree, prefix, canonical, files, changed_at or _never).build(readings)
            if _holds(group, readings.values()):
                groups.append(group)
    return tuple(sorted(groups, key=lambda group: group.canonical))


def _assign(files: Mapping[bytes, Entry]) -> dict[bytes, dict[bytes, Reading]]:
    """Return by canonical name the names of one directory that are its backups, and how they were read."""
    read = {
        name: readings
        for name, entry in files.items()
        if (readings := read_name(name)) and (entry.mode in _REGULAR or name.startswith(b".#"))
    }
    established = set(files)
    votes: dict[bytes, int] = defaultdict(int)
    for readings in read.values():
        for reading in readings:
            votes[reading.canonical] += {"certain": 2, "agree": 1, "beside": 0}[reading.strength]
    established.update(name for name, count in votes.items() if count >= 2)
    groups: dict[bytes, dict[bytes, Reading]] = defaultdict(dict)
    for name, readings in read.items():
        last = next((reading for reading in reversed(readings) if reading.canonical in established), None)
        if last is not None:
            groups[last.canonical][name] = last
    return groups


def _never(_path: bytes) -> None:
    """Know no time of any path."""


def _holds(group: BackupGroup, readings: Iterable[Reading]) -> bool:
    """Tell whether it is a group: names that only agree must agree in their contents too.

    ``test_copy.py`` and ``test_backup.py`` do, by their names, and are no copies of any ``test.py``.
    """
    if group.entry is not None or any(reading.strength == "certain" for reading in readings):
        return True
    return any(not member.doubtful and member.path != group.survivor for member in group.members)


class _File(NamedTuple):
    """A file of a group with its content at hand."""

    path: bytes
    entry: Entry
    content: bytes
    changed_at: int | None


class _Group:
    """One group on its way: ``prefix`` is its directory with a slash, ``files`` what is in there."""

    def __init__(
        self,
        tree: Tree,
        prefix: bytes,
        canonical: bytes,
        files: Mapping[bytes, Entry],
        changed_at: Callable[[bytes], int | None],
    ) -> None:
        self._tree = tree
        self._prefix = prefix
        self._files = files
        self._changed_at = changed_at
        self._path = prefix + canonical
        self._canonical = self._load(canonical) if canonical in files else None

    def build(self, readings: Mapping[bytes, Reading]) -> BackupGroup:
        """Compare the members with the reference, and choose the survivor."""
        loaded = {name: self._load(name) for name in sorted(readings)}
        copies = {name: file for name, file in loaded.items() if not readings[name].junk}
        certain = [file for name, file in copies.items() if readings[name].strength == "certain"]
        candidates = _credible(list(copies.values()), certain)
        if self._canonical is not None and self._canonical.content:
            survivor, reason = self._canonical, "it is there and not empty"
        else:
            survivor, reason = self._choose(candidates)
        members = tuple(_member(loaded[name], readings[name], survivor) for name in loaded)
        canonical = self._canonical
        return BackupGroup(
            canonical=self._path,
            entry=None if canonical is None else canonical.entry,
            size_bytes=None if canonical is None else len(canonical.content),
            changed_at=None if canonical is None else canonical.changed_at,
            members=members,
            survivor=None if survivor is None else survivor.path,
            reason=reason + _newer(survivor, copies.values()),
        )

    def _load(self, name: bytes) -> _File:
        path, entry = self._prefix + name, self._files[name]
        return _File(path, entry, self._tree.objects.read_blob(entry.oid), self._changed_at(path))

    def _choose(self, candidates: Sequence[_File]) -> tuple[_File | None, str]:
        """Return the survivor where the canonical file is missing or empty, and why."""
        filled = [file for file in candidates if file.content]
        state = "missing" if self._canonical is None else "empty"
        if not filled and self._canonical is not None:
            return self._canonical, "it is empty, but nothing is certain to be a copy with content"
        if not filled:
            return (candidates[0], "all of them are empty") if candidates else (None, "no copy is certain")
        timed = [file.changed_at for file in filled if file.changed_at is not None]
        newest = [file for file in filled if file.changed_at == max(timed)] if timed else filled
        best = max(newest, key=lambda file: len(file.content))
        if len(filled) == 1:
            return best, f"the canonical file is {state}, and this is the only copy"
        kind = "newest" if timed and len(newest) == 1 else "largest of the newest" if timed else "largest"
        return best, f"the canonical file is {state}, and this is the {kind} of {len(filled)} copies"


def _credible(copies: Sequence[_File], certain: Sequence[_File]) -> list[_File]:
    """Return the copies that may survive: the certain ones, and those that resemble another of them.

    Where the canonical file says nothing, one weak name must not put a stranger into its place.
    """
    others = [file for file in certain if file.content] or copies
    return [
        file
        for file in copies
        if file in certain
        or any(other is not file and _resemble(file.content, other.content) for other in others)
    ]


def _newer(survivor: _File | None, candidates: Iterable[_File]) -> str:
    """Return a remark where a backup changed after the survivor: whoever decides must know."""
    if survivor is None or survivor.changed_at is None:
        return ""
    newer = sum(
        1
        for file in candidates
        if file.changed_at is not None
        and file.changed_at > survivor.changed_at
        and file.entry.oid != survivor.entry.oid
    )
    return f"; {newer} of the backups changed after it" if newer else ""


def _member(file: _File, reading: Reading, reference: _File | None) -> Backup:
    itself = reference is None or file.path == reference.path
    same = reference is not None and file.entry.oid == reference.entry.oid
    counts = count_lines(reference.content, file.content) if reference is not None and not same else (0, 0)
    alike = same or (reference is not None and _resemble(file.content, reference.content))
    return Backup(
        path=file.path,
        entry=file.entry,
        size_bytes=len(file.content),
        mark=reading.mark,
        changed_at=file.changed_at,
        identical=same and not itself,
        added=None if counts is None else counts[0],
        removed=None if counts is None else counts[1],
        junk=reading.junk,
        doubtful=reading.strength != "certain" and not alike,
    )


def _resemble(one: bytes, other: bytes) -> bool:
    """Tell whether two files share lines enough for one to be a copy of the other."""
    if max(len(one), len(other)) > _COMPARED_BYTES:
        return False
    smaller, larger = sorted((_lines(one), _lines(other)), key=len)
    return bool(smaller) and len(smaller & larger) >= _SHARED * len(smaller)


def _lines(content: bytes) -> set[bytes]:
    """Return the different lines of a file, without comments where it has anything else."""
    lines = {line.strip() for line in content.split(b"\n")} - {b""}
    return {line for line in lines if not line.startswith(_COMMENT)} or lines
