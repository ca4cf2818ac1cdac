"""Copies: where the text of bodies may be besides the ledger's own files. Reads only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Collection, Iterator, Sequence

from msgspec import Struct

from ledger.errors import GitFailed
from ledger.events import AnyEvent, PatchApplied, PatchRefused
from ledger.filerecords import parse_path
from ledger.projections.mlflow import file_name
from ledger.projections.published import places_of
from ledger.projections.shared import cursors
from ledger.repository import Repository
from ledger.secrets.masking import mask
from ledger.sharing import without_password
from patches.errors import show_path
from patches.gitprogram import git_environment

_SENT = ("patch", "note", "waived", "reason")
"""The bodies of events that go to MLflow, as files or in a run's description."""

_MANY = 200
"""So many commits are named to one git command."""


class Copy(Struct, frozen=True):
    """One place that may hold the text: what it is, and what of it."""

    where: str
    what: str


def list_copies(
    repository: Repository, events: Sequence[AnyEvent], digests: Collection[str]
) -> tuple[Copy, ...]:
    """Return where the text of bodies may be that ``events`` name.

    Of a patch those are the blobs that it came from and led to, as far as the repository has them: in the
    object store, with the refs whose history holds them, in the index and in the work tree. Where detectors
    see a secret in some of them, only those. What cannot be looked at from here (other clones, exports,
    backups) is named as such.

    Raises:
        GitFailed: Git could not search the history.
    """
    patches = [
        event
        for event in events
        if isinstance(event, PatchApplied) and not {event.patch, event.given}.isdisjoint(digests)
    ]
    blobs = _blobs(repository, patches)
    found: list[Copy] = []
    if blobs:
        shown = ", ".join(f"{oid[:12]} ({show_path(path)})" for oid, path in sorted(blobs.items()))
        found += [Copy("Git objects", shown), *_histories(repository, sorted(blobs))]
        found += _checked_out(repository, blobs)
    if patches or any(isinstance(event, PatchRefused) for event in events):
        found.append(Copy("the patch file", "where it was handed over from"))
    if any(getattr(event, "output", None) in digests for event in events):
        found.append(Copy("caches of the gates' tools", str(repository.ledger_dir / "cache" / "tools")))
    found.append(Copy("exports and backups", "files of `ledger export`, copies of the ledger's directory"))
    found += _sent_to_mlflow(repository, events, digests)
    found += _sent_to_stores(repository, events)
    return tuple(found)


def _sent_to_mlflow(
    repository: Repository, events: Sequence[AnyEvent], digests: Collection[str]
) -> Iterator[Copy]:
    """Yield where runs were sent from here, as far as that is known, and that they may be elsewhere."""
    for event in events:
        sent = [name for name in _SENT if getattr(event, name, None) in digests]
        if isinstance(event, PatchRefused) or not sent:
            continue
        kinds = {file_name(event.v) if name == "patch" else "its description" for name in sent}
        what = " and ".join(sorted(kinds, reverse=True))
        for place in places_of(repository.ledger_dir / "cache", event.run):
            if event.v <= place.until_v:
                where = f"{place.uri}, experiment {place.experiment}, run {place.mlflow_run}"
                yield Copy("MLflow", f"{where}: {what}; `ledger project mlflow` replaces it, not its backups")
    yield Copy("MLflow", "where another clone has sent the run, or this one before its cache was deleted")


def _sent_to_stores(repository: Repository, events: Sequence[AnyEvent]) -> Iterator[Copy]:
    """Yield the shared stores that something was sent to from here: what is there stays there."""
    for cursor in cursors(repository.ledger_dir / "cache"):
        where = f"{without_password(cursor.url)}, and every ledger that pulled {events[0].run} from it"
        yield Copy("shared store", f"{where}; there its administrator alone can take it away")


def _blobs(repository: Repository, patches: Sequence[PatchApplied]) -> dict[str, bytes]:
    """Return the blobs that patches came from and led to, of those that are here, each with its path."""
    named = {
        oid: parse_path(path)
        for event in patches
        for file in event.files
        for oid, path in ((file.old_oid, file.old_path or file.path), (file.oid, file.path))
        if oid is not None
    }
    here = {oid: path for oid, path in named.items() if repository.objects.has_blob(bytes.fromhex(oid))}
    return {oid: path for oid, path in here.items() if _holds_secret(repository, oid)} or here


def _holds_secret(repository: Repository, oid: str) -> bool:
    data = repository.objects.read_blob(bytes.fromhex(oid))
    return mask(data) is not data


def _histories(repository: Repository, oids: Sequence[str]) -> Iterator[Copy]:
    """Yield the refs in whose history one of some blobs came or went, and the remotes among them."""
    search = [f"--find-object={oid}" for oid in oids]
    commits = _git(repository, "log", "--all", "--reflog", "-m", "--root", "--format=%H", *search).split()
    commits = list(dict.fromkeys(commits))
    refs: set[str] = set()
    for start in range(0, len(commits), _MANY):
        contains = [word for commit in commits[start : start + _MANY] for word in ("--contains", commit)]
        refs |= set(_git(repository, "for-each-ref", "--format=%(refname)", *contains).split())
    for ref in sorted(refs):
        yield Copy("history", ref)
    unnamed = set(commits) & set(_git(repository, "rev-list", "--reflog", "--not", "--all").split())
    if unnamed:
        shown = ", ".join(sorted(commit[:12] for commit in unnamed))
        yield Copy("reflogs", f"commits {shown}, until `git reflog expire` and `git gc`")
    if commits:
        remotes = _git(repository, "remote").split()
        yield from (
            Copy("remote", f"{name}, if it was pushed there; and every clone of it") for name in remotes
        )


def _checked_out(repository: Repository, blobs: dict[str, bytes]) -> Iterator[Copy]:
    """Yield paths in index and work tree that hold, or may hold, one of some blobs."""
    if repository.work_dir is None:
        return
    staged = _git(repository, "ls-files", "--stage", "-z").split("\0")
    for line in staged[:-1]:
        facts, _, path = line.partition("\t")
        if facts.split(" ")[1] in blobs:
            yield Copy("index", path)
    for path in sorted(set(blobs.values())):
        if os.path.lexists(os.path.join(os.fsencode(repository.work_dir), path)):  # noqa: PTH118 - bytes
            yield Copy("work tree", f"{show_path(path)}, as it is now")


def _git(repository: Repository, *arguments: str) -> str:
    done = subprocess.run(
        ["git", f"--git-dir={repository.git_dir}", *arguments],
        env=git_environment(),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        message = done.stderr.decode("utf-8", "replace").strip()
        raise GitFailed(f"git {arguments[0]}", done.returncode, message)
    return done.stdout.decode("utf-8", "backslashreplace")
