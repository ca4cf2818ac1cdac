"""Watching: edits made by hand, recorded by themselves whenever the work tree stands still.

A step looks, and records what was edited if nothing has changed for the quiet time. Under the lock of the
work tree it looks again before the files are read and after: what is recorded is what stood still all the
time. Between two steps nothing is held, so no other command waits for a watch.
"""

from __future__ import annotations

import os
import time
from collections.abc import Set
from typing import TypeAlias

import pygit2
from msgspec import Struct

from ledger.drift import list_drift, snapshot_tree
from ledger.errors import (
    Busy,
    DamagedLedger,
    GitFailed,
    LedgerError,
    LostRace,
    NoRun,
    NoWorkTree,
    ProjectionPending,
    UnsyncedLog,
)
from ledger.looks import Look, Looker, Stillness
from ledger.operations.outcome import Applied
from ledger.operations.patching import record_tree
from ledger.store.mounts import network_filesystem
from ledger.workspace import Workspace
from patches.diff import DiffFailed
from patches.errors import PatchError, show_path
from patches.worktree_errors import IndexLocked

_LOCK_TIMEOUT_S = 0.5
_LONGEST_PAUSE_S = 5.0
_LOOKING_SHARE = 0.1
"""How much of the time may go into looking where trees are large."""
_PATIENCE = 15
"""After how many quiet times what stands still is recorded without what goes on changing."""
_RETRY_S = 30.0


class Waiting(Struct, frozen=True):
    """Nothing to tell; the next step is due in ``pause_s``."""

    pause_s: float


class Recorded(Struct, frozen=True):
    """Edits were recorded. ``moving`` are paths that are left out, as they go on changing."""

    applied: Applied
    moving: tuple[str, ...] = ()
    pause_s: float = 0.0


class Refused(Struct, frozen=True):
    """What was edited cannot be recorded as it is; it is tried again when something has changed."""

    error: Exception
    pause_s: float


Step: TypeAlias = Waiting | Recorded | Refused


