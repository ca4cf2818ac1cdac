"""Health: what is wrong with a repository's ledger, and what helps, said within a second or two.

Reads only: no lock is taken, nothing is healed, no cache is written. `ledger.verification` proves everything;
this looks at what can be seen quickly. Where the log is damaged, what depends on it is not looked at.

See: ``docs/doctor.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import pygit2

from ledger.configurations import configuration_of
from ledger.errors import DamagedLedger, LedgerError
from ledger.gates.documents import InvalidConfiguration
from ledger.gates.settings import Storage
from ledger.health import gatetools, leftovers, projections, storage
from ledger.health.model import Check, Patient, State
from ledger.repository import Repository
from ledger.stamps import Stamp
from ledger.store.local import LocalStore
from ledger.workspace import Workspace
from patches.errors import PatchError

__all__ = ["Check", "State", "examine"]

_OF_LOG: Mapping[str, Callable[[Patient], Check]] = {
    "head": projections.check_head,
    "work-tree": projections.check_pending,
    "drift": projections.check_drift,
    "index": projections.check_index,
    "refs": projections.check_refs,
    "questions-file": projections.check_questions,
    "copies": projections.check_copies,
    "foreign-refs": leftovers.check_foreign_refs,
    "columns": leftovers.check_columns,
}


def examine(repository: Repository, stamp: Stamp) -> Iterator[Check]:
    """Yield what each check found, in the order in which it is shown.

    Args:
        repository: Seen from the work tree in question.
        stamp: Says what time it is.
    """
    root = repository.ledger_dir
    form = storage.check_format(root)
    yield form
    yield storage.check_index_lock(repository)
    workspace = None
    if form.state == "ok":
        store = LocalStore.open(root, stamp)
        chain = storage.check_chain(store)
        yield chain
        yield storage.check_sync(store)
        yield storage.check_quarantine(root)
        yield storage.check_holders(root)
        yield from storage.check_disk(repository, _storage(repository))
        if chain.state != "error":
            workspace = Workspace(repository, store, stamp)
            yield from _examine_log(Patient(repository, workspace), stamp)
    yield _guarded("configuration", partial(gatetools.check_configuration, repository, workspace))
    yield _guarded("gate-tools", partial(gatetools.check_tools, repository, workspace))


def _examine_log(patient: Patient, stamp: Stamp) -> Iterator[Check]:
    for name, check in _OF_LOG.items():
        yield _guarded(name, partial(check, patient))
    yield _guarded("bodies", partial(leftovers.check_bodies, patient, stamp.clock()))


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    """Return what a check found; one that cannot be done is said, and the others go on."""
    try:
        return check()
    except DamagedLedger as error:
        return Check("chain", "error", str(error), storage.VERIFY)
    except (LedgerError, PatchError, OSError, pygit2.GitError) as error:
        return Check(name, "error", f"it could not be looked at: {error}", "`ledger status` says more")


def _storage(repository: Repository) -> Storage:
    """Return what the configuration says of the disk; the defaults where it cannot be read, which is said."""
    try:
        return configuration_of(repository).storage
    except InvalidConfiguration:
        return Storage()
