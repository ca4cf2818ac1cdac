"""The journal of heads, ``cache/heads``: where the log ended after the last append, and each run's head.

A writer appends a block under the append lock: a line for each head that changed, then the place in the
log. So an append costs the same with one run and with a thousand, and a writer that was overtaken reads the
others' blocks instead of their frames. A head is decoded when somebody asks for it.

It is a projection: nothing syncs it, and one that cannot be written is no failure of the append. It is
believed only where the log has the frame that it names, and after the system has started anew only as far
as the log is known to have been synced: what comes after may be lost there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from zlib import crc32

import msgspec

from ledger.frames import Cursor
from ledger.heads import RunHead
from ledger.store.disk import Descriptor, boot_id, write_cached
from ledger.store.marks import DurableMark
from ledger.store.segments import Place

_HEADER = b"heads/2-%08x" % crc32(" ".join(RunHead.__struct_fields__).encode())
"""Heads with other fields, of another version, are not believed."""
_SLACK_SIZE_BYTES = 64 << 10
"""How far a journal may grow past twice the block that it was published with."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(RunHead)


class Heads:
    """The head of every run, folded up to ``place``. What a journal says is decoded when it is asked for."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._runs: dict[str, RunHead | bytes] = {}
        self._changed: set[str] = set()

    @property
    def position(self) -> int:
        """Position of the last event that was folded, 0 before the first."""
        return self.place.cursor.position

    def get(self, run: str) -> RunHead | None:
        """Return a run's head, None where it has no event."""
        head = self._runs.get(run)
        if isinstance(head, bytes):
            head = self._runs[run] = _decoder.decode(head)
        return head

    def put(self, head: RunHead) -> None:
        """Take over a run's new head; the next block of the journal has it."""
        self._runs[head.run] = head
        self._changed.add(head.run)

    def every(self) -> Mapping[str, RunHead]:
        """Return the head of every run."""
        return {run: head for run in self._runs if (head := self.get(run)) is not None}

    def adopt(self, stored: Mapping[str, bytes], place: Place) -> None:
        """Take over the heads of a block, unless what was folded here already goes further."""
        if place.cursor.position > self.position:
            self._runs.update(stored)
            self.place = place

    def lines(self, *, changed: bool) -> bytes:
        """Return the journal's lines: of every head, or of those that changed since `settle`."""
        runs = self._changed if changed else self._runs
        return b"".join(b"%b\t%b\n" % (_encoder.encode(run), _stored(self._runs[run])) for run in runs)

    def settle(self) -> None:
        """Take note that the journal has every head."""
        self._changed.clear()


