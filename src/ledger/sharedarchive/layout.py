"""Layout: what lies where in an archive's directory, and the seals by which it counts.

A *batch* is what was archived of one day in one step: a Parquet file of each table, and a seal that names
them with their digests. What no seal names is nobody's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import cached_property
from hashlib import file_digest, sha256
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct

from ledger.archive_errors import DamagedArchive, NewerArchive, NoArchive
from ledger.store.disk import sync_directory, write_durably
from ledger.store.sealed import encode_hashed, parse_hashed

FORMAT = b"ledger-archive/1\n"
EVENTS, RUNS = "events", "runs"
"""The tables that are the archive's own; the others are those that SQL sees of a local ledger."""

DAYLESS = ("path", "base_file")
"""Tables whose rows are of no day: later batches go on from what earlier ones have."""

HOME_DIGITS = 16
_DOMAIN = b"ledger-batch/1\n"
_NAME = re.compile(r"\d{8}\.seal")


class FileSeal(Struct, frozen=True):
    """What one file is: its rows, its size and its digest."""

    rows: int
    size_bytes: int
    sha256: str


class BatchSeal(Struct, frozen=True, kw_only=True):
    """What a batch holds: ``files`` by their paths in the archive, and the bounds of its events."""

    batch: int
    day: str
    runs: int
    events: int
    first_seq: int
    last_seq: int
    min_at_ns: int
    max_at_ns: int
    files: dict[str, FileSeal]


class StoredEvent(NamedTuple):
    """An event as the shared ledger has it: its place in the order of arrival, and its bytes."""

    seq: int
    stored: bytes


class RunPart(NamedTuple):
    """Consecutive events of one run, past version ``after_v`` whose event has the digest ``after``."""

    home: str
    repository: str
    run: str
    after_v: int
    after: str
    events: Sequence[StoredEvent]

    @property
    def key(self) -> str:
        """The run's name among those of every home."""
        return run_key(self.home, self.run)


_seal = msgspec.json.Decoder(BatchSeal, strict=True)


def run_key(home: str, run: str) -> str:
    """Return the name of a run among those of every home: ``<first digits of the home>/<run>``."""
    return f"{home[:HOME_DIGITS]}/{run}"


def encode_seal(seal: BatchSeal) -> bytes:
    """Return the bytes of a batch's seal; it begins with the hash of the rest."""
    return encode_hashed(_DOMAIN, seal)


def file_of(table: str, day: str, batch: int) -> str:
    """Return where in the archive a batch has its rows of a table."""
    where = table if table in DAYLESS else f"{table}/day={day}"
    return f"{where}/{batch:08d}.parquet"


class SharedArchive:
    """An archive's directory, for reading: without a lock, and without what is added meanwhile."""

    def __init__(self, root: Path) -> None:
        """Take a directory that has its ``FORMAT``; see `open`."""
        self.root = root

    @classmethod
    def open(cls, root: Path, *, create: bool = False) -> SharedArchive:
        """Open an archive.

        Args:
            root: Its directory.
            create: Make it where there is none.

        Raises:
            NoArchive: There is none, and ``create`` is False; or the directory holds something else.
            NewerArchive: It was written in a format that this version does not read.
        """
        try:
            found = (root / "FORMAT").read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            if not create or (root.exists() and (not root.is_dir() or any(root.iterdir()))):
                raise NoArchive(root) from None
            (root / "seals").mkdir(parents=True)
            sync_directory(root.parent)
            write_durably(root / "FORMAT", FORMAT)
            found = FORMAT
        if found != FORMAT:
            raise NewerArchive(root, found.decode("utf-8", "replace").strip())
        return cls(root)

    @cached_property
    def seals(self) -> list[BatchSeal]:
        """The seals of all batches, in order.

        Raises:
            DamagedArchive: One is missing or damaged, or a file that it names is not there in its size.
        """
        names = sorted(name for name in os.listdir(self.root / "seals") if _NAME.fullmatch(name))
        seals = [self._read(number, name) for number, name in enumerate(names, start=1)]
        for seal in seals:
            for name, file in seal.files.items():
                self._check_size(name, file)
        return seals

    def _read(self, number: int, name: str) -> BatchSeal:
        if name != self.seal_path(number).name:
            raise DamagedArchive(str(self.seal_path(number)), "the seal is missing")
        try:
            return parse_hashed(_DOMAIN, (self.root / "seals" / name).read_bytes(), _seal)
        except ValueError as error:
            where = str(self.root / "seals" / name)
            raise DamagedArchive(where, f"not the seal that was written: {error}") from error

    def _check_size(self, name: str, file: FileSeal) -> None:
        path = self.root / name
        try:
            size_bytes = path.stat().st_size
        except FileNotFoundError:
            raise DamagedArchive(str(path), "the file is missing") from None
        if size_bytes != file.size_bytes:
            raise DamagedArchive(str(path), f"it has {size_bytes} bytes instead of {file.size_bytes}")

    def seal_path(self, batch: int) -> Path:
        """Return the file of a batch's seal."""
        return self.root / "seals" / f"{batch:08d}.seal"

    def files(self, table: str) -> list[Path]:
        """Return the files that have rows of a table, in the order of their batches."""
        of_table = f"{table}/"
        return [self.root / name for seal in self.seals for name in seal.files if name.startswith(of_table)]

    def check_files(self, seal: BatchSeal) -> None:
        """Read every file of a batch and compare it with its seal.

        Raises:
            DamagedArchive: The bytes of one are not those that were sealed.
        """
        for name, file in seal.files.items():
            self._check_size(name, file)
            if seal_file(self.root / name, file.rows) != file:
                raise DamagedArchive(str(self.root / name), "its bytes are not what was sealed")


def seal_file(path: Path, rows: int) -> FileSeal:
    """Return what a file of so many rows is."""
    with path.open("rb") as file:
        return FileSeal(rows, path.stat().st_size, file_digest(file, sha256).hexdigest())
