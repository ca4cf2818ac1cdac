"""Witnesses: checkpoints held against a log, which extends each of them or is damaged.

A log extends a checkpoint when its frame at the checkpoint's position has the checkpoint's hash: the hash
covers every frame before. What lies past that position no checkpoint speaks of.

See: ``docs/format.md``, "Checkpoints" and "What can be proved".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ledger.checkpoint_errors import UntrustedNote
from ledger.checkpoints import Checkpoint
from ledger.findings import Finding
from ledger.projections.checkpoints import Kept, Unreadable
from ledger.signednotes import PublicKey, find_signer

_SUBJECT = "checkpoint"
_NO_CHECKPOINT = (
    "no copy of the head hash outside: whoever can rewrite the whole directory could rewrite history"
)


class Witness(NamedTuple):
    """A checkpoint to hold against a log.

    ``signer`` is the key, of those that the caller trusts, that signed it, "" where none was asked for;
    ``given`` says that the caller named it, so it must be one of this ledger.
    """

    kept: Kept
    signer: str
    given: bool

    @property
    def checkpoint(self) -> Checkpoint:
        """What it says."""
        return self.kept.checkpoint


def trust(kept: Kept, keys: Sequence[PublicKey]) -> Witness:
    """Return a checkpoint that the caller named as a witness.

    Raises:
        UntrustedNote: Keys were given and none of them signed it, or a signature is not theirs.
    """
    try:
        signer = find_signer(kept.signed.note, keys).name if keys else ""
    except UntrustedNote as error:
        raise UntrustedNote(error.reason, kept.place) from error
    return Witness(kept, signer, given=True)


class Witnesses:
    """What is known of a log from elsewhere.

    Args:
        given: What the caller named, each one trusted as far as `trust` says.
        found: What the repository itself keeps.
        unreadable: What should be a checkpoint there and is none.
        keys: The keys that the caller trusts.
    """

    def __init__(
        self,
        given: Iterable[Witness] = (),
        found: Iterable[Kept] = (),
        unreadable: Sequence[Unreadable] = (),
        keys: Sequence[PublicKey] = (),
    ) -> None:
        self._given = list(given)
        named = {(witness.kept.place, witness.checkpoint) for witness in self._given}
        self._found = [_weigh(each, keys) for each in found if (each.place, each.checkpoint) not in named]
        self._unreadable = unreadable

    def positions(self) -> dict[int, str]:
        """Return the positions whose hash is asked for, the first one among them, each with no hash yet."""
        return {1: ""} | {each.checkpoint.size: "" for each in (*self._given, *self._found)}

    def findings(self, hashes: Mapping[int, str], count: int) -> Iterator[Finding]:
        """Yield what becomes of each checkpoint, and what stays unproved.

        Args:
            hashes: The hash at each of `positions`, "" where the intact part of the log does not reach.
            count: How many events that part has.
        """
        foreign = 0
        held: list[Witness] = []
        for witness in (*self._given, *self._found):
            if (refuted := _refute(witness, hashes, count)) is None:
                held.append(witness)
            elif refuted.outcome == "damaged" or witness.given:
                yield refuted
            else:
                foreign += 1
        yield from (Finding("warning", _SUBJECT, f"{place}: {reason}") for place, reason in self._unreadable)
        proofs = [witness for witness in held if _proves(witness)]
        newest = max(proofs, key=_size, default=None)
        for witness in proofs:
            if witness.given or witness is newest:
                yield Finding("ok", _SUBJECT, _proved(witness, count))
        if newest is None:
            yield Finding("unproved", _SUBJECT, _unproved(held, foreign))


def _weigh(kept: Kept, keys: Sequence[PublicKey]) -> Witness:
    """Return a checkpoint of the repository's own; a signature of no trusted key adds nothing to it."""
    try:
        signer = find_signer(kept.signed.note, keys).name if keys else ""
    except UntrustedNote:
        signer = ""
    return Witness(kept, signer, given=False)


def _refute(witness: Witness, hashes: Mapping[int, str], count: int) -> Finding | None:
    """Return how the log is not the one of a checkpoint, None where it extends it."""
    checkpoint, place, size = witness.checkpoint, witness.kept.place, witness.checkpoint.size
    if hashes[1] and checkpoint.ledger != hashes[1]:
        reason = (
            f"a checkpoint of ledger {checkpoint.ledger[:12]}, this one is {hashes[1][:12]}: "
            "the wrong checkpoint, or the whole history was written anew"
        )
        return Finding("failed", _SUBJECT, f"{place}: {reason}")
    if not hashes[size]:
        reason = f"the log had {size} events when it was made, and is intact up to position {count} now"
        return Finding("damaged", _SUBJECT, f"{place}: {reason}")
    if hashes[size] != checkpoint.head:
        reason = (
            f"the frame at position {size} has hash {hashes[size][:12]}, it had {checkpoint.head[:12]}: "
            "history up to there was changed"
        )
        return Finding("damaged", _SUBJECT, f"{place}: {reason}")
    return None


def _proves(witness: Witness) -> bool:
    """Return whether a checkpoint that the log extends is any proof against who can write here."""
    return bool(witness.signer) or not witness.kept.local


def _proved(witness: Witness, count: int) -> str:
    size = witness.checkpoint.size
    rest = "nothing came after it"
    if count > size:
        rest = (
            f"the {count - size} after it are not covered"
            if count > size + 1
            else "the one after it is not covered"
        )
    by = f"signed by {witness.signer}"
    if not witness.signer:
        by = "no signature was checked, so it is worth as much as that file is out of reach"
    return f"{witness.kept.place}: proved up to position {size}, {rest}; {by}"


def _size(witness: Witness) -> int:
    return witness.checkpoint.size


def _unproved(held: Sequence[Witness], foreign: int) -> str:
    said = _NO_CHECKPOINT
    if held:
        newest = max(held, key=_size).checkpoint.size
        count = len({witness.checkpoint for witness in held})
        said = (
            f"the log extends what this repository keeps ({count}, the newest at position {newest}); "
            "whoever can rewrite the ledger could rewrite that too"
        )
    if foreign:
        said += f"; {foreign} of other ledgers: other clones', or this one's before its history was changed"
    return said
