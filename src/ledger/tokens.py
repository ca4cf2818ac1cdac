"""Tokens: how large the patches of a run are for a model that reads them.

With a tokenizer the count is exact, and kept in ``cache/tokens`` by the digests of bytes and tokenizer.
Without one it is estimated from the size alone, and every answer says which of the two it is.

See: ``docs/tokens.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct

from ledger.errors import DroppedBody
from ledger.events import PatchApplied
from ledger.filerecords import parse_path
from ledger.history import History
from ledger.references import EventRange
from ledger.repository import Repository
from ledger.store.disk import write_cached
from patches.errors import show_path

ESTIMATE = "bytes/4"
"""What a count says that it was made by where there was no tokenizer."""

_BYTES_PER_TOKEN = 4
_DIGEST_SIZE = 16


class PatchTokens(Struct, frozen=True):
    """One patch and its size.

    ``live`` tells whether the last state that was asked for has the patch: it was not rolled back by then.
    ``largest`` is the file with the most changed lines; ``tokens`` is None where the bytes were dropped
    and a tokenizer was to count them.
    """

    event: str
    live: bool
    files: int
    largest: str
    size_bytes: int
    tokens: int | None
    counted_by: str


class Counter(Protocol):
    """A way to count; ``name`` tells it from every other that may give another number."""

    name: str

    def count(self, patch: PatchApplied) -> int:
        """Return the tokens of a patch.

        Raises:
            DroppedBody: Its bytes are needed, and were dropped.
        """
        ...

    def close(self) -> None:
        """Keep for the next time what took long."""
        ...


class Estimate:
    """Four bytes a token, rounded up: near enough for English and code, and nothing has to be installed."""

    name = ESTIMATE

    def count(self, patch: PatchApplied) -> int:
        """Return the estimate of a patch."""
        return -(-patch.patch_size_bytes // _BYTES_PER_TOKEN)

    def close(self) -> None:
        """Keep nothing."""


class ByTokenizer:
    """Counts with a real tokenizer, which is loaded when the first patch is not in the cache."""

    def __init__(self, directory: Path, cache_dir: Path, read_body: Callable[[str], bytes]) -> None:
        from codex_ml.interfaces.tokenizer import fingerprint

        digest = fingerprint(directory)
        self.name = f"{directory.resolve().name}@{digest}"
        self._directory = directory
        self._file = cache_dir / "tokens" / f"{digest}.json"
        self._read_body = read_body
        self._known = _read_counts(self._file)
        self._new = False
        self._count: Callable[[str], int] | None = None

    def count(self, patch: PatchApplied) -> int:
        """Return the exact number of tokens in a patch's bytes, read as text, without special ones."""
        if patch.patch not in self._known:
            text = decode(self._read_body(patch.patch))
            if self._count is None:
                from codex_ml.interfaces.tokenizer import Tokenizer

                self._count = Tokenizer.from_pretrained(self._directory).count
            self._known[patch.patch] = self._count(text)
            self._new = True
        return self._known[patch.patch]

    def close(self) -> None:
        """Keep what was counted. Of two that count at once one is forgotten, which costs its time again."""
        if self._new:
            write_cached(self._file, msgspec.json.encode(self._known))


def choose_counter(tokenizer: str, base: Path, cache_dir: Path, read_body: Callable[[str], bytes]) -> Counter:
    """Return the counter that a tokenizer's name or directory means; "" means the estimate.

    Args:
        tokenizer: A directory, relative to ``base``, or the name of a model in this machine's cache.
        base: Where relative directories begin.
        cache_dir: The ledger's ``cache``, which may be deleted.
        read_body: Gives a patch's bytes.

    Raises:
        TokenizerNotFound: There is none.
        TransformersMissing: It is a model's name, and nothing knows the cache.
    """
    if not tokenizer:
        return Estimate()
    from codex_ml.interfaces.tokenizer import locate

    directory = base / tokenizer
    return ByTokenizer(directory if directory.exists() else locate(tokenizer), cache_dir, read_body)


def decode(data: bytes) -> str:
    """Return a patch's bytes as text: in their own encoding, or with a mark for each byte that is in none."""
    from ingestion import BinaryContent, detect

    try:
        encoding = detect(data).encoding
    except BinaryContent:
        encoding = "utf-8"
    return data.decode(encoding, "replace")


def configured_counter(repository: Repository, cache_dir: Path, read_body: Callable[[str], bytes]) -> Counter:
    """Return the counter that the configuration of a work tree names; errors as of `choose_counter`.

    Raises:
        InvalidConfiguration: The configuration cannot be read.
    """
    from ledger.configurations import configuration_of

    base = repository.work_dir or repository.git_dir
    return choose_counter(configuration_of(repository).tokens.tokenizer, base, cache_dir, read_body)


def count_patches(history: History, range_: EventRange, counter: Counter) -> list[PatchTokens]:
    """Return the patches of a range and their sizes, in order, and keep what was counted.

    Args:
        history: The run's, up to the end of the range.
        range_: Which patches.
        counter: How to count.
    """
    live = {at.v for at in history.live}
    found = [_measure(patch, counter, live=patch.v in live) for patch in patches_in(history, range_)]
    counter.close()
    return found


def _measure(patch: PatchApplied, counter: Counter, *, live: bool) -> PatchTokens:
    try:
        tokens = counter.count(patch)
    except DroppedBody:
        tokens = None
    largest = max(patch.files, key=lambda file: file.added + file.removed, default=None)
    return PatchTokens(
        event=patch.reference,
        live=live,
        files=len(patch.files),
        largest="" if largest is None else show_path(parse_path(largest.path)),
        size_bytes=patch.patch_size_bytes,
        tokens=tokens,
        counted_by=counter.name,
    )


def patches_in(history: History, range_: EventRange) -> list[PatchApplied]:
    """Return the patches of a range, rolled back or not, in order."""
    return [patch for v, patch in sorted(history.patches.items()) if range_.after_v < v <= range_.until_v]


def unaccepted_range(run: str, history: History) -> EventRange:
    """Return the range of patches that lead to the candidate from what was accepted before it.

    The candidate's own tree does not count as accepted: its patches are the same before and after it is.
    """
    candidate = history.candidate
    before = [at for at in history.live if at.tree != candidate.tree and history.is_accepted(at.tree)]
    return EventRange(run, before[-1].v if before else history.live[0].v, candidate.v)


def digest_of(history: History, range_: EventRange) -> str:
    """Return a digest over the bytes of a range's live patches: what a measurement of them depends on."""
    live = {at.v for at in history.live}
    names = [patch.patch for patch in patches_in(history, range_) if patch.v in live]
    return sha256("\n".join(names).encode()).hexdigest()[:_DIGEST_SIZE]


def _read_counts(file: Path) -> dict[str, int]:
    """Return what was counted before; a cache that is not there or not whole costs only time."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, int])
    except (OSError, msgspec.DecodeError):
        return {}