class Journal:
    """The file of the heads. Reading needs no lock; writing is done under the append lock.

    ``boot`` is the present boot id, "" where the system has none; ``durable`` says how far a journal of
    another one is believed.
    """

    def __init__(self, path: Path, durable: DurableMark) -> None:
        self.path = path
        self._durable = durable
        self.boot = boot_id()
        self._file: Descriptor | None = None
        self._crc = 0
        self._size = 0
        self._limit = 0

    def read(self, heads: Heads) -> None:
        """Fold what was appended to the journal since the last call into ``heads``.

        Blocks are taken as far as they are whole; of a journal that was written before the system last
        started those alone that ``durable`` covers: of the rest, the log itself may have lost bytes since.
        """
        size = self._size_now()
        while self._file is None or size < self._size:
            # It was replaced: by a writer, whose lock a reader does not take, even while it is opened here.
            self._open()
            if self._file is None:
                return
            size = self._size_now()
        if size == self._size:
            return
        data = os.pread(self._file.fd, size - self._size, self._size)
        if self._size or (self.boot and data.startswith(self._header())):
            self._read_blocks(data, heads)
            return
        if data.startswith(_HEADER + b"\t"):
            end, _ = _whole_blocks(data, 0, self._durable.read().position)
            _adopt_blocks(data[:end], heads)
        # The next writer publishes one of this boot.
        self.close()

    def write(self, heads: Heads) -> None:
        """Append the heads that changed, or publish all where the journal does not go on from there."""
        if not self._size == self._size_now() < self._limit or not self._append(heads):
            self._publish(heads)

    def discard(self) -> None:
        """Remove the journal: what it says of the log is no longer so."""
        self.close()
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Release the file; the next call begins from its beginning."""
        self._file, self._size, self._crc = None, 0, 0

    def _size_now(self) -> int:
        """Return the size of the file that is open, -1 where it is none or no longer the journal."""
        if self._file is None:
            return -1
        facts = os.fstat(self._file.fd)
        return facts.st_size if facts.st_nlink else -1

    def _open(self) -> None:
        self.close()
        for flags in (os.O_RDWR, os.O_RDONLY):
            with suppress(OSError):
                self._file = Descriptor(os.open(self.path, flags | os.O_CLOEXEC))
                return

    def _header(self) -> bytes:
        return b"%b\t%b\n" % (_HEADER, self.boot.encode())

    def _read_blocks(self, data: bytes, heads: Heads) -> None:
        if self._size == 0:
            self._limit = 2 * data.find(b"\n@\t") + _SLACK_SIZE_BYTES
        # The last checksum covers all blocks; only where it fails, each one's says how far they are whole.
        end, crc = len(data), _checked(data, 0, len(data), self._crc)
        if crc is None:
            end, crc = _whole_blocks(data, self._crc)
        _adopt_blocks(data[:end], heads)
        self._size, self._crc = self._size + end, crc

    def _append(self, heads: Heads) -> bool:
        assert self._file is not None
        block, crc = _block(heads.lines(changed=True), heads.place, self._crc)
        try:
            if os.pwrite(self._file.fd, block, self._size) < len(block):
                return False
        except OSError:
            return False
        self._size, self._crc = self._size + len(block), crc
        heads.settle()
        return True

    def _publish(self, heads: Heads) -> None:
        """Replace the journal by one block. Where that fails, an old one ends before the log does."""
        block, crc = _block(self._header() + heads.lines(changed=False), heads.place, 0)
        if not write_cached(self.path, block):
            return self.close()
        self._open()
        self._size, self._crc, self._limit = len(block), crc, 2 * len(block) + _SLACK_SIZE_BYTES
        return heads.settle()


def last_boot(path: Path) -> str:
    """Return the boot in which the log was last appended to, "" where it is not known."""
    try:
        header, _, boot = path.read_bytes().partition(b"\n")[0].partition(b"\t")
    except OSError:
        return ""
    return boot.decode("ascii", "replace") if header.startswith(b"heads/2-") else ""


def _adopt_blocks(data: bytes, heads: Heads) -> None:
    """Fold whole blocks into ``heads``; there may be none."""
    if not data:
        return
    lines = data.split(b"\n")
    # Later lines of a run replace earlier ones; a line of heads begins with the run's name, quoted.
    parts = (line.partition(b"\t") for line in lines if line[:1] == b'"')
    latest = {run: head for run, _, head in parts}
    stored = {msgspec.json.decode(run, type=str): head for run, head in latest.items()}
    heads.adopt(stored, _parse_place(lines[-2]))


def _stored(head: RunHead | bytes) -> bytes:
    return head if isinstance(head, bytes) else _encoder.encode(head)


def _block(lines: bytes, place: Place, crc: int) -> tuple[bytes, int]:
    """Return a block and the checksum of the journal to its end, ``crc`` being that of what is before."""
    cursor = place.cursor
    text = b"%b@\t%d %d %d %b\t" % (lines, place.segment, place.offset, cursor.position, cursor.hash.encode())
    crc = crc32(text, crc)
    check = b"%08x\n" % crc
    return text + check, crc32(check, crc)


def _checked(data: bytes, begin: int, end: int, crc: int) -> int | None:
    """Return the checksum to the end of ``data[begin:end]``, None where that is not whole blocks."""
    last = data.rfind(b"\n", begin, max(begin, end - 1)) + 1
    if data[last : last + 2] != b"@\t":
        return None
    crc = crc32(data[begin : end - 9], crc)
    check = data[end - 9 : end]
    return crc32(check, crc) if check == b"%08x\n" % crc else None


def _whole_blocks(data: bytes, crc: int, last: int | None = None) -> tuple[int, int]:
    """Return where the whole blocks at the beginning of ``data`` end, and the checksum there.

    With ``last``, those alone that do not go past this position.
    """
    at = 0
    while (mark := data.find(b"\n@\t", at)) >= 0 and (end := data.find(b"\n", mark + 1)) >= 0:
        checked = _checked(data, at, end + 1, crc)
        if checked is None:
            break
        if last is not None and _parse_place(data[mark + 1 : end]).cursor.position > last:
            break
        at, crc = end + 1, checked
    return at, crc


def _parse_place(line: bytes) -> Place:
    segment, offset, position, digest = line.split(b"\t")[1].split(b" ")
    return Place(int(segment), int(offset), Cursor(int(position), digest.decode("ascii")))
