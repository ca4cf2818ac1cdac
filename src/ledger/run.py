"""The one writer of events: what each happening of a run becomes in the log.

Everything here is appended at the version that the caller has seen; a run that is not in the log
yet gets its first events (`RunStarted` and the policy) in the same group as the next one, so there is
no run without them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol, TypedDict, cast

import msgspec
from msgspec import UNSET, UnsetType

from ledger.applyflags import NO_FLAGS, ApplyFlags
from ledger.errors import RunName
from ledger.events import (
    LEDGER_RUN,
    RUN_NAME,
    ApplyOptions,
    Cause,
    Event,
    KnownEvent,
    PatchApplied,
    PatchRefused,
    RunStarted,
)
from ledger.filerecords import FileRecord, changes_paths, encode_path
from ledger.gates.toolfiles import is_configuration
from ledger.heads import RunHead, Step, advance
from ledger.provenance import Provenance
from ledger.requests import Request
from ledger.secrets.masking import mask, mask_text
from ledger.stamps import Actor, Stamp
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


class Identity(TypedDict):
    """What every event says of itself, but for what the store stamps."""

    id: str
    run: str
    at_ns: int
    actor: Actor


def identify(run: str, stamp: Stamp) -> Identity:
    """Return the identity of a new event."""
    at_ns = stamp.clock()
    return {"id": stamp.new_id(at_ns), "run": run, "at_ns": at_ns, "actor": stamp.actor}


class Watcher(Protocol):
    """Who follows what a run's log gets: told right before events are appended, and when they are there."""

    def expect(self, events: Sequence[Event], /) -> None:
        """Get ready for events that are about to be appended."""

    def see(self, events: Sequence[KnownEvent], /) -> None:
        """Take note of events that were appended, and are durable."""


class RunLog:
    """The events of one run, as its writer sees them. The caller holds the run's lock.

    ``head`` is where the run stands, including ``unwritten``, the first events of a run that is
    not in the log yet.
    """

    def __init__(
        self,
        store: Store,
        stamp: Stamp,
        head: RunHead,
        request: Request | None = None,
        watcher: Watcher | None = None,
    ) -> None:
        self._store = store
        self._stamp = stamp
        self._request = request
        self._watcher = watcher
        self._listing = b""
        self.unwritten: tuple[Event, ...] = ()
        self.head = head

    @classmethod
    def begin(
        cls,
        store: Store,
        stamp: Stamp,
        started: RunStarted,
        listing: bytes,
        *first: KnownEvent,
        request: Request | None = None,
        watcher: Watcher | None = None,
    ) -> RunLog:
        """Return a run that is written, with the listing of its base, together with its first event.

        Args:
            store: Where it will be written.
            stamp: Gives ids and times.
            started: The run's first event.
            listing: The files of its base.
            first: What follows in the same append.
            request: Whose event one of the next is.
            watcher: Who is told of what is appended.

        Raises:
            RunName: The name is no run name, or is taken.
        """
        name = started.run
        if name == LEDGER_RUN or not RUN_NAME.fullmatch(name) or name.endswith(".lock"):
            raise RunName(name, "not a name for a run")
        taken = store.heads().get(name)
        if taken is not None:
            had = f"a run of this name was retired by {taken.retired}" if taken.retired else ""
            raise RunName(name, had or "a run of this name exists")
        head: RunHead | None = None
        stamped: list[Event] = []
        for v, event in enumerate((started, *first), start=1):
            known = msgspec.structs.replace(event, v=v)
            head = advance(head, [Step(known, "", 0)])
            stamped.append(known)
        assert head is not None
        log = cls(store, stamp, head, request, watcher)
        log.unwritten, log._listing = tuple(stamped), listing
        return log

    @property
    def written(self) -> bool:
        """Whether the run is in the log."""
        return not self.unwritten

    def identity(self) -> Identity:
        """Return what the run's next event says of itself."""
        return identify(self.head.run, self._stamp)

    def write_body(self, data: bytes) -> str:
        """Store a body durably and return its digest."""
        return self._store.write_body(data)

    def read_body(self, digest: str) -> bytes:
        """Return a body. Raises as `ledger.store.interface.Store.read_body`."""
        return self._store.read_body(digest)

    def write_text(self, text: bytes) -> str:
        """Store what a person or a tool said, without the secrets in it, and return its digest."""
        return self._store.write_body(mask(text))

    def write_note(self, text: str) -> str | None:
        """Store a text as `write_text` does, None where it is empty, and return its digest."""
        return self.write_text(text.encode()) if text else None

    def append(self, *events: Event) -> tuple[KnownEvent, ...]:
        """Append events as one group, after those that are still unwritten, and return all of them.

        Raises:
            LostRace: The run is not where ``head`` says. Nothing was appended.
            UnsyncedLog: The disk did not confirm.
        """
        group = [*self.unwritten, *events]
        if self._request is not None:
            group = self._request.name(group)
        expected_v = self.head.v + 1 - len(self.unwritten)
        if self.unwritten:
            self._store.write_body(self._listing)
        if self._watcher is not None:
            self._watcher.expect(group)
        frames = self._store.append(group, expected_v)
        self.unwritten = ()
        self.head = self._store.heads()[self.head.run]
        appended = tuple(cast("KnownEvent", frame.event) for frame in frames)
        if self._watcher is not None:
            self._watcher.see(appended)
        return appended

    def applied(  # noqa: PLR0913 - what a patch event says
        self,
        cause: Cause,
        patch: bytes,
        files: Sequence[FileRecord],
        result_tree: str,
        *,
        base_tree: str = "",
        provenance: Provenance = Provenance(),  # noqa: B008 - frozen
        note: str = "",
        of: int | None = None,
        secrets: Sequence[str] = (),
        conflicts: Sequence[bytes] = (),
    ) -> PatchApplied:
        """Return a change of the candidate, or of ``base_tree`` if given. Its bodies are durable."""
        message = mask(provenance.message.encode())
        return PatchApplied(
            **self.identity(),
            cause=cause,
            base_tree=base_tree or self.head.tree,
            result_tree=result_tree,
            patch=self._store.write_body(patch),
            patch_size_bytes=len(patch),
            options=_options(provenance.flags),
            files=tuple(files),
            source=provenance.source,
            note=self.write_note(note),
            of=of,
            configures=tuple(encode_path(path) for path in changes_paths(files) if is_configuration(path)),
            secrets=tuple(secrets) or UNSET,
            conflicts=tuple(map(encode_path, conflicts)) or UNSET,
            given=self._write_given(provenance),
            normalised=provenance.normalised or UNSET,
            author=mask_text(provenance.author) or UNSET,
            date=provenance.date or UNSET,
            message=self._store.write_body(message) if message else UNSET,
        )

    def refused(
        self, patch: bytes, error: Exception, provenance: Provenance, *, base_tree: str = ""
    ) -> PatchRefused:
        """Return that a patch does not apply to the candidate, or to ``base_tree`` if given."""
        return PatchRefused(
            **self.identity(),
            base_tree=base_tree or self.head.tree,
            patch=self._store.write_body(patch),
            patch_size_bytes=len(patch),
            options=_options(provenance.flags),
            error=type(error).__name__,
            reason=self.write_text(str(error).encode()),
            source=provenance.source,
            given=self._write_given(provenance),
            normalised=provenance.normalised or UNSET,
        )

    def _write_given(self, provenance: Provenance) -> str | UnsetType:
        return UNSET if provenance.given is None else self._store.write_body(provenance.given)


def _options(flags: ApplyFlags) -> ApplyOptions:
    return ApplyOptions() if flags == NO_FLAGS else ApplyOptions(flags=flags)
