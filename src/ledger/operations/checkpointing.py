"""Checkpointing: saying how long the log is and what its last hash is, and keeping that elsewhere.

Writes no event, so it can be done at any time, and on a ledger that can only be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from msgspec import Struct

from ledger.checkpoint_errors import CheckpointInTheWay, NoEvents, NotExtended
from ledger.checkpoints import Checkpoint, SignedCheckpoint, encode_checkpoint
from ledger.errors import DamagedLedger
from ledger.frames import GENESIS
from ledger.projections.checkpoints import (
    Kept,
    find_checkpoints,
    read_target,
    write_file,
    write_git_note,
    write_git_tag,
)
from ledger.repository import Repository
from ledger.signednotes import Note, PublicKey, SigningKey, encode_note
from ledger.store.local import LocalStore
from ledger.store.locks import locked

Target: TypeAlias = Path | Literal["git-note", "git-tag"]
"""Where to keep a checkpoint: a file, or with HEAD's commit."""

_LOCK_TIMEOUT_S = 30.0


class Checkpointed(Struct, frozen=True):
    """A checkpoint that was made: the note's bytes, who signed it, and where it is kept."""

    checkpoint: Checkpoint
    note: bytes
    signer: PublicKey | None
    kept: tuple[str, ...]


def checkpoint(
    store: LocalStore, repository: Repository, key: SigningKey | None = None, targets: Sequence[Target] = ()
) -> Checkpointed:
    """Make a checkpoint of the log as far as it is confirmed.

    Args:
        store: The ledger.
        repository: Whose HEAD is noted or tagged.
        key: Signs it.
        targets: Where to keep it. Each holds the old checkpoint or the new one, whatever happens.

    Raises:
        NoEvents: There is nothing to make a checkpoint of.
        DamagedLedger: The end of the log is not what was written. Nothing was written.
        NotExtended: The log does not extend what a target, or the repository, keeps. Nothing was written.
        CheckpointInTheWay: A target holds something else. A file was not written; of notes and tags, those
            before it were.
        Busy: Another process exports at the same time.
        GitFailed: Git refused. The targets before it were written.
    """
    if not targets:
        return _made(_sign(_read_head(store), key), key, ())
    with locked(store.root / "locks" / "checkpoint", _LOCK_TIMEOUT_S):
        signed = _sign(_read_head(store), key)
        _check_extends(store, signed.checkpoint, _earlier(repository, targets, signed.checkpoint.ledger))
        return _made(signed, key, [_keep(repository, target, signed) for target in targets])


def _made(signed: SignedCheckpoint, key: SigningKey | None, kept: Iterable[str]) -> Checkpointed:
    signer = None if key is None else key.public
    return Checkpointed(signed.checkpoint, encode_note(signed.note), signer, tuple(kept))


def _sign(made: Checkpoint, key: SigningKey | None) -> SignedCheckpoint:
    text = encode_checkpoint(made)
    return SignedCheckpoint(made, Note(text) if key is None else key.sign(text))


def _read_head(store: LocalStore) -> Checkpoint:
    """Return the checkpoint of the log's confirmed end, both of its frames read and hashed."""
    position = store.position()
    if position == 0:
        raise NoEvents
    first, last = store.segments.first_link(), next(store.backward(), None)
    if first is None or (first.position, first.before) != (1, GENESIS):
        raise DamagedLedger("position 1", "the log does not begin there")
    # Another process may have appended since: then the last frame lies past what was asked for.
    if last is None or last.s < position:
        raise DamagedLedger(f"position {position}", "the last frame is not what was written")
    return Checkpoint(first.hash, last.s, last.h)


def _earlier(repository: Repository, targets: Sequence[Target], ledger: str) -> list[Kept]:
    """Return what the targets keep by now; for a target in Git, all that the repository keeps."""
    files = [target for target in targets if isinstance(target, Path)]
    earlier = find_checkpoints(repository)[0] if len(files) < len(targets) else []
    return [*earlier, *(kept for path in files for kept in read_target(path, ledger))]


def _check_extends(store: LocalStore, head: Checkpoint, earlier: Iterable[Kept]) -> None:
    """Check that the log, read backward from its head, comes to the hash of every earlier checkpoint."""
    mine = [kept for kept in earlier if kept.checkpoint.ledger == head.ledger]
    for kept in mine:
        if kept.checkpoint.size > head.size:
            reason = f"the log had {kept.checkpoint.size} events then, and has {head.size}"
            raise NotExtended(kept.place, reason)
    wanted = {kept.checkpoint.size for kept in mine}
    hashes = _hashes(store, head, wanted)
    for kept in mine:
        if hashes[kept.checkpoint.size] != kept.checkpoint.head:
            reason = f"the frame at position {kept.checkpoint.size} is another one than it was then"
            raise NotExtended(kept.place, reason)


def _hashes(store: LocalStore, head: Checkpoint, wanted: set[int]) -> dict[int, str]:
    """Return the hashes at some positions, every link between them and the head checked."""
    found: dict[int, str] = {}
    expected, position = head.head, head.size
    for link in store.segments.links_backward():
        if len(found) == len(wanted):
            break
        if link.position > position:
            continue  # Appended since by another process.
        if (link.position, link.hash) != (position, expected):
            raise DamagedLedger(f"position {position}", "its frame is not the one that the next frame names")
        if position in wanted:
            found[position] = link.hash
        expected, position = link.before, position - 1
    if len(found) < len(wanted):
        raise DamagedLedger(f"position {position}", "the log does not reach back to there")
    return found


def _keep(repository: Repository, target: Target, signed: SignedCheckpoint) -> str:
    if isinstance(target, Path):
        return write_file(target, signed)
    commit = repository.head().commit
    if commit is None:
        raise CheckpointInTheWay(target, "the repository has no commit yet that could carry it")
    write = write_git_note if target == "git-note" else write_git_tag
    return write(repository, commit, signed)
