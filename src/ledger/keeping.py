"""Keeping a ledger: what concerns it as a whole, as checkpoints, copies, what is taken in and what goes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ledger.bundles import LIMIT_BYTES
from ledger.events import (
    AnyEvent,
    BodyDropped,
    ErrorCaptured,
    Event,
    RetentionApplied,
    RunFinished,
    RunImported,
)
from ledger.reading import LedgerReader
from ledger.requests import Request, parse_id
from ledger.store.local import LocalStore
from ledger.workspace import Workspace

if TYPE_CHECKING:
    from ledger.operations.checkpointing import Checkpointed, Target
    from ledger.operations.commitimport import ImportedCommits, Progress
    from ledger.operations.errorimport import Imported as ImportedErrors
    from ledger.operations.exporting import Exported
    from ledger.operations.importing import Imported
    from ledger.operations.pulling import Pulled
    from ledger.operations.redacting import Redacted
    from ledger.operations.refsync import RefsSynced
    from ledger.operations.retention import Retention
    from ledger.store.sealed import Seal


class LedgerKeeper(LedgerReader):
    """All of `LedgerReader`, and the keeping of the ledger as a whole; each change may be given an id."""

    _given_id = ""
    observer: Callable[[Sequence[AnyEvent]], None] | None = None
    """Gets the events that are appended through this ledger, once they are in the log."""

    @cached_property
    def _workspace(self) -> Workspace:
        if self._store is None:
            self._store = LocalStore.open(self.path, self._stamp, create=True)
        self._store.observer = self.observer
        return Workspace(self.repository, self._store, self._stamp)

    @contextmanager
    def once(self, id_: str) -> Generator[None]:
        """Give the next change an id, so that asking for it again is harmless; "" gives none.

        Within, the first call that writes gives the event that it makes the id. Where that event is in the
        ledger already, the call writes nothing and raises `AlreadyDone` with it.

        Args:
            id_: A UUID of version 7 (RFC 9562), as ``ledger id`` prints.

        Raises:
            InvalidId: It is none.
            IdTaken: Its event was asked for in other words (from the call).
        """
        self._given_id = parse_id(id_) if id_ else ""
        try:
            yield
        finally:
            self._given_id = ""
            if self._store is not None:
                self._workspace.request = None

    @property
    def captured(self) -> Sequence[ErrorCaptured]:
        """The errors that were recorded since this was opened."""
        return self._workspace.captured if "_workspace" in self.__dict__ else ()

    @property
    def warnings(self) -> Sequence[str]:
        """What a person should know although nothing failed."""
        return self._workspace.warnings if "_workspace" in self.__dict__ else ()

    @property
    def has_id(self) -> bool:
        """Whether the next change is given an id."""
        return bool(self._given_id)

    def _asking(
        self, kinds: type[Event] | tuple[type[Event], ...], command: str, **given: object
    ) -> Workspace:
        """Return the workspace, told which event the id of `once` is for: the first of these kinds."""
        workspace = self._workspace
        workspace.request = Request(self._given_id, kinds, command, given) if self._given_id else None
        self._given_id = ""
        return workspace

    def checkpoint(
        self, *, key: Path | None = None, key_name: str = "", targets: Sequence[Target] = ()
    ) -> Checkpointed:
        """Make a checkpoint of the log, and keep it. Writes no event. See `checkpointing.checkpoint`.

        Args:
            key: A private key's file, to sign it with.
            key_name: Whom the signature names; by default what the key's ``.pub`` file says.
            targets: Files, ``"git-note"``, ``"git-tag"``.

        Raises:
            BadKey: ``key`` cannot be used. Nothing was written.
        """
        from ledger.keys import read_signing_key
        from ledger.operations import checkpointing

        signing = None if key is None else read_signing_key(key, key_name)
        return checkpointing.checkpoint(self.store, self.repository, signing, targets)

    def redact(
        self, reference: str, *, names: Collection[str] = (), reason: str = "", dry_run: bool = False
    ) -> Redacted:
        """Drop bodies of an event, and list the copies elsewhere. See `redacting.redact`."""
        from ledger.operations import redacting

        event = self.event(reference)
        given = {"event": event.id, "names": sorted(names), "reason": reason}
        workspace = self._asking(BodyDropped, "redact", **given)
        return redacting.redact(workspace, event, names=names, reason=reason, dry_run=dry_run)

    def export_runs(self, runs: Sequence[str], target: Path | IO[bytes], *, force: bool = False) -> Exported:
        """Write runs as one file. See `exporting.export_runs`."""
        from ledger.operations import exporting

        return exporting.export_runs(self.store, runs, target, force=force)

    def import_runs(self, path: Path, *, limit_bytes: int = LIMIT_BYTES) -> list[Imported]:
        """Take the runs of an export file in, proved first. See `importing.import_runs`."""
        from ledger.operations import importing

        workspace = self._workspace
        if self.has_id:
            workspace = self._asking(RunImported, "import", file=path.read_bytes())
        return importing.import_runs(workspace, path, limit_bytes=limit_bytes)

    def set_store(self, url: str) -> None:
        """Let this repository use a shared store. See `sharing.set_store`."""
        from ledger.sharing import set_store

        set_store(self.repository, url)

    def unset_store(self) -> bool:
        """Let this repository use no shared store; return whether it had one. See `sharing.unset_store`."""
        from ledger.sharing import unset_store

        return unset_store(self.repository)

    def pull(self, names: Sequence[str] = (), *, limit_bytes: int = LIMIT_BYTES) -> list[Pulled]:
        """Take runs of other ledgers from the shared store, by default those that fit. See `pulling.pull`.

        Raises:
            NoSharedStore: None is configured.
            NoSharedRun, AmbiguousRun: As `pulling.choose`.
        """
        from ledger.operations import pulling
        from ledger.sharing import require_store, without_password

        url = without_password(require_store(self.repository))
        with self._sharing() as shared:
            there = self.path.joinpath("FORMAT").exists()
            runs = pulling.list_shared(self.repository, self.store if there else None, shared)
            chosen = pulling.choose(runs, names)
            if not chosen:
                return []
            workspace = self._asking(RunImported, "pull", runs=sorted(names))
            return pulling.pull(workspace, shared, chosen, source=url, limit_bytes=limit_bytes)

    def sync_refs(self, remote: str = "", *, dry_run: bool = False) -> RefsSynced:
        """Push the refs of own runs to a Git remote, and fetch what it has. See `refsync.sync_refs`."""
        from ledger.operations import refsync

        return refsync.sync_refs(self._workspace, remote, dry_run=dry_run)

    def import_errors(self, paths: Sequence[Path], *, strict: bool = False) -> ImportedErrors:
        """Take the errors of old files in; ``strict``: all or nothing. See `errorimport.import_errors`."""
        from ledger.operations import errorimport

        files = errorimport.read_files(self.repository, paths)
        if strict:
            errorimport.refuse_rest(files)
        given = [[file.origin, file.found.text.encode("utf-8", "backslashreplace")] for file in files]
        return errorimport.import_errors(self._asking(ErrorCaptured, "import errors", files=given), files)

    def import_commits(
        self,
        until: str,
        since: str | None = None,
        *,
        name: str = "",
        allow_secrets: bool = False,
        progress: Progress | None = None,
    ) -> ImportedCommits:
        """Take Git's commits in as a run, those of ``since..until``. See `commitimport.import_commits`."""
        from ledger.operations import commitimport

        line = commitimport.read_line(self.repository, since, until)
        given = {
            "base": line.base.commit,
            "last": line.commits[-1].oid,
            "run": name,
            "secrets": allow_secrets,
        }
        workspace = self._asking(RunFinished, "import git", **given)
        return commitimport.import_commits(
            workspace, line, name=name, allow_secrets=allow_secrets, progress=progress
        )

    def archive(self) -> list[Seal]:
        """Close the open segment of the log, and seal every closed one. See `LocalStore.archive`.

        Raises:
            NoLedger: Nothing was ever recorded here.
        """
        return self.store.archive()

    def collect(self, keep_ns: int, *, apply: bool = False) -> Retention:
        """Take finished runs out of the ledger whose last event is older. See `operations.retention`.

        Args:
            keep_ns: The age up to which runs are kept, in nanoseconds.
            apply: Do it; otherwise only say what would go.

        Raises:
            NoLedger: Nothing was ever recorded here.
        """
        from ledger.operations import retention

        self.store.observer = self.observer
        workspace = Workspace(self.repository, self.store, self._stamp)
        if apply and self.has_id:
            workspace = self._asking(RetentionApplied, "gc", keep_ns=keep_ns)
        take = retention.apply_retention if apply else retention.plan_retention
        return take(workspace, self._stamp.clock() - keep_ns)
