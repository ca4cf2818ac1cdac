"""Bundles: export files, each a ZIP that holds whole runs with every body that their events name.

``manifest.json``, ``events/<run>.jsonl`` (the stored bytes of each event, one a line), and
``bodies/<sha256>``. Equal runs give equal bytes. What is read is taken for hostile: nothing is
believed that is not checked, and nothing is ever unpacked to a path that a file names.

See: ``docs/format.md``, "Export files".
"""

from __future__ import annotations

import json
import os
import re
import stat
import zlib
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import msgspec
from msgspec import Struct

from ledger.events import (
    LEDGER_RUN,
    NO_DIGEST,
    RUN_NAME,
    AnyEvent,
    RunRebased,
    RunStarted,
    UnknownEvent,
    body_digest,
    event_digest,
    parse_event,
    tree_after,
)
from ledger.redaction import bodies_of
from ledger.transfer_errors import BundleTooLarge, InvalidBundle, NewerBundle

FORMAT = "ledger-export/1"
LIMIT_BYTES = 1 << 30
"""What a bundle may unpack to, unless somebody says otherwise."""

_DATE = (1980, 1, 1, 0, 0, 0)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_QUOTED_DIGEST = re.compile(rb'"([0-9a-f]{64})"')
_KIND = re.compile(r"[a-z]+(?:[._-][a-z]+)*/[1-9][0-9]{0,8}")
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_MANIFEST = "manifest.json"


class Base(Struct, frozen=True):
    """Git objects that a run begins from: a commit (None where there was none) and its tree."""

    commit: str | None
    tree: str


class Dropped(Struct, frozen=True):
    """Bodies that were deleted where the file was written; as in ``body.dropped``."""

    of: str
    bodies: tuple[str, ...]
    reason: str | None = None


class RunEntry(Struct, frozen=True):
    """One run of a bundle: how many events there are, the digest of the last one, and what they need.

    ``bases`` are the Git objects that must be there, in the order in which the events name them.
    """

    run: str
    events: int
    digest: str
    bases: tuple[Base, ...]
    dropped: tuple[Dropped, ...] = ()


class Manifest(Struct, frozen=True):
    """What a bundle holds, and the ledger it comes from: the hash of its first frame."""

    format: str
    source: str
    runs: tuple[RunEntry, ...]


class _Versioned(Struct):
    format: str


def named_bodies(event: AnyEvent, stored: bytes) -> list[str]:
    """Return the digests that may name bodies of an event: its fields', or all in one of an unknown kind."""
    if isinstance(event, UnknownEvent):
        return [digest.decode() for digest in _QUOTED_DIGEST.findall(stored)]
    return list(bodies_of(event).values())


def bases_of(events: Iterable[AnyEvent]) -> tuple[Base, ...]:
    """Return what of Git's a run begins from, and goes on from after each rebase."""
    return tuple(
        Base(event.head, str(tree_after(event)))
        for event in events
        if isinstance(event, RunStarted | RunRebased)
    )


def write_bundle(
    file: IO[bytes],
    manifest: Manifest,
    events: Iterable[Sequence[bytes]],
    bodies: Iterable[tuple[str, bytes]],
) -> None:
    """Write a bundle.

    Args:
        file: A file that can be sought in; synced by nobody.
        manifest: What it holds.
        events: The stored events of each run of the manifest, in its order.
        bodies: Digest and bytes of each body, in order.
    """
    with ZipFile(file, "w", ZIP_DEFLATED, compresslevel=6) as archive:
        _write_member(archive, _MANIFEST, msgspec.json.encode(manifest) + b"\n")
        for entry, lines in zip(manifest.runs, events, strict=True):
            _write_member(archive, f"events/{entry.run}.jsonl", b"".join(line + b"\n" for line in lines))
        for digest, data in bodies:
            _write_member(archive, f"bodies/{digest}", data)


def _write_member(archive: ZipFile, name: str, data: bytes) -> None:
    info = ZipInfo(name, _DATE)
    info.compress_type = ZIP_DEFLATED
    info.create_system = 3
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    archive.writestr(info, data)


