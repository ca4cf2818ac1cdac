"""An attacker who can write a ledger's directory and knows ``docs/format.md``, from which alone this is written.

It imports nothing of the ledger: what it writes is valid by the document, every hash of it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zlib
from pathlib import Path
from typing import Any

ZEROS = "0" * 64
Event = dict[str, Any]


class Forger:
    """The attacker at one ledger's directory, which has one segment.

    Args:
        root: The directory.
        thorough: Whether `durable` is written to match, too.
    """

    def __init__(self, root: Path, *, thorough: bool) -> None:
        self.root, self.thorough = root, thorough
        (self.log,) = (root / "log").iterdir()

    def lines(self) -> list[bytes]:
        return self.log.read_bytes().splitlines()

    def events(self) -> list[Event]:
        return [json.loads(line)["e"] for line in self.lines()]

    def drop(self, count: int) -> None:
        """Cut the last events off."""
        self.write(self.lines()[:-count])

    def forge(self, first: int, events: list[Event]) -> None:
        """Let ``events`` stand from position ``first`` on, every chain of theirs made anew."""
        kept = self.lines()[: first - 1]
        before = json.loads(kept[-1])["h"] if kept else ZEROS
        runs: dict[str, tuple[int, str]] = {}
        for line in kept:
            runs[json.loads(line)["e"]["run"]] = self._after(line.split(b',"e":', 1)[1][:-1])
        for position, event in enumerate(events, first):
            v, prev = runs.get(event["run"], (0, ZEROS))
            stored = json.dumps(
                event | {"v": v + 1, "prev": prev}, separators=(",", ":"), ensure_ascii=False
            ).encode()
            runs[event["run"]] = self._after(stored)
            body = b'"p":"%b","s":%d,"n":0,"w":%d,"e":%b}' % (before.encode(), position, position - 1, stored)
            before = hashlib.sha256(b"ledger/1\n" + body).hexdigest()
            kept.append(b'{"h":"%b",%b' % (before.encode(), body))
        self.write(kept)

    @staticmethod
    def _after(stored: bytes) -> tuple[int, str]:
        return json.loads(stored)["v"], hashlib.sha256(b"ledger-event/1\n" + stored).hexdigest()

    def write(self, lines: list[bytes]) -> None:
        """Let the log hold these lines, and remove what would remember others."""
        self.log.write_bytes(b"".join(line + b"\n" for line in lines))
        shutil.rmtree(self.root / "cache", ignore_errors=True)
        if self.thorough:
            last = json.loads(lines[-1])
            text = b"%d %b" % (last["s"], last["h"].encode())
            line = b"%b %08x" % (text, zlib.crc32(text))
            (self.root / "durable").write_bytes(line.ljust(127) + b"\n")

    def put_back(self, older: Path) -> None:
        """Put an older copy of the whole directory in the place of this one."""
        shutil.rmtree(self.root)
        shutil.copytree(older, self.root)


def later(events: list[Event]) -> list[Event]:
    """Return other events of the same kinds: their times are a second later."""
    return [event | {"at_ns": event["at_ns"] + 1_000_000_000} for event in events]
