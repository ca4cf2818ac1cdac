"""The Git refs of a run: ``refs/ledger/<run>/events``, one commit for each event that changed the tree.

The commits are a function of the log alone (times, authors and messages come from the events),
so that a ref made again names the same commits. They keep every recorded tree reachable: `git gc`
prunes nothing that a replay or a rollback needs. The ref is also the cursor of the work tree:
it moves last, so what lies past it may not have reached the work tree.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import pygit2

from ledger.events import AnyEvent, PatchApplied, RunStarted
from ledger.repository import Repository
from ledger.store.disk import sync_data, write_all

_DOMAIN = "ledger.invalid"


class RunRef:
    """The ref of one run's events."""

    def __init__(self, repository: Repository, run: str) -> None:
        self._repository = repository
        self._git = repository.git
        self.name = f"refs/ledger/{run}/events"

    def version(self) -> int | None:
        """Return the version that the ref has come to, None where there is no (usable) ref."""
        try:
            commit = self._git.references[self.name].peel(pygit2.Commit)
        except (KeyError, pygit2.GitError):
            return None
        _, _, trailer = commit.message.rpartition("\nLedger-Event: ")
        _, _, version = trailer.strip().rpartition(":")
        return int(version) if version.isdecimal() else None

    def project(self, events: Iterable[AnyEvent]) -> None:
        """Bring the ref up to ``events``: the run's from its first, or those past `version`, in order.

        A crash leaves the ref where it was or at the end, never between.
        """
        ref = self._git.references.get(self.name)
        old = tip = None if ref is None or self.version() is None else ref.target
        for event in events:
            if isinstance(event, RunStarted):
                tip = self._commit(event, event.base_tree, event.title, [])
            elif isinstance(event, PatchApplied):
                subject = f"{event.cause}: {len(event.files)} files"
                tip = self._commit(event, event.result_tree, subject, [] if tip is None else [tip])
        if tip is not None and tip != old:
            self._publish(str(tip))

    def _publish(self, tip: str) -> None:
        """Move the ref in one rename.

        Libgit2 would take ``events.lock`` first, and a kill would leave that in everybody's way for
        ever. The run's lock keeps other writers out. Where `git pack-refs` deletes the loose ref in this
        very moment, the older packed one shows again, and the events past it are projected once more.
        """
        path = self._repository.common_dir / self.name
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
        self, event: RunStarted | PatchApplied, tree: str, subject: str, parents: list[pygit2.Oid | str]
    ) -> pygit2.Oid:
        name = _signature_word(event.actor.name) or _signature_word(event.actor.kind) or "unknown"
        mail = f"{_signature_word(event.actor.kind) or 'unknown'}@{_DOMAIN}"
        who = pygit2.Signature(name, mail, event.at_ns // 1_000_000_000, 0)
        message = f"{subject}\n\nLedger-Event: {event.reference}\n"
        return self._git.create_commit(None, who, who, message, tree, list(parents))


def _signature_word(text: str) -> str:
    """Return a claimed name as Git takes it: no angle brackets, no control characters, no crud around it."""
    return "".join(c for c in text if c.isprintable() and c not in "<>").strip(" .,:;\"'\\")
