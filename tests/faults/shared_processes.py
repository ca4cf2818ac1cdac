"""The processes of `test_shared_store`: writers that can be killed at any moment, and followers."""

from __future__ import annotations

import os
import random
from pathlib import Path
from uuid import UUID

from ledger.events import RunStarted
from ledger.stamps import Actor, Stamp
from ledger.store.postgres import PostgresStore, TailCursor

HOME = "ab" * 32
STAMP = Stamp(Actor("agent", "writer", ""))
PATIENCE_S = 120


def event_of(writer: int, number: int) -> RunStarted:
    """Return a writer's event of a number: always with the same id. Two writers share a run."""
    return RunStarted(
        id=str(UUID(int=0x7 << 76 | 0x8 << 60 | writer << 32 | number)),
        run=f"run{writer // 2}",
        at_ns=STAMP.clock(),
        actor=STAMP.actor,
        title=f"{writer}/{number}",
        work_tree="",
        head=None,
        branch=None,
        base_tree="0" * 40,
        listing="",
    )


def acknowledged(log: Path) -> int:
    """Return how many appends a writer has noted as acknowledged; a torn line counts for nothing."""
    return log.read_bytes().count(b"\n") if log.exists() else 0


def write(url: str, writer: int, count: int, log: Path) -> None:
    """Append the events that are not acknowledged yet, in groups of one to three, and note each that is."""
    dice = random.Random()
    store = connect(url)
    number = acknowledged(log)
    with log.open("ab", buffering=0) as file:
        while number < count:
            # A group that a kill has divided from its acknowledgement is sent again, maybe as other groups:
            # so one event each until it is sure that the next is new.
            size = min(dice.randint(1, 3), count - number) if number > acknowledged_before(log) else 1
            frames = store.append([event_of(writer, number + n) for n in range(size)])
            file.write(b"".join(b"%s\n" % frame.event.id.encode() for frame in frames))
            number += size


def acknowledged_before(log: Path) -> int:
    """Return the number from which a writer that begins again cannot have sent anything: three past the last."""
    mark = log.with_suffix(f".{os.getpid()}")
    if not mark.exists():
        mark.write_text(str(acknowledged(log) + 3))
    return int(mark.read_text())


def follow(url: str, log: Path, end: Path) -> None:
    """Note every event that comes, until nothing comes any more and the end was announced."""
    store = connect(url)
    cursor = TailCursor()
    with log.open("ab") as file:
        while True:
            ended = end.exists()
            for batch in store.tail(cursor, wait_s=0.5, size=50):
                for found in batch.events:
                    file.write(f"{found.run} {found.v} {found.event.id}\n".encode())
                cursor = batch.cursor
            if ended:
                return


def connect(url: str) -> PostgresStore:
    """Connect, trying as long as the server is down."""
    from time import monotonic, sleep

    from ledger.shared_errors import StoreUnreachable

    until = monotonic() + PATIENCE_S
    while True:
        try:
            return PostgresStore.connect(url, home=HOME, stamp=STAMP, patience_s=PATIENCE_S)
        except StoreUnreachable:
            if monotonic() > until:
                raise
            sleep(0.05)
