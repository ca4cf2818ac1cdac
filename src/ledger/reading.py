"""Reading a ledger: its past, and how the open run, the work tree and the configuration stand to it.

Nothing here needs a lock, heals anything, or makes a ledger where there is none.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.history import History
from ledger.querying import QueryablePast
from ledger.status import Status, compare_policy, policy_in_force, read_status

if TYPE_CHECKING:
    from codex_ml.tracking.mlflow_utils import MlflowConfig
    from ledger.findings import Finding
    from ledger.gates.configuration import Configuration
    from ledger.gates.weakening import Change
    from ledger.health import Check
    from ledger.operations.errorimport import Imported as ImportedErrors
    from ledger.operations.planning import Offer, Planned
    from ledger.operations.pulling import RemoteRun
    from ledger.operations.syncing import Synced
    from ledger.operations.tracking import Tracked
    from ledger.store.postgres import PostgresStore
    from ledger.tokens import PatchTokens
    from patches.backups import BackupGroup
    from patches.model import FileChange


class LedgerReader(QueryablePast):
    """The ledger of one repository, seen from a work tree: all of `QueryablePast`, and the present."""

    def find_backups(self, paths: Sequence[bytes] = ()) -> tuple[str, tuple[BackupGroup, ...]]:
        """Return the candidate's tree (HEAD's without a run), and its groups of suffixed backups."""
        from ledger.operations import moving

        tree = self._present_tree()
        return tree, moving.find_groups(self.repository, self._reading_workspace(), tree, paths)

    def plan_move(
        self,
        sources: Sequence[bytes],
        destination: bytes,
        *,
        force: bool = False,
        skip_errors: bool = False,
    ) -> tuple[FileChange, ...]:
        """Return what moving files as ``git mv`` does would change. See `moving.plan`."""
        from ledger.operations import moving

        tree = self._present_tree()
        return moving.plan(self.repository, tree, sources, destination, force=force, skip_errors=skip_errors)

    def _present_tree(self) -> str:
        """Return the candidate's tree; HEAD's without a run."""
        workspace = self._reading_workspace()
        head = None if workspace is None else workspace.open_run()
        return self.repository.head().tree if head is None else head.tree

    def preview(self, offers: Sequence[Offer], *, allow_secrets: bool = False) -> tuple[Planned, ...]:
        """Return what patches would make of the candidate, one after the other. See `previewing.preview`."""
        from ledger.operations import previewing

        workspace = self._reading_workspace()
        return previewing.preview(self.repository, workspace, offers, allow_secrets=allow_secrets)

    def policy(self) -> Configuration:
        """Return the policy in force in the open run; without one, what the configuration says.

        Raises:
            InvalidConfiguration: The configuration cannot be read.
        """
        return policy_in_force(self.repository, self._reading_workspace())

    def policy_changes(self) -> tuple[tuple[Change, ...], tuple[str, ...]]:
        """Return where the configuration is not the policy in force, and where it asks for less.

        Raises:
            InvalidConfiguration: The configuration cannot be read.
        """
        return compare_policy(self.repository, self._reading_workspace())

    def status(self) -> Status:
        """Return where the open run stands and what in the work tree it does not know."""
        return read_status(self.repository, self._reading_workspace())

    def health(self) -> Iterator[Check]:
        """Yield what is wrong here and what helps, as far as it shows quickly. See `ledger.health`."""
        from ledger.health import examine

        return examine(self.repository, self._stamp)

    def plan_errors(self, paths: Sequence[Path], *, strict: bool = False) -> ImportedErrors:
        """Return what `Ledger.import_errors` would take of old files. Nothing is written."""
        from ledger.operations import errorimport

        files = errorimport.read_files(self.repository, paths)
        if strict:
            errorimport.refuse_rest(files)
        events = (frame.event for frame in self.store.frames()) if self.path.exists() else ()
        return errorimport.Imported(files, errorimport.show_plan(errorimport.plan_import(files, events)))

    def tokens(self, range_: str = "", tokenizer: str = "") -> list[PatchTokens]:
        """Return how many tokens the patches of a range have. See `ledger.tokens`.

        Args:
            range_: As `References.resolve_range` takes it; "" for all of the current run.
            tokenizer: A directory relative to ``directory``, or a model's name; "" for the configuration's.

        Raises:
            UnknownReference: It is no range.
            TokenizerNotFound, TokenizerUnreadable, TransformersMissing: There is no such tokenizer to use.
            InvalidConfiguration: The configuration cannot be read.
        """
        from ledger.tokens import choose_counter, configured_counter, count_patches

        chosen = self.resolve_range(range_)
        cache_dir, read_body = self.path / "cache", self.store.read_body
        if tokenizer:
            counter = choose_counter(tokenizer, self.directory, cache_dir, read_body)
        else:
            counter = configured_counter(self.repository, cache_dir, read_body)
        return count_patches(History.of(self.events(chosen.run), chosen.until_v), chosen, counter)

    def questions_text(self, *, only_open: bool = False) -> str:
        """Return the text of the questions file; with ``only_open``, of those without an answer."""
        from ledger.projections.questions import render_questions

        events = (frame.event for frame in self.store.frames())
        return render_questions(events, self.body, only_open=only_open)

    def project_mlflow(
        self, config: MlflowConfig, runs: Sequence[str] = (), *, dry_run: bool = False
    ) -> Iterator[Tracked]:
        """Bring runs up to date in MLflow: the current one, or those named. See `tracking.project_runs`.

        What ``config`` leaves open is taken from the environment, then from the repository's configuration.

        Raises:
            UnknownReference: There is no such run.
            InvalidConfiguration: The configuration cannot be read.
        """
        from ledger.operations.tracking import complete, project_runs

        names = [self.resolve(f"{run}:@")[0] for run in runs] or [self.resolve()[0]]
        config = complete(config, self.repository)
        return project_runs(self.store, names, config, dry_run=dry_run)

    def shared_store(self) -> tuple[str, str] | None:
        """Return the URL of the shared store and where it is set. See `sharing.configured_store`."""
        from ledger.sharing import configured_store

        return configured_store(self.repository)

    def sync(self, *, dry_run: bool = False) -> Synced:
        """Bring the shared store up to this ledger. See `syncing.sync`.

        Raises:
            NoSharedStore: None is configured.
            NoLedger: Nothing was ever recorded here.
        """
        from ledger.operations import syncing
        from ledger.sharing import require_store

        url = require_store(self.repository)
        return syncing.sync(self.repository, self.store, self._stamp, url, dry_run=dry_run)

    def sync_after(self) -> Synced:
        """Bring the shared store up after a command, in a few seconds. See `syncing.sync_after`."""
        from ledger.operations import syncing
        from ledger.sharing import require_store

        return syncing.sync_after(self.repository, self.store, self._stamp, require_store(self.repository))

    def unsent(self) -> int:
        """Return how many events the shared store is behind, as far as is known here; asks nobody."""
        from ledger.operations import syncing
        from ledger.sharing import configured_url

        return syncing.behind(self.store, configured_url(self.repository))

    def list_shared(self) -> list[RemoteRun]:
        """Return the runs of other ledgers in the shared store. See `pulling.list_shared`.

        Raises:
            NoSharedStore: None is configured.
        """
        from ledger.operations import pulling

        there = self.path.joinpath("FORMAT").exists()
        with self._sharing() as shared:
            return pulling.list_shared(self.repository, self.store if there else None, shared)

    @contextmanager
    def _sharing(self) -> Generator[PostgresStore]:
        """Connect to the shared store, to read it."""
        from ledger.operations.syncing import PATIENCE_S
        from ledger.sharing import connect, require_store

        url = require_store(self.repository)
        with closing(connect(url, "", "", self._stamp, PATIENCE_S)) as shared:
            yield shared

    def verify(
        self, checkpoints: Sequence[str | Path] = (), public_keys: Sequence[str | Path] = ()
    ) -> Iterator[Finding]:
        """Check the log, the bodies, every recorded state, the refs and checkpoints (P5). See `verification`.

        Args:
            checkpoints: Files, tags or commits with checkpoints that the log must extend, beside those
                that the repository itself keeps.
            public_keys: Texts or files; each of ``checkpoints`` must be signed by one of these keys.

        Raises:
            BadNote: One of ``checkpoints`` is none.
            BadKey: One of ``public_keys`` is none.
            UntrustedNote: None of the keys signed one of them.
        """
        from ledger.keys import read_public_key
        from ledger.projections.checkpoints import find_checkpoints, read_checkpoints
        from ledger.verification import verify
        from ledger.witnesses import Witnesses, trust

        keys = [read_public_key(source) for source in public_keys]
        kept = [each for source in checkpoints for each in read_checkpoints(self.repository, source)]
        found, unreadable = find_checkpoints(self.repository)
        witnesses = Witnesses([trust(each, keys) for each in kept], found, unreadable, keys)
        return verify(self.store, self.repository, witnesses)
