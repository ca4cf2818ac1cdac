"""Bytecode of the measured tree: what is cached of another content is deleted, what is of this one stays.

Python takes cached bytecode for current where the source has the same size and the same *second* of change.
States of a tree follow each other faster, and the old one would be measured. So a list beside the cache
says of which blob each module was when it was compiled. What may be of another blob is deleted.

See: ``sys.pycache_prefix`` (a cache that mirrors absolute paths); PEP 552 (what a ``.pyc`` is checked by).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile

from patches.model import MODE_EXECUTABLE, MODE_FILE, Entry

_FILES = frozenset({MODE_FILE, MODE_EXECUTABLE})
_SOURCE = b".py"


class BytecodeCache:
    """The cached bytecode of one tree, below a directory that mirrors absolute paths.

    Args:
        directory: What ``PYTHONPYCACHEPREFIX`` says.
        root: The directory that holds the tree.
        entries: What the tree has at each path; empty where that is not known.
    """

    def __init__(self, directory: Path, root: Path, entries: Mapping[bytes, Entry]) -> None:
        self._directory = directory
        self._root = root
        # The blob of a symlink says nothing of the module that is found through it.
        self._blobs = {
            path: entry.oid
            for path, entry in entries.items()
            if path.endswith(_SOURCE) and entry.mode in _FILES
        }
        name = sha256(os.fsencode(root.resolve())).hexdigest()
        self._list = directory.with_name("bytecode-of") / name

    def forget(self) -> None:
        """Delete what may be of another content, and note what will be compiled from here on.

        It is noted last and nothing is compiled before: a crash in between deletes once more.
        """
        known = self._read_list()
        same = frozenset(path for path, oid in self._blobs.items() if known.get(path) == oid)
        for sources in {self._root.absolute(), self._root.resolve()}:
            self._forget_tree(sources, same)
        if known != self._blobs:
            self._write_list()

    def distrust(self) -> None:
        """Let nothing that is cached be of a known content: the tree was changed while it was measured."""
        self._list.unlink(missing_ok=True)

    def forget_below(self, sources: Path) -> None:
        """Delete all below a directory of sources but the tree itself and environments."""
        spared = self._root.resolve()
        for entry, source in self._mirrored(sources):
            if source == spared or (source / "pyvenv.cfg").exists():
                continue
            if spared.is_relative_to(source):
                self.forget_below(source)
            elif entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)  # Another execution may be writing there.
            else:
                entry.unlink(missing_ok=True)

    def _mirrored(self, sources: Path) -> Iterator[tuple[Path, Path]]:
        """Yield what is cached directly below a directory of sources, each with its source."""
        mirrored = self._directory / str(sources).lstrip("/")
        for entry in list(mirrored.iterdir()) if mirrored.is_dir() else []:
            yield entry, sources / entry.name

    def _forget_tree(self, sources: Path, same: Collection[bytes]) -> None:
        for entry, source in self._mirrored(sources):
            if (source / "pyvenv.cfg").exists():
                continue
            for compiled in _list_files(entry):
                if not self._is_same(compiled, compiled.relative_to(entry.parent), same):
                    compiled.unlink(missing_ok=True)

    def _is_same(self, compiled: Path, name: Path, same: Collection[bytes]) -> bool:
        """Tell whether cached bytecode is of a module's present content.

        Its name is the module's, then a tag of the interpreter and of who compiled it, which may hold dots.
        """
        parts = name.name.split(".")
        stems = (name.with_name(".".join(parts[:end])) for end in range(1, len(parts)))
        modules = [module for stem in stems if (module := os.fsencode(stem) + _SOURCE) in self._blobs]
        if len(modules) != 1 or modules[0] not in same:
            return False
        try:
            source = self._root / os.fsdecode(modules[0])
            # What was changed in the second in which it was compiled, or later, may have changed twice.
            return int(source.stat().st_mtime) < int(compiled.stat().st_mtime)
        except OSError:
            return False

    def _read_list(self) -> dict[bytes, bytes]:
        try:
            lines = self._list.read_text("utf-8", "surrogateescape").split("\0")[:-1]
            pairs = [line.split(" ", 1) for line in lines]
            return {os.fsencode(path): bytes.fromhex(oid) for oid, path in pairs}
        except (OSError, ValueError):
            return {}

    def _write_list(self) -> None:
        """Write the list so that readers see it whole or not at all."""
        self._list.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=self._list.parent, delete=False) as file:
            for path, oid in self._blobs.items():
                file.write(b"%b %b\0" % (oid.hex().encode(), path))
        Path(file.name).replace(self._list)


def _list_files(entry: Path) -> Iterator[Path]:
    """Yield a file, or all files below a directory."""
    if not entry.is_dir():
        yield entry
    for directory, _, names in os.walk(entry):
        yield from (Path(directory, name) for name in names)
