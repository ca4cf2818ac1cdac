"""References to events: ``<run>:<v>``, a version of the current run, ``@`` and ``@-<n>``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ledger.errors import UnknownReference
from ledger.events import RUN_NAME
from ledger.heads import RunHead

_VERSION = re.compile(r"[0-9]+")
_LATEST = re.compile(r"@(?:-([0-9]+))?")


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
