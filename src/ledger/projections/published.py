"""Where runs were published: the places outside that were sent patches and texts, for redactions to name.

Written before anything is sent, one small file for each place. It lies with what can be made again, since no
state rests on it: where it was deleted, a redaction says less.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct

from ledger.store.disk import write_durably

_FOLDER = "published"


class Place(Struct, frozen=True, kw_only=True):
    """One copy outside: ``run`` up to version ``until_v``, as MLflow run ``mlflow_run`` at ``uri``."""

    run: str
    uri: str
    experiment: str
    mlflow_run: str
    until_v: int


def note_place(cache: Path, place: Place) -> None:
    """Record that a run is about to be sent somewhere.

    Args:
        cache: The ledger's directory of what can be made again.
        place: Where, and how far; the URI without credentials.

    Raises:
        OSError: It cannot be recorded; nothing should be sent then.
    """
    name = sha256(f"{place.uri}\n{place.mlflow_run}".encode()).hexdigest()[:16]
    path = cache / _FOLDER / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    known = _read(path)
    if known is None or known.until_v < place.until_v:
        write_durably(path, msgspec.json.encode(place))


def places_of(cache: Path, run: str) -> Iterator[Place]:
    """Yield the places that were sent events of a run, in the order of their names."""
    for path in sorted((cache / _FOLDER).glob("*.json")):
        place = _read(path)
        if place is not None and place.run == run:
            yield place


def _read(path: Path) -> Place | None:
    """Return what a file says; None where there is none, or it is not as we write it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Place)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
