"""The Git refs of a run: ``refs/ledger/<run>/events``, one commit for each event that changed the tree.

``refs/ledger/<run>/accepted`` names the one of them whose tree is the accepted state.

The commits are a function of the log alone (times, authors and messages come from the events),
so that a ref made again names the same commits. They keep every recorded tree reachable: `git gc`
prunes nothing that a replay or a rollback needs. The ref is also the cursor of the work tree:
it moves last, so what lies past it may not have reached the work tree.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

import pygit2

from ledger.events import AnyEvent, PatchApplied, PatchRolledBack, RunStarted, TreeEvent, tree_after
from ledger.repository import Repository
from ledger.store.disk import sync_data, write_all

_DOMAIN = "ledger.invalid"


class RunRef:
    """The ref of one run's events."""

    def __init__(self, repository: Repository, run: str) -> None:
        self._repository = repository
        self._git = repository.git
        self.name = f"refs/ledger/{run}/events"
        self.accepted_name = f"refs/ledger/{run}/accepted"

    def version(self) -> int | None:
        """Return the version that the ref has come to, None where there is no (usable) ref."""
        try:
            return _version(self._git.references[self.name].peel(pygit2.Commit))
        except (KeyError, pygit2.GitError):
            return None

    def commit_at(self, version: int) -> str | None:
        """Return the oid of the commit for one version, None where the ref has no such commit."""
        tip = self._git.references.get(self.name)
        if tip is None:
            return None
        for commit in self._git.walk(tip.target):
            if _version(commit) == version:
                return str(commit.id)
        return None

    def accepted_version(self) -> int | None:
        """Return the version that the accepted ref names, None where there is no (usable) ref."""
        try:
            return _version(self._git.references[self.accepted_name].peel(pygit2.Commit))
        except (KeyError, pygit2.GitError):
            return None

    def project_accepted(self, version: int) -> None:
        """Let the accepted ref name the state of one version; `project` has been there."""
        if self.accepted_version() != version:
            commit = self.commit_at(version)
            if commit is not None:
                self._publish(self.accepted_name, commit)

    def project(self, events: Iterable[AnyEvent]) -> None:
        """Bring the ref up to ``events``: the run's from its first, or those past `version`, in order.

        A crash leaves the ref where it was or at the end, never between.
        """
        ref = self._git.references.get(self.name)
        old = tip = None if ref is None or self.version() is None else ref.target
        commits = list(self._commits(events, tip))
        tip = commits[-1] if commits else tip
        if tip is not None and tip != old:
            self._publish(self.name, str(tip))

    def commits(self, events: Iterable[AnyEvent]) -> list[str]:
        """Return the oid of the commit for each event that changed the tree, of a run from its first on.

        The commits are made where they are not there; no ref moves. The trees must be there.
        """
        return [str(oid) for oid in self._commits(events, None)]

    def _commits(self, events: Iterable[AnyEvent], tip: pygit2.Oid | str | None) -> Iterator[pygit2.Oid]:
        """Make the commits of events on top of one, and yield each."""
        for event in events:
            if isinstance(event, TreeEvent):
                root = tip is None or isinstance(event, RunStarted)
                tip = self._commit(event, _subject(event), [] if root else [tip])
                yield tip

    def _publish(self, name: str, tip: str) -> None:
        """Move the ref in one rename.

        Libgit2 would take ``events.lock`` first, and a kill would leave that in everybody's way for
        ever. The run's lock keeps other writers out. Where `git pack-refs` deletes the loose ref in this
        very moment, the older packed one shows again, and the events past it are projected once more.
        """
        path = self._repository.common_dir / name
        temporary = self._repository.ledger_dir / "cache" / f".ref.{os.getpid()}.{os.urandom(4).hex()}"
        for directory in (path.parent, temporary.parent):
            directory.mkdir(parents=True, exist_ok=True)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            write_all(fd, f"{tip}\n".encode("ascii"))
            # An empty ref, which a power failure could leave otherwise, is an error to every git command.
            sync_data(fd)
        finally:
            os.close(fd)
        temporary.rename(path)

    def _commit(
        self, event: TreeEvent, subject: str, parents: Sequence[pygit2.Oid | str | None]
    ) -> pygit2.Oid:
        name = _signature_word(event.actor.name) or _signature_word(event.actor.kind) or "unknown"
        mail = f"{_signature_word(event.actor.kind) or 'unknown'}@{_DOMAIN}"
        who = pygit2.Signature(name, mail, event.at_ns // 1_000_000_000, 0)
        message = f"{subject}\n\nLedger-Event: {event.reference}\n"
        tree = tree_after(event)
        assert tree is not None
        return self._git.create_commit(None, who, who, message, tree, [p for p in parents if p is not None])


def remove_refs(repository: Repository, runs: Iterable[str]) -> None:
    """Remove the refs of runs that are gone; Git keeps their commits until its own next collection.

    Raises:
        OSError, pygit2.GitError: A ref could not be removed; those before are gone.
    """
    for run in runs:
        ref = RunRef(repository, run)
        for name in (ref.name, ref.accepted_name):
            # Loose first, without libgit2's lock file, which a kill would leave; then one that is packed.
            (repository.common_dir / name).unlink(missing_ok=True)
            if repository.git.references.get(name) is not None:
                repository.git.references.delete(name)
        with suppress(OSError):
            (repository.common_dir / f"refs/ledger/{run}").rmdir()


def _version(commit: pygit2.Commit) -> int | None:
    """Return the version that a commit's message names."""
    _, _, trailer = commit.message.rpartition("\nLedger-Event: ")
    _, _, version = trailer.strip().rpartition(":")
    return int(version) if version.isdecimal() else None


def _subject(event: TreeEvent) -> str:
    if isinstance(event, RunStarted):
        return event.title
    if isinstance(event, PatchApplied):
        return f"{event.cause}: {len(event.files)} files"
    if isinstance(event, PatchRolledBack):
        return f"rollback to {event.run}:{event.to_v}: {len(event.files)} files"
    return f"rebase onto {event.head}: {len(event.files)} files"


def _signature_word(text: str) -> str:
    """Return a claimed name as Git takes it: no angle brackets, no control characters, no crud around it."""
    return "".join(c for c in text if c.isprintable() and c not in "<>").strip(" .,:;\"'\\")
