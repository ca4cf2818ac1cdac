"""What every event says, whatever its kind."""

from __future__ import annotations

import re

from msgspec import UNSET, Struct, UnsetType

from ledger.stamps import Actor

NO_DIGEST = "0" * 64
"""``prev`` of a run's first event."""

LEDGER_RUN = "ledger"
"""The run of everything that concerns no run."""

RUN_NAME = re.compile(r"[a-z](?:[a-z0-9]|[.-](?=[a-z0-9])){0,63}")


class Event(Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What every event says: identity, place in its run, time, and who claims it.

    ``v`` counts from 1 within the run and ``prev`` is the digest of the run's event before;
    both are stamped by the store under its lock (0 and "" until then). ``request`` is there where the
    writer gave the id: the digest of what was asked for, so that a retry can be told from another request.
    """

    id: str
    run: str
    v: int = 0
    prev: str = ""
    at_ns: int
    actor: Actor
    request: str | UnsetType = UNSET

    @property
    def kind(self) -> str:
        """The kind with its version, as in ``patch.applied/1``."""
        return str(self.__struct_config__.tag)

    @property
    def reference(self) -> str:
        """The canonical reference, ``<run>:<v>``."""
        return f"{self.run}:{self.v}"


class UnknownEvent(Struct, frozen=True, kw_only=True):
    """An event of a kind that this version does not know: kept, shown, never rewritten."""

    kind: str
    id: str
    run: str
    v: int
    prev: str
    at_ns: int
    actor: Actor
    request: str | UnsetType = UNSET
    result_tree: str | None = None
    """Present where the kind is marked as changing the tree."""

    @property
    def reference(self) -> str:
        """The canonical reference, ``<run>:<v>``."""
        return f"{self.run}:{self.v}"
