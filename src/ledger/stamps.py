"""Stamps: who acts, and where ids and times come from."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from msgspec import Struct


class Actor(Struct, frozen=True):
    """Who did it, as claimed by ``LEDGER_ACTOR`` (``kind:name:session``); nothing proves it."""

    kind: str = "unknown"
    name: str = ""
    session: str = ""


class Stamp(Struct, frozen=True):
    """Where identity and time come from: the id source, the clock, and the claimed actor."""

    actor: Actor = Actor()
    clock: Callable[[], int] = time.time_ns
    entropy: Callable[[int], bytes] = os.urandom

    def new_id(self, at_ns: int) -> str:
        """Return a UUIDv7 (RFC 9562, section 5.7) for a moment in nanoseconds."""
        value = (at_ns // 1_000_000) << 80 | int.from_bytes(self.entropy(10), "big")
        value = value & ~(0xF000 << 64) & ~(0xC000 << 48) | 0x7000 << 64 | 0x8000 << 48
        digits = f"{value:032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
