"""Checks of what nobody needs any more: bodies without an event, refs without a run, old caches."""

from __future__ import annotations

from ledger.health.model import Check, Patient
from ledger.health.projections import shown
from ledger.operations.retention import GRACE_NS, list_unnamed
from ledger.query.cache import Shard

MOST_EVENTS = 50_000
"""A longer log is not looked through for the bodies that it names."""


def check_bodies(patient: Patient, now_ns: int) -> Check:
    """Say which bodies no event names. New ones are left out: an event may be about to name them."""
    store = patient.workspace.store
    if store.position() > MOST_EVENTS:
        reason = f"{store.position()} events are too many to look through here"
        return Check("bodies", "not-applicable", reason, "`ledger gc` looks through all of them")
    paths = [store.bodies.path(digest) for digest in list_unnamed(store)]
    old = [path for path in paths if path.stat().st_mtime_ns < now_ns - GRACE_NS]
    if not old:
        return Check("bodies", "ok", "every body is named by an event")
    size_bytes = sum(path.stat().st_size for path in old)
    reason = (
        f"{len(old)} bodies ({size_bytes} bytes) are named by no event: {shown([p.name[:12] for p in old])}"
    )
    return Check(
        "bodies",
        "warning",
        reason,
        "they do no harm; `ledger gc --keep AGE --apply` takes them with old runs",
    )


def check_foreign_refs(patient: Patient) -> Check:
    """Say which refs below ``refs/ledger/`` are of no run of this ledger."""
    heads = patient.workspace.store.heads()
    runs = {run for run, head in heads.items() if head.base_tree and not head.retired}
    named = [name for name in patient.repository.git.references if name.startswith("refs/ledger/")]
    foreign = [name for name in named if name.split("/")[2] not in runs]
    if foreign:
        reason = f"{len(foreign)} refs are of no run of this ledger: {shown(foreign)}"
        return Check(
            "foreign-refs", "warning", reason, f"where nobody needs it: `git update-ref -d {foreign[0]}`"
        )
    return Check("foreign-refs", "ok", "every ref below refs/ledger is of a run")


def check_columns(patient: Patient) -> Check:
    """Say which files of the SQL cache another version has made, in a layout that this one does not read."""
    columns = patient.workspace.store.root / "cache" / "columns"
    old = [path for path in columns.glob("[!.]*.duckdb") if Shard.parse(path) is None]
    if not old:
        return Check("columns", "ok", "no cache file of another layout")
    size_bytes = sum(path.stat().st_size for path in old)
    reason = f"{len(old)} cache files ({size_bytes} bytes) are of a layout that this version does not read"
    return Check("columns", "warning", reason, f"it may go at any time: `rm -r '{columns}'`")
