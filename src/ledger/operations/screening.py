"""Screening: a patch looked through for secrets before anything of it is stored."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from ledger.errors import SecretFound
from ledger.operations.outcome import Applied
from ledger.secrets.patchtext import Sighting, scan_patch
from patches.model import Patch

_SHOWN = 3


class Screened(NamedTuple):
    """What there is to say of a patch that may be stored.

    ``secrets`` are those it adds, which were allowed; ``kept`` those in lines that it removes or leaves;
    ``doubtful`` what only may be one.
    """

    secrets: tuple[str, ...] = ()
    kept: tuple[Sighting, ...] = ()
    doubtful: tuple[Sighting, ...] = ()

    def tell(self, applied: Applied) -> Applied:
        """Return an outcome that says so too."""
        if applied.already:
            return applied
        warnings: list[str] = []
        if self.kept:
            warnings.append(
                f"the log keeps the patch with what it removes or leaves: {_listed(self.kept)}; "
                f"`ledger redact {applied.event}` drops it"
            )
        if self.doubtful:
            warnings.append(f"secrets? Look at {_listed(self.doubtful)}")
        return msgspec.structs.replace(applied, secrets=self.secrets, warnings=tuple(warnings))


def screen(data: bytes, patch: Patch, *, allow: bool) -> Screened:
    """Look through a patch, as it was given and as parsed.

    Raises:
        SecretFound: It adds secrets, and ``allow`` is False. Nothing was stored.
    """
    seen = scan_patch(data, patch)
    secrets = tuple(map(str, seen.added))
    if secrets and not allow:
        raise SecretFound(secrets)
    return Screened(secrets, seen.kept, seen.doubtful)


def _listed(sightings: tuple[Sighting, ...]) -> str:
    shown = ", ".join(map(str, sightings[:_SHOWN]))
    more = len(sightings) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
