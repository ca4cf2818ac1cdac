"""Verification: what can be checked of a ledger, and what cannot (P3, P4, P5).

Reads only. Damage ends the check of what depends on it, and everything else goes on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import pygit2

from ledger.errors import DamagedLedger, LedgerError, ReplayMismatch, UnknownKind
from ledger.events import (
    LEDGER_RUN,
    NO_DIGEST,
    AnyEvent,
    BodyDropped,
    RunFinished,
    RunStarted,
    TreeEvent,
    event_digest,
    parse_event,
)
from ledger.findings import Finding
from ledger.heads import RunHead
from ledger.history import History
from ledger.projections.refs import RunRef
from ledger.redaction import bodies_of
from ledger.replay import replay
from ledger.repository import Repository
from ledger.state import fold_state, tree_oid
from ledger.store.columns import RetiredRows, check_columns, retired_rows
from ledger.store.local import LocalStore
from ledger.store.sealed import Sealed
from ledger.witnesses import Witnesses
from patches.errors import PatchError
from patches.scratchobjects import ScratchObjects


def verify(store: LocalStore, repository: Repository, witnesses: Witnesses) -> Iterator[Finding]:
    """Yield a finding for the log, for the bodies, each run's state, replay and ref, and for checkpoints."""
    runs: dict[str, list[AnyEvent]] = {}
    hashes = witnesses.positions()
    retired = _retired(store)
    log = _check_log(store, runs, hashes, retired)
    yield log
    if log.outcome == "ok" and (unconfirmed := store.unconfirmed()):
        yield Finding(
            "unproved", "log", f"{unconfirmed} more events are there, which the disk has not confirmed"
        )
    yield from _check_sealed(store, retired)
    if log.outcome == "ok" and retired:
        # Of retired frames the chain still has the hashes.
        links = store.segments.links_backward()
        hashes |= {link.position: link.hash for link in links if hashes.get(link.position) == ""}
    yield _check_bodies(store, runs)
    for run, events in runs.items():
        if isinstance(events[0], RunStarted):
            yield from _check_run(store, repository, run, events)
    yield from witnesses.findings(hashes, sum(map(len, runs.values())))


def _retired(store: LocalStore) -> dict[str, RunHead]:
    """Return the runs that retention took; none where the log is damaged, which its own check says."""
    try:
        return {run: head for run, head in store.heads().items() if head.retired}
    except DamagedLedger:
        return {}


def _check_log(
    store: LocalStore, runs: dict[str, list[AnyEvent]], hashes: dict[int, str], retired: Collection[str] = ()
) -> Finding:
    """Check the chain of frames and each run's own chain, collecting the events by run.

    ``hashes`` gets the hash of the frame at each of its positions that is intact.
    """
    chain = store.check_chains(hashes)
    if chain is None:
        return _scan_log(store, runs, hashes, retired)
    count = 0
    for run, data in chain.events():
        count += 1
        if run in retired:
            continue  # What is left of it: the next `ledger gc` takes it.
        events = runs.setdefault(run, [])
        try:
            event = parse_event(data)
        except ValueError as error:
            return Finding("damaged", "log", f"{run}:{len(events) + 1}: {error}")
        if (event.run, event.v) != (run, len(events) + 1):
            reason = f"the event calls itself {event.reference}"
            return Finding("damaged", "log", f"{run}:{len(events) + 1}: {reason}")
        events.append(event)
    if count < chain.cursor.position:
        runs.clear()  # Frames went while they were read: what is there now is another log.
        return _scan_log(store, runs, hashes, retired)
    hashes |= {position: chain.hashes[position] for position in hashes if position in chain.hashes}
    return _intact(count)


def _intact(count: int) -> Finding:
    return Finding("ok", "log", f"{count} events, every hash and every run's own chain")


def _scan_log(
    store: LocalStore, runs: dict[str, list[AnyEvent]], hashes: dict[int, str], retired: Collection[str]
) -> Finding:
    """Check the log frame by frame: it says where damage is, and ends before what is not confirmed."""
    digests: dict[str, str] = {}
    count, place = 0, "log"
    try:
        for frame in store.frames():
            place, event = f"position {frame.s}", frame.event
            if event.run in retired:
                continue  # What is left of it: the next `ledger gc` takes it.
            events = runs.setdefault(event.run, [])
            if event.v != len(events) + 1:
                raise DamagedLedger(place, f"version {event.v} of run {event.run} follows {len(events)}")
            if event.prev != digests.get(event.run, NO_DIGEST):
                raise DamagedLedger(place, f"{event.reference} does not name the run's event before it")
            digests[event.run] = event_digest(frame.e)
            events.append(event)
            count += 1
            if frame.s in hashes:
                hashes[frame.s] = frame.h
    except DamagedLedger as error:
        return Finding("damaged", "log", f"{error}; the {count} events before are intact")
    except OSError:
        raise  # What cannot be read is not damaged; an error of a seek is a ValueError too.
    except ValueError as error:
        return Finding("damaged", "log", f"{place}: {error}; the {count} events before are intact")
    return _intact(count)


