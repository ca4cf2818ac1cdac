"""Baselines: the secrets that a repository is known to hold, in the file format of detect-secrets. Pure.

An entry is a hash, never the value. `detect-secrets audit` labels entries in the very file, and
`detect-secrets scan --baseline` takes it for its own.

See: ``docs/offline.md``, "Secrets".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha1
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from ledger.errors import LedgerError

NAME = ".secrets.baseline"


class BadBaseline(LedgerError):
    """The baseline is not one. Nothing was written."""

    hint = "`ledger audit secrets --update-baseline` writes a new one, once this one is moved away"

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: not a baseline of detect-secrets: {reason}")


class Known(Struct, frozen=True, omit_defaults=True):
    """One entry: a secret by its hash. ``is_secret`` says what an audit found: a real one or none."""

    type: str
    filename: str
    hashed_secret: str
    is_verified: bool = False
    line_number: int = 0
    is_secret: bool | None = None


class _File(Struct):
    results: dict[str, list[Known]]
    version: str = ""
    plugins_used: list[Any] = []
    filters_used: list[Any] = []


class Seen(NamedTuple):
    """A secret in a file: its kind, the line, and hashes of all of it, of what the library takes for it."""

    kind: str
    path: str
    line: int
    hash: str
    part_hash: str


def hash_secret(value: bytes) -> str:
    """Return a secret's hash as the format has it."""
    return sha1(value, usedforsecurity=False).hexdigest()


class Baseline:
    """The entries of one baseline, to look seen secrets up in."""

    def __init__(self, entries: Iterable[Known] = ()) -> None:
        self._whole: dict[tuple[str, str, str], Known] = {}
        self._lines: dict[tuple[str, str, str, int], Known] = {}
        for each in entries:
            key = (each.filename, each.type, each.hashed_secret)
            self._whole[key] = each
            self._lines[(*key, each.line_number)] = each

    def __len__(self) -> int:
        """Return how many secrets it knows."""
        return len(self._whole)

    def find(self, seen: Seen) -> Known | None:
        """Return the entry of a secret.

        For some kinds the library hashes only a prefix, which every token of the kind shares: such an entry
        stands for the one on its line, not for all in the file.
        """
        whole = self._whole.get((seen.path, seen.kind, seen.hash))
        if whole is not None or seen.part_hash == seen.hash:
            return whole
        return self._lines.get((seen.path, seen.kind, seen.part_hash, seen.line))


def parse_baseline(data: bytes, path: str = NAME) -> Baseline:
    """Return the baseline in a file's bytes.

    Raises:
        BadBaseline: They are not of the format.
    """
    try:
        file = msgspec.json.decode(data, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadBaseline(path, str(error)) from error
    # The key is the name that counts: the library repeats it in each entry.
    return Baseline(
        msgspec.structs.replace(each, filename=name) for name, found in file.results.items() for each in found
    )


def encode_baseline(seen: Sequence[Seen], before: Baseline, plugins: Sequence[str], version: str) -> bytes:
    """Return the bytes of a baseline that knows what was seen; what an audit said of an entry stays said.

    It holds no time of writing, so that the same secrets give the same bytes.

    Args:
        seen: What was found.
        before: The baseline until now.
        plugins: The library's names of the detectors that were asked.
        version: The library's version.
    """
    results: dict[str, dict[tuple[str, str], Mapping[str, object]]] = {}
    for each in sorted(seen, key=lambda each: (each.path, each.line, each.kind, each.hash)):
        old = before.find(each)
        new = Known(
            type=each.kind,
            filename=each.path,
            hashed_secret=each.hash,
            line_number=each.line,
            is_secret=None if old is None else old.is_secret,
        )
        results.setdefault(each.path, {}).setdefault((each.kind, each.hash), _entry(new))
    document = {
        "version": version,
        "plugins_used": [{"name": name} for name in plugins],
        "filters_used": [
            {"path": "detect_secrets.filters.allowlist.is_line_allowlisted"},
            {"path": "detect_secrets.filters.common.is_baseline_file", "filename": NAME},
        ],
        "results": {path: list(entries.values()) for path, entries in results.items()},
    }
    return json.dumps(document, indent=2).encode() + b"\n"


def _entry(known: Known) -> dict[str, object]:
    entry: dict[str, object] = {
        "type": known.type,
        "filename": known.filename,
        "hashed_secret": known.hashed_secret,
        "is_verified": known.is_verified,
        "line_number": known.line_number,
    }
    return entry if known.is_secret is None else {**entry, "is_secret": known.is_secret}
