"""Requests: the ids that writers give, so that asking again for the same change is harmless.

See: ``docs/format.md``, "Ids".
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from hashlib import sha256

import msgspec

from ledger.errors import InvalidId
from ledger.events import AnyEvent, Event

_VERSION = 7


class AlreadyDone(Exception):
    """The request was carried out before, by ``event``. Nothing was written; what it left pending is done."""

    def __init__(self, event: AnyEvent) -> None:
        self.event = event
        super().__init__(event.reference)


class Request:
    """One request under the id that its writer gave: the next event of one of ``kinds`` gets the id, once."""

    def __init__(
        self,
        id_: str,
        kinds: type[Event] | tuple[type[Event], ...],
        command: str,
        given: Mapping[str, object],
    ) -> None:
        self.id, self.kinds = id_, kinds
        self.digest = digest_request(command, given)
        self.spent = False

    def name(self, group: Sequence[Event]) -> list[Event]:
        """Return a group with the id on the event that was asked for, the first of its kind."""
        named = list(group)
        for at, event in enumerate(named):
            if isinstance(event, self.kinds) and not self.spent:
                named[at] = msgspec.structs.replace(event, id=self.id, request=self.digest)
                self.spent = True
        return named


def parse_id(text: str) -> str:
    """Return an id in its one spelling.

    Raises:
        InvalidId: It is no UUID of version 7.
    """
    try:
        value = uuid.UUID(text)
    except ValueError:
        raise InvalidId(text) from None
    if value.version != _VERSION:
        raise InvalidId(text)
    return str(value)


def digest_request(command: str, given: Mapping[str, object]) -> str:
    """Return the digest of what a command was asked for.

    Args:
        command: Its name.
        given: What it was given, each a JSON value or bytes.
    """
    said = json.dumps(
        [command, given], sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_named
    )
    return sha256(b"ledger-request/1\n" + said.encode()).hexdigest()


def _named(data: object) -> str:
    assert isinstance(data, bytes)
    return sha256(data).hexdigest()
