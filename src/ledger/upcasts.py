"""Upcasts: what makes an event of an old version of a kind into the version that came after it.

The log is never rewritten (P9): an old event stays as its bytes are, and every reader brings it up to the
newest version that it knows before it decodes it. Chains and digests are over the stored bytes all the same.

See: ``docs/format.md``, "Versions".
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeAlias

import msgspec

Fields: TypeAlias = dict[str, Any]

UPCASTS: dict[tuple[str, int], Callable[[Fields], Fields]] = {}
"""(name of a kind, version) → what makes its fields into those of the next version.

All kinds are at version 1 today, so there is none. A function gets and returns all fields but ``kind``.
"""


def upcast(fields: Fields, known: Collection[str]) -> Fields | None:
    """Return an event's fields in the first known kind that upcasts lead to, None where they lead to none.

    Args:
        fields: All fields of the event as it is stored.
        known: The kinds that are decoded, with their versions.

    Raises:
        msgspec.ValidationError: The fields are not those of the old version.
    """
    kind = str(fields.get("kind"))
    while kind not in known:
        name, _, version = kind.rpartition("/")
        step = UPCASTS.get((name, int(version))) if version.isdecimal() else None
        if step is None:
            return None
        rest = {field: value for field, value in fields.items() if field != "kind"}
        try:
            fields = step(rest)
        except (KeyError, TypeError, ValueError) as error:
            raise msgspec.ValidationError(f"not an event of kind {kind}: {error!r}") from error
        kind = f"{name}/{int(version) + 1}"
        fields = {"kind": kind, **fields}
    return fields
