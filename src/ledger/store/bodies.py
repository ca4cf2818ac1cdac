"""Bodies: content-addressed bytes beside the log, ``bodies/ab/<sha256>``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ledger.errors import DamagedLedger
from ledger.events import body_digest
from ledger.store.disk import sync_directory, write_durably

_AT_A_TIME = 16


class Bodies:
    """The bodies of one ledger. Writing one makes it durable but visible to nobody: no event names it yet."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._named: set[Path] = set()
        self._just_written: set[str] = set()

    def path(self, digest: str) -> Path:
        """Return where a body lies."""
        return self.root / digest[:2] / digest

    def write(self, data: bytes) -> str:
        """Store ``data`` durably and return its digest.

        Raises:
            OSError: The disk is full or failing. A temporary file may be left, no body.
        """
        digest = body_digest(data)
        path = self.path(digest)
        if digest in self._just_written and path.is_file():
            self._just_written.remove(digest)
            return digest
        self._make(path.parent)
        if path.is_file() and path.read_bytes() == data:
            # It counts as new: retention leaves new bodies alone, as an event may be about to name them.
            os.utime(path)
            # A crash may have come between its rename and the sync of its name.
            sync_directory(path.parent)
        else:
            write_durably(path, data)
        return digest

    def write_all(self, bodies: Iterable[bytes]) -> None:
        """Store several bodies durably; the disk confirms many at a time. `write` of each is then one look.

        Raises:
            OSError: As `write`; some of them are there.
        """
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            self._just_written = set(pool.map(self.write, bodies))

    def _make(self, directory: Path) -> None:
        """Make a directory of bodies and sync its name: whoever made it before may have died before that."""
        if directory not in self._named:
            directory.mkdir(parents=True, exist_ok=True)
            sync_directory(self.root)
            self._named.add(directory)

    def read(self, digest: str) -> bytes:
        """Return a body, its digest checked.

        Raises:
            DamagedLedger: It is missing, or its bytes are others.
        """
        path = self.path(digest)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise DamagedLedger(f"bodies/{digest[:2]}/{digest}", "the body is missing") from None
        if body_digest(data) != digest:
            raise DamagedLedger(f"bodies/{digest[:2]}/{digest}", "the body's bytes are not what was written")
        return data

    def size_bytes(self, digest: str) -> int | None:
        """Return the size of a body, None where there is none."""
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError:
            return None

    def traces(self, digest: str) -> list[Path]:
        """Return the files that hold a body: its own, and what a crash left of writing it."""
        directory = self.root / digest[:2]
        return [path for path in (self.path(digest), *directory.glob(f".{digest}.*")) if path.exists()]

    def remove(self, digest: str) -> None:
        """Remove every file that holds a body, durably. An event has said so before."""
        for path in self.traces(digest):
            path.unlink(missing_ok=True)
        sync_directory(self.root / digest[:2])

    def remove_old(self, digest: str, before_ns: int) -> bool:
        """Delete a body that nobody has written since a moment, and return whether it is gone."""
        path = self.path(digest)
        if path.stat().st_mtime_ns >= before_ns:
            return False
        path.unlink()
        return True

    def digests(self) -> Iterator[str]:
        """Yield the name of every stored body, in order."""
        for path in sorted(self.root.glob("[0-9a-f][0-9a-f]/*")):
            if not path.name.startswith("."):
                yield path.name
