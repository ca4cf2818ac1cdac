"""Pulling: runs of other ledgers out of the shared store, proved as those of an export file are.

What is pulled is written as an export file first and taken in from there: the same checks, by the same code.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from ledger.bundles import (
    FORMAT,
    LIMIT_BYTES,
    Dropped,
    Manifest,
    RunEntry,
    bases_of,
    named_bodies,
    write_bundle,
)
from ledger.errors import DamagedLedger, DroppedBody, LedgerError
from ledger.events import LEDGER_RUN, AnyEvent, BodyDropped, RunStarted, event_digest, parse_event
from ledger.heads import RunHead
from ledger.operations.importing import Imported, import_runs
from ledger.repository import Repository
from ledger.sharing_errors import AmbiguousRun, ArchivedRun, BaseElsewhere, NoSharedRun, UnprovenRun
from ledger.store.homes import home_of
from ledger.store.local import LocalStore
from ledger.transfer_errors import DivergedRun, InvalidBundle, MissingBase
from ledger.workspace import Workspace

if TYPE_CHECKING:
    from ledger.store.postgres import PostgresStore

_DIGEST = re.compile(r"[0-9a-f]{64}")
_SHORT = 12
"""So many digits of a home are shown; any number that is enough may be given."""


class RemoteRun(Struct, frozen=True):
    """One run of the shared store, as somebody may pull it.

    ``home`` is its ledger, ``label`` what people call the repository there; ``v`` and ``digest`` are of its
    last event. ``here_v`` is the version up to which this ledger has it. ``fits`` says that the Git objects
    that it begins from are in this repository. ``archive`` is where its events were moved to, "" where they
    are in the store; then neither its title nor what it begins from is known.
    """

    home: str
    label: str
    run: str
    v: int
    digest: str
    title: str
    here_v: int
    fits: bool
    archive: str

    @property
    def name(self) -> str:
        """The run with its home, as `pull` takes it."""
        return f"{self.home[:_SHORT]}/{self.run}"


class Pulled(Struct, frozen=True):
    """What became of one run: whose it is, and what was taken in. ``imported`` is None where all was here."""

    run: RemoteRun
    imported: Imported | None


def list_shared(repository: Repository, store: LocalStore | None, shared: PostgresStore) -> list[RemoteRun]:
    """Return the runs of other ledgers in the shared store, by repository and home.

    Args:
        repository: Says which of them fit.
        store: This ledger, None where nothing was recorded yet.
        shared: The shared store.
    """
    own = "" if store is None else home_of(store)
    here: Mapping[str, RunHead] = {} if store is None else store.heads()
    found: list[RemoteRun] = []
    for each in shared.every_run():
        if each.home == own or each.run == LEDGER_RUN:
            continue
        started = None if each.archive else _started(shared.at_home(each.home), each.run)
        if started is None and not each.archive:
            continue
        known = here.get(each.run)
        here_v = known.v if known is not None and known.imported else 0
        title = "" if started is None else started.title
        fits = started is not None and _has_object(repository, started.base_tree)
        found.append(
            RemoteRun(
                *(each.home, each.label, each.run, each.v, each.digest),
                title=title,
                here_v=here_v,
                fits=fits,
                archive=each.archive,
            )
        )
    return sorted(found, key=lambda run: (run.label, run.home))


def _started(theirs: PostgresStore, run: str) -> RunStarted | None:
    """Return how a run began, None where it says that in no way that is known here."""
    for frame in theirs.of_run(run, 0, 1):
        event = frame.event
        return event if isinstance(event, RunStarted) else None
    return None


def choose(runs: Sequence[RemoteRun], names: Collection[str]) -> list[RemoteRun]:
    """Return the runs that names mean: ``RUN``, or ``HOME/RUN`` with a label or the beginning of a home.

    Without a name those that fit.

    Raises:
        NoSharedRun: There is none of a name.
        AmbiguousRun: Several homes have it.
    """
    if not names:
        return [each for each in runs if each.fits]
    return [_find(runs, name) for name in dict.fromkeys(names)]


def _find(runs: Sequence[RemoteRun], name: str) -> RemoteRun:
    whose, _, run = name.rpartition("/")
    found = [
        each
        for each in runs
        if each.run == run and (not whose or each.label == whose or each.home.startswith(whose))
    ]
    if not found:
        raise NoSharedRun(name)
    if len(found) > 1:
        raise AmbiguousRun(name, [each.name for each in found])
    return found[0]


def pull(
    workspace: Workspace,
    shared: PostgresStore,
    runs: Sequence[RemoteRun],
    *,
    source: str,
    limit_bytes: int = LIMIT_BYTES,
) -> list[Pulled]:
    """Take runs in, one after the other, as far as they are not here yet.

    One that is refused keeps none of the others out; the first refusal is raised in the end, and its notes
    name what was taken in, and what else was refused.

    Args:
        workspace: Where to.
        shared: Where from.
        runs: Which, as `list_shared` gives them.
        source: What the events say they came from.
        limit_bytes: What one of them may take.

    Raises:
        UnprovenRun: The store has not what the run's ledger sends. Nothing of it was taken in.
        BaseElsewhere: The Git objects that it begins from are not here. Nothing of it was taken in.
        ArchivedRun: Its events were moved to an archive. Nothing of it was taken in.
        DivergedRun: Another run has the name here, or another event a version. Nothing of it was taken in.
    """
    pulled, refused = list[Pulled](), list[LedgerError]()
    way = _Way(workspace, shared, source, limit_bytes)
    for run in runs:
        try:
            pulled.append(Pulled(run, way.bring(run)))
        except (UnprovenRun, BaseElsewhere, ArchivedRun, DivergedRun) as error:
            refused.append(error)
    if refused:
        first, *others = refused
        for each in (each for each in pulled if each.imported is not None):
            first.add_note(f"taken in: {each.run.run}:{each.run.v}")
        for other in others:
            first.add_note(f"refused as well: {other}")
        raise first
    return pulled


class _Way(NamedTuple):
    """From a shared store into a ledger."""

    workspace: Workspace
    shared: PostgresStore
    source: str
    limit_bytes: int

    def bring(self, run: RemoteRun) -> Imported | None:
        """Take one run in; return None where all of it is here."""
        store = self.workspace.store
        here = store.heads().get(run.run)
        if here is not None and here.imported and (here.v, here.digest) == (run.v, run.digest):
            return None
        if run.archive:
            raise ArchivedRun(run.name, run.archive)
        theirs = self.shared.at_home(run.home)
        with tempfile.TemporaryDirectory(prefix="ledger-pull-") as scratch:
            path = Path(scratch, "run")
            try:
                _write(path, store, theirs, run, self.limit_bytes)
                (imported,) = import_runs(
                    self.workspace, path, limit_bytes=self.limit_bytes, source=self.source
                )
            except InvalidBundle as error:
                raise UnprovenRun(run.name, error.reason) from error
            except MissingBase as error:
                raise BaseElsewhere(error.run, error.commit, error.tree) from error
        return imported


def _drops(theirs: PostgresStore) -> list[BodyDropped]:
    """Return what a ledger has dropped of its bodies."""
    events = (_parse(LEDGER_RUN, bytes(frame.e)) for frame in theirs.of_run(LEDGER_RUN))
    return [event for event in events if isinstance(event, BodyDropped)]


def _parse(run: str, data: bytes) -> AnyEvent:
    try:
        return parse_event(data)
    except ValueError as error:
        raise UnprovenRun(run, f"it has what is no event: {error}") from error


def _write(
    path: Path,
    store: LocalStore,
    theirs: PostgresStore,
    run: RemoteRun,
    limit_bytes: int,
) -> None:
    """Write one run of the shared store as an export file."""
    try:
        lines = [bytes(frame.e) for frame in theirs.of_run(run.run, 0, run.v)]
    except DamagedLedger as error:
        raise UnprovenRun(run.name, str(error)) from error
    events = [_parse(run.name, line) for line in lines]
    if not events:
        raise UnprovenRun(run.name, "it has no events")
    named = {
        digest for event, line in zip(events, lines, strict=True) for digest in named_bodies(event, line)
    }
    # What was dropped at home is dropped here, although the store may have it: it cannot forget.
    gone = tuple(
        Dropped(drop.of, lost, drop.reason)
        for drop in _drops(theirs)
        if (lost := tuple(digest for digest in drop.bodies if digest in named))
    )
    wanted = named.difference(*(each.bodies for each in gone)) | {each.reason for each in gone if each.reason}
    bodies = _fetch(path.parent, store, theirs, run, sorted(wanted), limit_bytes - sum(map(len, lines)))
    entry = RunEntry(run.run, len(lines), event_digest(lines[-1]), bases_of(events), gone)
    with path.open("wb") as file:
        read = ((digest, body.read_bytes()) for digest, body in bodies.items())
        write_bundle(file, Manifest(FORMAT, run.home, (entry,)), [lines], read)


def _fetch(
    folder: Path,
    store: LocalStore,
    theirs: PostgresStore,
    run: RemoteRun,
    digests: Sequence[str],
    limit_bytes: int,
) -> dict[str, Path]:
    """Bring bodies into files of a folder; returns those that there are. Which must be there others check.

    Raises:
        UnprovenRun: One is named by what is no digest, or they take more than they may.
    """
    found: dict[str, Path] = {}
    for digest in digests:
        if not _DIGEST.fullmatch(digest):
            raise UnprovenRun(run.name, f"it names a body {digest!r}, which is no digest")
        try:
            here = store.bodies.path(digest).is_file()
            data = store.read_body(digest) if here else theirs.read_body(digest)
        except (DamagedLedger, DroppedBody):
            continue
        limit_bytes -= len(data)
        if limit_bytes < 0:
            raise UnprovenRun(run.name, "it takes more bytes than are allowed; `--limit` allows more")
        found[digest] = folder / digest
        found[digest].write_bytes(data)
    return found


def _has_object(repository: Repository, oid: str) -> bool:
    try:
        return oid in repository.git
    except ValueError:
        return False