class Watch:
    """A watch over one work tree, driven by whoever calls `step` and waits in between.

    A crash leaves what a crash of `ledger record` leaves; the next watch finds what is not recorded.
    """

    def __init__(
        self, workspace: Workspace, *, quiet_s: float, note: str = "", allow_secrets: bool = False
    ) -> None:
        """Begin with nothing seen.

        Args:
            workspace: Where.
            quiet_s: For how long nothing may have changed.
            note: Why, kept with each event.
            allow_secrets: Record what adds secrets too.

        Raises:
            NoWorkTree: The repository is bare.
        """
        if workspace.repository.work_dir is None:
            raise NoWorkTree(workspace.repository.git_dir)
        self._workspace, self._root = workspace, workspace.repository.work_dir
        self._quiet_s, self._note, self._allow_secrets = quiet_s, note, allow_secrets
        self._looker = Looker(workspace.repository)
        elsewhere = network_filesystem(workspace.repository.work_dir)
        self._stillness = Stillness(trusts_ctime=not elsewhere)
        self._settled: Look | None = None
        self._waiting_since_s = time.monotonic()
        self._refused: tuple[Look, str, float] | None = None
        self._said = ""

    def close(self) -> None:
        """Remove what looking has made in the temporary directory."""
        self._looker.close()

    def unrecorded(self) -> int:
        """Return how many paths are not as the open run has them, or HEAD where none is open.

        Raises:
            GitFailed: Git could not look.
        """
        repository, head = self._workspace.repository, self._workspace.open_run()
        return len(list_drift(repository, repository.head().tree if head is None else head.tree))

    def step(self) -> Step:
        """Look, and record what there is to record if it stands still.

        Raises:
            DamagedLedger, UnsyncedLog: The ledger cannot be written any more.
            OSError: The work tree is gone.
        """
        began_s = time.monotonic()
        try:
            look = self._looker.look()
        except (GitFailed, OSError) as error:
            if not self._root.is_dir():
                raise
            return self._refuse(error, None)
        now_s = time.monotonic()
        self._stillness.see(look, began_s, now_s, time.time_ns())
        # What stands still for longer is seen once, and again when it has stood that long.
        pause_s = max(min(_LONGEST_PAUSE_S, self._quiet_s), (now_s - began_s) / _LOOKING_SHARE)
        if not look.unlike(self._settled):
            self._waiting_since_s = now_s
            return Waiting(pause_s)
        if self._is_refused(look, now_s):
            return Waiting(pause_s)
        left_s = self._quiet_s - self._stillness.quiet_s(now_s)
        if left_s <= 0:
            return self._record(look, frozenset(), pause_s)
        if now_s - self._waiting_since_s > _PATIENCE * self._quiet_s:
            return self._record_around(look, now_s, pause_s)
        return Waiting(min(pause_s, max(left_s, now_s - began_s)))

    def _record_around(self, look: Look, now_s: float, pause_s: float) -> Step:
        """Record what stands still without what does not; wait on where all is moving."""
        self._waiting_since_s = now_s
        if look.locked:
            lock = str(self._workspace.repository.git_dir / "index.lock")
            return self._refuse(IndexLocked(lock), look)
        moving = self._stillness.moving(now_s, self._quiet_s)
        return self._record(look, moving, pause_s) if look.facts.keys() - moving else Waiting(pause_s)

    def _record(self, look: Look, moving: Set[bytes], pause_s: float) -> Step:
        try:
            applied = self._record_look(look, moving)
        except (Busy, LostRace):
            return Waiting(pause_s)
        except ProjectionPending as error:
            # It is recorded; the index follows with the next one.
            return self._refuse(error, None)
        except (DamagedLedger, UnsyncedLog):
            raise
        except (LedgerError, PatchError, DiffFailed, OSError, pygit2.GitError) as error:
            self._workspace.repository.objects.forget()
            return self._refuse(error, look)
        if applied is None:
            return Waiting(pause_s)
        self._refused, self._said = None, ""
        self._waiting_since_s = time.monotonic()
        if not moving:
            self._settled = look
        if applied.already:
            return Waiting(pause_s)
        return Recorded(applied, tuple(map(show_path, sorted(moving))))

    def _record_look(self, look: Look, moving: Set[bytes]) -> Applied | None:
        """Record what a look saw; return None where it is not to be seen any more.

        Raises:
            NoRun: None is open.
            Busy: Another command is at work.
            And all that `patching.record` raises.
        """
        workspace = self._workspace
        with workspace.locked(_LOCK_TIMEOUT_S):
            log = workspace.resume()
            if not self._is_as(look, moving):
                return None
            result = snapshot_tree(workspace.repository, tuple(os.fsdecode(path) for path in sorted(moving)))
            if not self._is_as(look, moving):
                return None
            if log is None:
                if result != workspace.repository.head().tree:
                    raise NoRun
                return Applied("", result, already=True)
            return record_tree(workspace, log, result, note=self._note, allow_secrets=self._allow_secrets)

    def _is_as(self, look: Look, moving: Set[bytes]) -> bool:
        """Tell whether all but some paths is as a look saw it."""
        now = self._looker.look()
        if now.locked or now.head != look.head:
            return False
        paths = (now.facts.keys() | look.facts.keys()) - moving
        return all(now.facts.get(path) == look.facts.get(path) for path in paths)

    def _is_refused(self, look: Look, now_s: float) -> bool:
        """Tell whether this was refused already, and nothing has changed that could matter."""
        if self._refused is None:
            return False
        refused, run, at_s = self._refused
        same = not look.unlike(refused) and look.locked == refused.locked and self._run() == run
        return same and now_s - at_s < _RETRY_S

    def _refuse(self, error: Exception, look: Look | None) -> Step:
        """Say once why nothing is recorded. As long as ``look`` is what there is, it is not tried again."""
        if look is not None:
            self._refused = look, self._run(), time.monotonic()
        pause_s = min(1.0, self._quiet_s)
        said, self._said = self._said, f"{type(error).__name__}: {error}"
        return Waiting(pause_s) if self._said == said else Refused(error, pause_s)

    def _run(self) -> str:
        head = self._workspace.open_run()
        return "" if head is None else f"{head.run}:{head.v}"
