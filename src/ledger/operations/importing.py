"""Importing: runs out of an export file, proved before anything is appended.

Everything that a reader of the target ledger would do with the events is done first, in memory: the
chain, every state from its file rows, every tree from its patch, the tables of SQL. Then bodies are
written, and each run is one append.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from ledger.bundles import LIMIT_BYTES, Bundle, RunEntry, named_bodies
from ledger.errors import LostRace
from ledger.events import (
    LEDGER_RUN,
    AnyEvent,
    BodyDropped,
    Event,
    RunImported,
    UnknownEvent,
    event_digest,
)
from ledger.heads import RunHead
from ledger.operations.proving import Proof, prove
from ledger.projections.questions import QuestionsFile
from ledger.run import identify
from ledger.transfer_errors import DivergedRun, InvalidBundle, OpenHere
from ledger.workspace import Workspace


class Imported(Struct, frozen=True):
    """What became of one run of a file.

    ``appended`` is how many of its events are new here, ``last_v`` the last one that is here now.
    ``proved_v`` is the last version that replay proved; where it is less, ``unproved`` says why.
    """

    run: str
    appended: int
    last_v: int
    proved_v: int
    unproved: str = ""


class _Incoming(NamedTuple):
    """One run of a file, its chain checked."""

    entry: RunEntry
    lines: list[bytes]
    events: list[AnyEvent]


def import_runs(
    workspace: Workspace, path: Path, *, limit_bytes: int = LIMIT_BYTES, source: str = ""
) -> list[Imported]:
    """Append the runs of an export file, as far as they are not here yet, byte for byte.

    All of the file is checked before the first append. Each run is one append, so a crash leaves some of
    the runs whole and the others out; the same import again does the rest.

    Args:
        workspace: Where to.
        path: The file.
        limit_bytes: What it may unpack to.
        source: What the events say it came from; by default the file's name.

    Raises:
        InvalidBundle: The file is damaged, contradicts itself, or its states are not what it says.
            Nothing was written.
        MissingBase: The Git objects that a run begins from are not here. Nothing was written.
        DivergedRun: Another run has the name, or another event a version. Nothing was written.
        OpenHere: The run is open in this very ledger. Nothing was written.
        OSError: The file cannot be read, or the disk is full. Bodies may be left that no event names.
    """
    with Bundle.open(path, limit_bytes) as bundle:
        incoming = [_Incoming(entry, *bundle.events(entry)) for entry in bundle.manifest.runs]
        _check_bodies(bundle, incoming)
        for run in incoming:
            _missing(workspace, run)
        try:
            proofs = [
                prove(workspace.repository, bundle, each.entry, each.lines, each.events) for each in incoming
            ]
        finally:
            # What the proofs have made is made again from the log: nothing of a refused file stays.
            workspace.repository.objects.forget()
        # Under the lock of the work tree: between a body and its event no redaction may take the body.
        with workspace.locked():
            name = source or bundle.name
            return [_take(workspace, bundle, name, *each) for each in zip(incoming, proofs, strict=True)]


def _check_bodies(bundle: Bundle, incoming: Sequence[_Incoming]) -> None:
    """Check that the bodies are those which the events name, each with its digest.

    Raises:
        InvalidBundle: One is missing that was not dropped, or named by nobody, or has other bytes.
    """
    named, needed = set[str](), set[str]()
    dropped = {d for run in incoming for each in run.entry.dropped for d in each.bodies}
    for run in incoming:
        for event, line in zip(run.events, run.lines, strict=True):
            bodies = named_bodies(event, line)
            named.update(bodies)
            if not isinstance(event, UnknownEvent):
                needed.update(bodies)
        named.update(each.reason for each in run.entry.dropped if each.reason)
    if missing := sorted(needed - bundle.digests - dropped):
        raise InvalidBundle(bundle.path, f"body {missing[0]} is missing")
    if unnamed := sorted((bundle.digests - named) | (dropped - named) | (dropped & bundle.digests)):
        raise InvalidBundle(bundle.path, f"body {unnamed[0]} is named by no event, or dropped and there")
    for digest in sorted(bundle.digests):
        bundle.read_body(digest)


def _missing(workspace: Workspace, run: _Incoming) -> int:
    """Return the version after which the events of a run are missing here.

    Raises:
        DivergedRun: Another event is here at some version.
        OpenHere: The run's home is here, where it is open.
    """
    head = workspace.store.heads().get(run.entry.run)
    if head is None:
        return 0
    common = min(head.v, len(run.lines))
    there = [event_digest(line) for line in run.lines]
    if head.v <= len(run.lines):
        same = head.digest == there[common - 1]
    else:
        same = _digests(workspace, head)[common - 1] == there[common - 1]
    if not same:
        here = _digests(workspace, head)
        v = next(v for v in range(1, common + 1) if here[v - 1] != there[v - 1])
        raise DivergedRun(head.run, v, here[v - 1], there[v - 1])
    if head.open and head.v < len(run.lines):
        raise OpenHere(head.run, head.v, len(run.lines))
    return head.v


def _digests(workspace: Workspace, head: RunHead) -> list[str]:
    """Return the digest of each event of a run that is here."""
    return [event_digest(frame.e) for frame in workspace.store.of_run(head.run)]


def _take(workspace: Workspace, bundle: Bundle, source: str, run: _Incoming, proof: Proof) -> Imported:
    """Append what is missing of one run, and bring its refs up to it."""
    while True:
        after = _missing(workspace, run)
        lines = run.lines[after:]
        if lines:
            notes = _write_bodies(workspace, bundle, run, after)
            imported = RunImported(
                **identify(LEDGER_RUN, workspace.stamp),
                of=run.entry.run,
                last_v=run.entry.events,
                digest=run.entry.digest,
                source=source,
            )
            try:
                QuestionsFile(workspace.repository, workspace.store).expect()
                workspace.store.append_copies(lines, [*notes, *workspace.named(imported)])
            except LostRace:
                # Somebody else imports the same file in this moment.
                continue
        break
    head = workspace.store.heads()[run.entry.run]
    if not head.open and not head.unknown:
        workspace.restore_refs(head)
    last_v = max(after, run.entry.events)
    return Imported(run.entry.run, len(lines), last_v, proof.v, proof.reason)


def _write_bodies(workspace: Workspace, bundle: Bundle, run: _Incoming, after: int) -> list[Event]:
    """Store the bodies of the events past a version, and return what says which of them were dropped."""
    store = workspace.store
    for event, line in zip(run.events[after:], run.lines[after:], strict=True):
        for digest in named_bodies(event, line):
            if digest in bundle.digests:
                store.write_body(bundle.read_body(digest))
    dropped: list[Event] = []
    for each in run.entry.dropped:
        lost = tuple(digest for digest in each.bodies if not store.bodies.path(digest).is_file())
        if lost:
            reason = each.reason if each.reason in bundle.digests else None
            if reason is not None:
                store.write_body(bundle.read_body(reason))
            identity = identify(LEDGER_RUN, workspace.stamp)
            dropped.append(BodyDropped(**identity, of=each.of, bodies=lost, reason=reason))
    return dropped