def _check_sealed(store: LocalStore, retired: Mapping[str, RunHead]) -> Iterator[Finding]:
    """Check every sealed segment by itself: seal, file, chain, columns, and what retention left."""
    # Anew, so that every byte is read from the disk.
    sealed, events = Sealed(store.segments.sealed.root), 0
    gone: dict[str, RetiredRows] = {}
    firsts = sealed.firsts()
    for first in firsts:
        try:
            seal = sealed.seal(first)
            sealed.prove(seal)
            check_columns(sealed, seal)
            for rows in retired_rows(sealed, seal):
                gone[rows.run] = rows.after(gone.get(rows.run))
        except DamagedLedger as error:
            yield Finding("damaged", "sealed", str(error))
            return
        events += seal.last - seal.first + 1
    if firsts:
        yield Finding("ok", "sealed", f"segments: {len(firsts)}, {events} events: seals, chain and columns")
    for run, rows in gone.items():
        head = retired.get(run)
        if head is None or rows.last_v > head.v or (rows.last_v == head.v and rows.digest != head.digest):
            yield Finding(
                "damaged", "sealed", f"run {run}: its events are gone, and no retention names it so"
            )
    if gone:
        count, names = sum(rows.number for rows in gone.values()), {head.retired for head in retired.values()}
        what = f"{count} events of {len(gone)} runs were retired by {', '.join(sorted(names))}"
        yield Finding("unproved", "retention", f"{what}: what they said cannot be checked any more")


def _check_bodies(store: LocalStore, runs: dict[str, list[AnyEvent]]) -> Finding:
    every = (event for events in runs.values() for event in events)
    named = {digest for event in every for digest in bodies_of(event).values()}
    try:
        gone = store.dropped()
    except DamagedLedger:
        # The log's own check says so. What is known of it is what lies before the damage.
        drops = (event for event in runs.get(LEDGER_RUN, []) if isinstance(event, BodyDropped))
        gone = {digest: event.reference for event in drops for digest in event.bodies}
    for digest in sorted(named - gone.keys()):
        try:
            store.read_body(digest)
        except DamagedLedger as error:
            return Finding("damaged", "bodies", str(error))
    left = [f"{digest[:12]}, dropped by {gone[digest]}" for digest in gone if store.bodies.traces(digest)]
    if left:
        again = "the next `ledger redact` removes what should be gone"
        return Finding("warning", "bodies", f"still there: {'; '.join(left)}: {again}")
    less = f"; {len(gone)} dropped" if gone else ""
    return Finding("ok", "bodies", f"{len(named - gone.keys())} bodies, every digest{less}")


def _check_run(
    store: LocalStore, repository: Repository, run: str, events: list[AnyEvent]
) -> Iterator[Finding]:
    try:
        state = fold_state(events, store.read_body, len(events))
        assert state is not None
        got = tree_oid(state.files).hex()
        if got == state.recorded_tree:
            yield Finding("ok", run, f"state: {len(state.files)} files hash to the recorded tree {got[:12]}")
        else:
            yield Finding("damaged", run, f"state: tree {got}, the events recorded {state.recorded_tree}")
    except LedgerError as error:
        yield Finding("damaged", run, f"state: {error}")
    yield _check_replay(store, repository, run, events)
    yield _check_ref(repository, run, events)
    yield from _check_accepted(repository, run, events)


def _check_replay(store: LocalStore, repository: Repository, run: str, events: list[AnyEvent]) -> Finding:
    started = events[0]
    assert isinstance(started, RunStarted)
    if pygit2.Oid(hex=started.base_tree) not in repository.git:
        return Finding("unproved", run, f"replay: the base tree {started.base_tree[:12]} is not here")
    count = 0
    unproved: list[str] = []
    try:
        for step, _ in replay(events, store, ScratchObjects(repository.git), len(events)):
            count += 1
            unproved += [] if step.proved else [step.event]
    except (ReplayMismatch, DamagedLedger, PatchError) as error:
        return Finding("damaged", run, f"replay: {error}")
    except LedgerError as error:
        return Finding("unproved", run, f"replay: {error}")
    if unproved:
        found = f"{count - 1} states, every tree identical; without the patches that were dropped of "
        return Finding("unproved", run, f"replay: {found}{', '.join(unproved)}")
    return Finding("ok", run, f"replay: patches since the base: {count - 1}, every tree identical")


def _check_ref(repository: Repository, run: str, events: list[AnyEvent]) -> Finding:
    ref = RunRef(repository, run)
    last = max(event.v for event in events if isinstance(event, TreeEvent))
    version = ref.version()
    if version == last:
        return Finding("ok", run, f"{ref.name} keeps its trees reachable")
    reason = "is missing" if version is None else f"stands at version {version} of {last}"
    finished = isinstance(events[-1], RunFinished)
    when = "the next start or end of a run" if finished else "the next writing command"
    return Finding("warning", run, f"{ref.name} {reason}; {when} brings it up")


def _check_accepted(repository: Repository, run: str, events: list[AnyEvent]) -> Iterator[Finding]:
    """Check the accepted state and its ref, where anything was ever accepted."""
    try:
        history = History.of(events)
    except UnknownKind:
        return  # Said before: the state past it is not known.
    accepted, named = history.accepted, RunRef(repository, run).accepted_version()
    if accepted.v == 1 and named is None:
        return
    what = f"accepted state: {run}:{accepted.v}, tree {accepted.tree[:12]}"
    if named == accepted.v:
        yield Finding("ok", run, what)
    else:
        found = "is missing" if named is None else f"names version {named}"
        yield Finding("warning", run, f"{what}; its ref {found}: `ledger gate` brings it up")