class Bundle:
    """An export file, open for reading. Use it as a context manager.

    ``manifest`` is checked for its shape alone; `events` and `read_body` check what they give.
    """

    def __init__(self, path: Path, archive: ZipFile, limit_bytes: int) -> None:
        """Read the table of contents and the manifest.

        Raises:
            InvalidBundle: The file is none, or holds what no bundle holds.
            NewerBundle: A later version wrote it.
            BundleTooLarge: It says that it unpacks to more than ``limit_bytes``.
        """
        self.path = path
        self._archive = archive
        self._members = self._list_members(limit_bytes)
        self.manifest = self._read_manifest()
        wanted = {_MANIFEST, *(f"events/{entry.run}.jsonl" for entry in self.manifest.runs)}
        self.digests = frozenset(name[7:] for name in self._members if name.startswith("bodies/"))
        for name in self._members.keys() - wanted:
            if not name.startswith("bodies/") or not _DIGEST.fullmatch(name[7:]):
                raise InvalidBundle(path, f"member {name!r} does not belong there")

    @property
    def name(self) -> str:
        """The file's name, bytes that are no UTF-8 escaped."""
        return os.fsencode(self.path.name).decode("utf-8", "backslashreplace")

    @classmethod
    def open(cls, path: Path, limit_bytes: int = LIMIT_BYTES) -> Self:
        """Open an export file; see the constructor.

        Raises:
            InvalidBundle: The file is none.
            OSError: It cannot be read.
        """
        with _damage_named(path):
            archive = ZipFile(path)
        try:
            return cls(path, archive, limit_bytes)
        except BaseException:
            archive.close()
            raise

    def __enter__(self) -> Self:
        """Return the bundle itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._archive.close()

    def events(self, entry: RunEntry) -> tuple[list[bytes], list[AnyEvent]]:
        """Return the stored bytes of a run's events, and the events.

        They are a run: versions without a gap, the chain of ``prev``, as many as the manifest says and
        with its last digest; JSON that no two readers take for different things.

        Raises:
            InvalidBundle: They are not.
        """
        data = self._read(f"events/{entry.run}.jsonl")
        lines = data.split(b"\n")
        if lines.pop() != b"" or len(lines) != entry.events:
            raise InvalidBundle(self.path, f"run {entry.run}: the manifest promises {entry.events} events")
        events, prev, ids = list[AnyEvent](), NO_DIGEST, set[str]()
        for v, line in enumerate(lines, start=1):
            try:
                event = _parse_strictly(line)
            except (ValueError, RecursionError) as error:
                raise InvalidBundle(self.path, f"{entry.run}:{v} is no event: {error}") from error
            if (event.run, event.v, event.prev) != (entry.run, v, prev) or event.id in ids:
                raise InvalidBundle(self.path, f"{entry.run}:{v} does not follow the event before it")
            if isinstance(event, RunStarted) != (v == 1):
                raise InvalidBundle(self.path, f"{entry.run}:{v}: a run begins with its one run.started")
            prev = event_digest(line)
            ids.add(event.id)
            events.append(event)
        if prev != entry.digest or not events:
            raise InvalidBundle(self.path, f"run {entry.run}: its last event is not the one of the manifest")
        return lines, events

    def read_body(self, digest: str) -> bytes:
        """Return a body.

        Raises:
            InvalidBundle: It is not there, or its bytes are others.
        """
        data = self._read(f"bodies/{digest}")
        if body_digest(data) != digest:
            raise InvalidBundle(self.path, f"body {digest}: its bytes have another digest")
        return data

    def _list_members(self, limit_bytes: int) -> dict[str, ZipInfo]:
        members: dict[str, ZipInfo] = {}
        for info in self._archive.infolist():
            name = info.filename
            if name in members:
                raise InvalidBundle(self.path, f"member {name!r} is there twice")
            if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED) or info.flag_bits & 0x1:
                raise InvalidBundle(self.path, f"member {name!r} is encrypted, or packed in a way of its own")
            members[name] = info
        size_bytes = sum(info.file_size for info in members.values())
        if size_bytes > limit_bytes:
            raise BundleTooLarge(self.path, size_bytes, limit_bytes)
        return members

    def _read_manifest(self) -> Manifest:
        data = self._read(_MANIFEST)
        try:
            found = msgspec.json.decode(data, type=_Versioned).format
            if found != FORMAT:
                raise NewerBundle(self.path, found, FORMAT)
            manifest = msgspec.json.decode(data, type=Manifest)
        except (ValueError, RecursionError) as error:
            raise InvalidBundle(self.path, f"{_MANIFEST}: {error}") from error
        runs = [entry.run for entry in manifest.runs]
        if not runs or len(set(runs)) != len(runs) or not all(map(is_run_name, runs)):
            raise InvalidBundle(self.path, f"{_MANIFEST}: it does not name runs, each once")
        if not _DIGEST.fullmatch(manifest.source):
            raise InvalidBundle(self.path, f"{_MANIFEST}: the ledger it comes from has no such hash")
        return manifest

    def _read(self, name: str) -> bytes:
        """Return a member's bytes, never more than its entry in the table says."""
        info = self._members.get(name)
        if info is None:
            raise InvalidBundle(self.path, f"{name} is missing")
        with _damage_named(self.path), self._archive.open(info) as member:
            # The reader stops at the size in the table; the CRC is checked at the end.
            data = member.read()
        if len(data) != info.file_size:
            raise InvalidBundle(self.path, f"{name} is shorter than it says")
        return data


@contextmanager
def _damage_named(path: Path) -> Generator[None]:
    """Turn what `zipfile` raises for damage into one error."""
    try:
        yield
    except (BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise InvalidBundle(path, f"not a whole ZIP file: {error}") from error


def is_run_name(name: str) -> bool:
    """Tell whether a run may have a name."""
    return bool(RUN_NAME.fullmatch(name)) and name != LEDGER_RUN and not name.endswith(".lock")


def _parse_strictly(line: bytes) -> AnyEvent:
    """Return the event of a line that every reader of JSON takes for the same.

    Raises:
        ValueError: The line is no event, or could be taken for different ones.
        RecursionError: It is nested without end.
    """
    text = line.decode("utf-8")
    if not text.startswith("{") or not text.endswith("}"):
        raise ValueError("there is something around it")
    if "\\ud" in text.lower():
        # One half of a surrogate pair alone is no text.
        json.dumps(json.loads(text), ensure_ascii=False).encode("utf-8")
    json.loads(
        text, object_pairs_hook=_unique, parse_int=_small, parse_float=_finite, parse_constant=_no_constant
    )
    event = parse_event(line)
    if not _KIND.fullmatch(event.kind) or not _ID.fullmatch(event.id) or event.at_ns < 0:
        raise ValueError("its kind, id or time is none")
    return event


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is there twice")
    return found


def _small(digits: str) -> int:
    if len(digits) > 20 or not -(1 << 63) <= int(digits) < 1 << 63:
        raise ValueError("a number has more than 64 bits")
    return int(digits)


def _finite(digits: str) -> float:
    if not isfinite(float(digits)):
        raise ValueError("a number is not finite")
    return float(digits)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")
