"""The interface of a store: append with expected versions, read after a position, heads, bodies.

One conformance suite runs against every implementation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

from ledger.events import AnyEvent, Event
from ledger.frames import Frame
from ledger.heads import RunHead

PlaceT = TypeVar("PlaceT")
"""A store's own kind of place between two groups: opaque to everybody else."""


class Store(Protocol):
    """What the rest of the ledger asks of a store."""

    def append(self, events: Sequence[Event], expected_v: int | None = None) -> tuple[Frame, ...]:
        """Append ``events`` of one run as one group and return once the disk has confirmed them.

        Args:
            events: Events without ``v`` and ``prev``; the store stamps both.
            expected_v: Version that the first event must get; None accepts any.

        Raises:
            LostRace: Another event has that version. Nothing was appended. The same id with the
                same content at that version is a retry, and returns its frames instead.
            UnsyncedLog: The disk did not confirm. Nothing further is appended.
            DamagedLedger: Acknowledged bytes changed. Nothing was appended.
        """
        ...

    def append_copies(self, copies: Sequence[bytes], events: Sequence[Event]) -> tuple[Frame, ...]:
        """Append events of another ledger byte for byte, then events of run ``ledger``, as one group.

        Args:
            copies: Stored events of one run, each with its ``v`` and ``prev``; they must follow what
                is here of the run.
            events: Events of run ``ledger`` without ``v`` and ``prev``, at least one.

        Raises:
            LostRace: The run has come further here. Nothing was appended. (A store may pass over the copies
                that it has, byte for byte, instead.)
            DivergedRun: Another event has the version of one of them, in such a store. Nothing was appended.
            NotACopy: They do not follow one another, or what is here. Nothing was appended.
            UnsyncedLog: The disk did not confirm. Nothing further is appended.
            DamagedLedger: Acknowledged bytes changed. Nothing was appended.
        """
        ...

    def frames(self) -> Iterator[Frame]:
        """Yield every confirmed frame, in an order that keeps each run's.

        Needs no lock and heals nothing.

        Raises:
            DamagedLedger: A frame is not what was written; those before were yielded.
        """
        ...

    def of_run(self, run: str, after_v: int = 0, until_v: int | None = None) -> Iterator[Frame]:
        """Yield the confirmed frames of a run past version ``after_v`` up to ``until_v``, in order.

        Costs what the run has there, not what the log has. Each frame's hash and the run's own chain are
        checked, not the chain of the log.

        Raises:
            DamagedLedger: A frame of the run is not what was written, or missing; those before were yielded.
        """
        ...

    def find(self, id_: str) -> AnyEvent | None:
        """Return the confirmed event of an id, None where no event has it."""
        ...

    def heads(self) -> Mapping[str, RunHead]:
        """Return the head of every run as far as the log is confirmed."""
        ...

    def read_body(self, digest: str) -> bytes:
        """Return a body.

        Raises:
            DroppedBody: It was dropped.
            DamagedLedger: It is missing, or its bytes do not have this digest.
        """
        ...

    def write_body(self, data: bytes) -> str:
        """Store a body durably and return its digest; the same bytes again cost one look."""
        ...


class FollowedStore(Store, Protocol[PlaceT]):
    """A store that can be followed from where one was, by a place of its own kind."""

    def groups(self, after: PlaceT | None = None) -> Iterator[tuple[Sequence[Frame], PlaceT]]:
        """Yield the confirmed groups of frames past a place, each with the place behind it.

        Needs no lock and heals nothing.

        Raises:
            DamagedLedger: A frame is not what was written; the groups before it were yielded.
        """
        ...
