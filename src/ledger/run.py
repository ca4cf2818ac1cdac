"""The one writer of events: what each happening of a run becomes in the log.

Everything here is appended at the version that the caller has seen; a run that is not in the log
yet gets its `RunStarted` in the same group as its first event, so there is no run without one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypedDict

import msgspec

from ledger.errors import RunName
from ledger.events import (
    LEDGER_RUN,
    RUN_NAME,
    Actor,
    AnyEvent,
    ApplyOptions,
    Cause,
    CommitSeen,
    Event,
    FileRecord,
    PatchApplied,
    PatchRefused,
    RunFinished,
    RunStarted,
    Stamp,
)
from ledger.heads import RunHead, advance
from ledger.store.interface import Store

_SUFFIX_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_TITLE_SIZE = 24


def name_run(title: str, stamp: Stamp) -> str:
    """Return a fresh run name: the title's words, then four random digits.

    The digits keep runs of two clones apart when one is imported into the other.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower())[:_TITLE_SIZE].strip("-")
    if not RUN_NAME.fullmatch(slug):
        slug = f"run-{slug}".rstrip("-")
    suffix = "".join(_SUFFIX_DIGITS[byte % 32] for byte in stamp.entropy(4))
    return f"{slug}-{suffix}"


class _Identity(TypedDict):
    """What every event says of itself, but for what the store stamps."""

    id: str
    run: str
    at_ns: int
    actor: Actor


class RunLog:
    """The events of one run, as its writer sees them. The caller holds the run's lock.

    ``head`` is where the run stands, including ``unwritten``, a `RunStarted` that is not in the log
    yet.
    """

    def __init__(self, store: Store, stamp: Stamp, head: RunHead) -> None:
        self._store = store
        self._stamp = stamp
        self._listing = b""
        self.unwritten: RunStarted | None = None
        self.head = head

    @classmethod
    def begin(cls, store: Store, stamp: Stamp, started: RunStarted, listing: bytes) -> RunLog:
        """Return a run that is written, with the listing of its base, together with its first event.

        Raises:
            RunName: The name is no run name, or is taken.
        """
        name = started.run
        if name == LEDGER_RUN or not RUN_NAME.fullmatch(name) or name.endswith(".lock"):
            raise RunName(name, "not a name for a run")
        if name in store.heads():
            raise RunName(name, "a run of this name exists")
        started = msgspec.structs.replace(started, v=1)
        log = cls(store, stamp, advance(None, started, "", 0))
        log.unwritten, log._listing = started, listing
        return log

    @property
    def written(self) -> bool:
        """Whether the run is in the log."""
        return self.unwritten is None

    def start(self) -> AnyEvent:
        """Append the `RunStarted` alone."""
        return self._append(())

    def applied(
        self,
        cause: Cause,
        patch: bytes,
        files: Sequence[FileRecord],
        result_tree: str,
        *,
        source: str = "",
        note: str = "",
    ) -> AnyEvent:
        """Append a change of the tree. Its bodies are durable before the event names them."""
        event = PatchApplied(
            **self._identity(),
            cause=cause,
            base_tree=self.head.tree,
            result_tree=result_tree,
            patch=self._store.write_body(patch),
            patch_size_bytes=len(patch),
            options=ApplyOptions(),
            files=tuple(files),
            source=source,
            note=self._store.write_body(note.encode()) if note else None,
        )
        return self._append((event,))

    def refused(self, patch: bytes, error: Exception, *, source: str = "") -> AnyEvent:
        """Append that a patch does not apply to the candidate."""
        event = PatchRefused(
            **self._identity(),
            base_tree=self.head.tree,
            patch=self._store.write_body(patch),
            patch_size_bytes=len(patch),
            options=ApplyOptions(),
            error=type(error).__name__,
            reason=self._store.write_body(str(error).encode()),
            source=source,
        )
        return self._append((event,))

    def commit_seen(self, commit: str, tree: str, state_v: int) -> AnyEvent:
        """Append that HEAD is at a commit whose tree is the state at ``state_v``."""
        return self._append((CommitSeen(**self._identity(), commit=commit, tree=tree, state_v=state_v),))

    def finished(self) -> AnyEvent:
        """Append the end of the run."""
        return self._append((RunFinished(**self._identity(), tree=self.head.tree),))

    def _identity(self) -> _Identity:
        at_ns = self._stamp.clock()
        return {
            "id": self._stamp.new_id(at_ns),
            "run": self.head.run,
            "at_ns": at_ns,
            "actor": self._stamp.actor,
        }

    def _append(self, events: Sequence[Event]) -> AnyEvent:
        group = list(events)
        expected_v = self.head.v + 1
        if self.unwritten is not None:
            self._store.write_body(self._listing)
            group.insert(0, self.unwritten)
            expected_v = 1
        frames = self._store.append(group, expected_v)
        self.unwritten = None
        self.head = self._store.heads()[self.head.run]
        return frames[-1].event
