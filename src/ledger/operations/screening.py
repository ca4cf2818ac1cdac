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

    def and_more(self, other: Screened) -> Screened:
        """Return what there is to say of this and of another."""
        return Screened(
            tuple(dict.fromkeys((*self.secrets, *other.secrets))),
            tuple(dict.fromkeys((*self.kept, *other.kept))),
            tuple(dict.fromkeys((*self.doubtful, *other.doubtful))),
        )

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


def screen(data: bytes, patch: Patch, *, allow: bool, reverse: bool = False) -> Screened:
    """Look through a patch, as it was given and as parsed; with ``reverse`` for what taking it back adds.

    Raises:
        SecretFound: It adds secrets, and ``allow`` is False. Nothing was stored.
    """
    seen = scan_patch(data, patch, reverse=reverse)
    secrets = tuple(map(str, seen.added))
    if secrets and not allow:
        raise SecretFound(secrets)
    return Screened(secrets, seen.kept, seen.doubtful)


def screen_rest(given: bytes, text: bytes, *, allow: bool) -> Screened:
    """Look through what ``given`` holds besides the patch ``text`` that was read out of it: prose around it.

    A line that is in both was looked at as a line of the patch. Sightings name the lines of ``given``.

    Raises:
        SecretFound: As `screen`.
    """
    known = {line[start:].strip() for line in text.split(b"\n") for start in (0, 1)}
    rest = [line if _bare(line) not in known else b"" for line in _readable(given).split(b"\n")]
    return screen(b"\n".join(rest), Patch(()), allow=allow)


def _readable(data: bytes) -> bytes:
    """Return a text whose ASCII can be searched: UTF-16 as UTF-8."""
    encodings = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
    encoding = encodings.get(data[:2]) or ("utf-16-le" if data[1:2] == b"\0" else "")
    return data.decode(encoding, "replace").encode() if encoding else data


def _bare(line: bytes) -> bytes:
    """Return a line without what a mail's quoting puts before it."""
    return line.lstrip(b"> ").strip()


def _listed(sightings: tuple[Sighting, ...]) -> str:
    shown = ", ".join(map(str, sightings[:_SHOWN]))
    more = len(sightings) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
