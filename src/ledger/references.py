"""References to events: ``<run>:<v>``, a version of the current run, ``@`` and ``@-<n>``; and ranges."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from ledger.errors import UnknownReference
from ledger.events import RUN_NAME
from ledger.heads import RunHead

_VERSION = re.compile(r"[0-9]+")
_SEPARATOR = ".."  # in no run name: one dot of it stands between letters or digits
_LATEST = re.compile(r"@(?:-([0-9]+))?")


class EventRange(NamedTuple):
    """The events of a run past version ``after_v`` up to ``until_v``, as ``RUN:A..B`` names them."""

    run: str
    after_v: int
    until_v: int

    def __str__(self) -> str:
        """Return the reference."""
        return f"{self.run}:{self.after_v}..{self.until_v}"


def resolve_range(text: str, heads: Mapping[str, RunHead], current: str | None) -> EventRange:
    """Return the events that a range names.

    Args:
        text: ``A..B``: what came after A up to B, as Git's ranges, where A may be 0 or left out for the
            run's beginning, B for its latest event, and B is of A's run; a reference, for that event alone; a
            run's name for all of it; "" for all of the current run.
        heads: The head of every run.
        current: The run that short forms mean, None where there is none.

    Raises:
        UnknownReference: It is no range, or the run has no such event.
    """
    if _SEPARATOR not in text:
        run, v = resolve(text or "@", heads, current)
        return EventRange(run, 0 if not text or text == run else v - 1, v)
    first, _, last = text.partition(_SEPARATOR)
    named, separator, start = first.rpartition(":")
    run = resolve(f"{named}:@" if separator else "@", heads, current)[0]
    after_v = 0 if start in {"", "0"} else resolve(f"{run}:{start}", heads, current)[1]
    other, until_v = resolve(last if ":" in last else f"{run}:{last or '@'}", heads, current)
    if other != run:
        raise UnknownReference(text, f"it begins in run {run} and ends in {other}")
    if until_v < after_v:
        raise UnknownReference(text, "it ends before it begins")
    return EventRange(run, after_v, until_v)


def resolve(reference: str, heads: Mapping[str, RunHead], current: str | None) -> tuple[str, int]:
    """Return the run and version that a reference names.

    Args:
        reference: ``<run>:<v>``, ``<run>`` (its latest), ``<v>``, ``@`` or ``@-<n>``.
        heads: The head of every run.
        current: The run that short forms mean, None where there is none.

    Raises:
        UnknownReference: It is no reference, or the run has no such event.
    """
    run, separator, rest = reference.rpartition(":")
    if not separator:
        run = current or ""
        if RUN_NAME.fullmatch(rest):
            run, rest = rest, "@"
    if not run:
        raise UnknownReference(reference, "there is no current run; write `<run>:<version>`")
    head = heads.get(run)
    if head is None:
        raise UnknownReference(reference, f"there is no run {run}")
    if head.retired:
        raise UnknownReference(reference, f"run {run} was retired by {head.retired}; its events are gone")
    latest = _LATEST.fullmatch(rest)
    if latest:
        v = head.v - int(latest[1] or 0)
    elif _VERSION.fullmatch(rest):
        v = int(rest)
    else:
        raise UnknownReference(reference, "not a reference; write `<run>:<version>`, a version, `@` or `@-3`")
    if not 1 <= v <= head.v:
        raise UnknownReference(reference, f"run {run} has the versions 1 to {head.v}")
    return run, v
