"""Checks of the ledger's directory: format, the log's end, locks, what recovery set aside, size."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from ledger.errors import DamagedLedger
from ledger.gates.settings import Storage
from ledger.health.model import Check
from ledger.repository import Repository
from ledger.store.disk import boot_id
from ledger.store.holders import lock_holders
from ledger.store.local import FORMAT, LocalStore
from ledger.store.marks import read_durable
from ledger.store.mounts import network_filesystem
from ledger.store.usage import measure_usage

VERIFY = "`ledger verify` says what is damaged and what is intact; keep a copy before anything else"


def check_format(root: Path) -> Check:
    """Say in which format the ledger was written, and whether this version reads it."""
    try:
        found = (root / "FORMAT").read_bytes()
    except FileNotFoundError:
        return Check("format", "not-applicable", "nothing was recorded here yet")
    text = found.decode("utf-8", "backslashreplace").strip()
    if found == FORMAT:
        return Check("format", "ok", f"{text}, in {root}")
    reason = f"FORMAT says {text}; this version reads {FORMAT.decode().strip()}"
    return Check("format", "error", reason, "a newer version reads it: `pip install --upgrade patch-ledger`")


def check_chain(store: LocalStore) -> Check:
    """Compare the last events with the mark of what was acknowledged. Only the end of the log is read."""
    durable = read_durable(store.root / "durable")
    try:
        position = store.position()
        marked = next((frame for frame in store.backward() if frame.s <= durable.position), None)
    except DamagedLedger as error:
        return Check("chain", "error", str(error), VERIFY)
    if marked is not None and marked.s == durable.position and marked.h != durable.hash:
        reason = f"position {durable.position} is not the frame that was acknowledged"
        return Check("chain", "error", reason, VERIFY)
    if _ends_torn(store):
        reason = f"{position} events, and half a one: it is being written, or a crash left it"
        help_ = "the next event sets it aside, as by `ledger apply` or `ledger phase`"
        return Check("chain", "warning", reason, help_)
    if marked is None and position:
        return Check("chain", "ok", f"{position} events; no mark says how far they were acknowledged")
    return Check("chain", "ok", f"{position} events; the one at the mark is the one that was acknowledged")


def _ends_torn(store: LocalStore) -> bool:
    """Return whether the open segment does not end with a line feed."""
    logged = store.segments.logged()
    if not logged:
        return False
    with store.segments.path(logged[-1]).open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - 1))
        return file.read(1) not in (b"", b"\n")


def check_sync(store: LocalStore) -> Check:
    """Say whether the disk has confirmed everything that was written."""
    mark = store.root / f"unsynced.{boot_id()}"
    if mark.exists():
        why = mark.read_text("utf-8", "backslashreplace").strip()
        reason = f"the disk refused to confirm what was written last: {why or 'no reason was noted'}"
        help_ = "look at the disk (`dmesg`, `df`); the next `ledger record` writes it anew"
        return Check("sync", "error", reason, help_)
    return Check("sync", "ok", "the disk refused nothing since the system started")


def check_quarantine(root: Path) -> Check:
    """Say what recovery has set aside: bytes that nobody was promised, kept for whoever wants to look."""
    sizes = [path.stat().st_size for path in (root / "quarantine").glob("[!.]*")]
    if not sizes:
        return Check("quarantine", "ok", "nothing was set aside")
    reason = f"{len(sizes)} torn ends of the log ({sum(sizes)} bytes), never acknowledged, are set aside"
    return Check(
        "quarantine", "ok", reason, "`ledger sql \"from events where kind = 'ledger.recovered'\"` says when"
    )


def check_holders(root: Path) -> Check:
    """Say which processes hold a lock of the ledger now."""
    held: list[str] = []
    for path in sorted((root / "locks").glob("*")):
        holders = lock_holders(path)
        if holders is None:
            return Check("holders", "not-applicable", "this system does not say who holds a lock")
        held += [f"{path.name}: process {pid}{command and f' ({command})'}" for pid, command in holders]
    if not held:
        return Check("holders", "ok", "no lock is held")
    return Check(
        "holders", "warning", "; ".join(held), "wait for it to end, or see what it does: `ps -fp PID`"
    )


def check_index_lock(repository: Repository) -> Check:
    """Say whether Git's index is locked, by somebody at work or somebody who was killed."""
    lock = repository.git_dir / "index.lock"
    try:
        age_s = max(0, int(time.time() - lock.stat().st_mtime))
    except FileNotFoundError:
        return Check("index-lock", "ok", "the index is not locked")
    reason = f"{lock} is there since {age_s} s: a Git command is at work, or one was killed"
    return Check("index-lock", "warning", reason, f"where no Git command runs: `rm '{lock}'`")


def check_disk(repository: Repository, storage: Storage) -> Iterator[Check]:
    """Say how much of the disk the ledger takes, and whether its file system is of one machine alone."""
    usage = measure_usage(repository.ledger_dir)
    parts = (usage.log_size_bytes, usage.sealed_size_bytes, usage.bodies_size_bytes)
    log, sealed, bodies = (f"{size / (1 << 20):.1f}" for size in parts)
    found = f"{usage.size_bytes / (1 << 20):.1f} MiB: log {log}, sealed {sealed}, bodies {bodies}"
    if usage.size_bytes > storage.warn_size_mb << 20:
        found = f"{found}; more than storage.warn-size-mb, {storage.warn_size_mb}"
        yield Check(
            "disk", "warning", found, "`ledger archive` seals the log, `ledger gc --keep 90d` lists old runs"
        )
    else:
        yield Check("disk", "ok", found)
    kind = network_filesystem(repository.common_dir)
    if kind:
        reason = f"the ledger lies on a network file system ({kind}): locks may not hold between machines"
        yield Check("network", "warning", reason, "work on one machine at a time, or in a local `git clone`")
    else:
        yield Check("network", "ok", "the file system is local")
