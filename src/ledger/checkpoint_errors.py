"""Errors of checkpoints and of the keys that sign them."""

from __future__ import annotations

from pathlib import Path

from ledger.errors import DamagedLedger, LedgerError


class BadKey(LedgerError):
    """A key file, or a public key's text, cannot be used. Nothing was written."""

    hint = "make one: `ledger checkpoint --new-key FILE`, or `openssl genpkey -algorithm ed25519 -out FILE`"

    def __init__(self, place: str, reason: str) -> None:
        self.place, self.reason = place, reason
        super().__init__(f"{place}: {reason}")


class KeyExists(LedgerError):
    """A file is where a new key was to be written. It was not touched."""

    hint = "name a file that does not exist: `ledger checkpoint --new-key FILE`"

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path}: exists, and a key is never overwritten")


class BadNote(LedgerError):
    """Bytes are not a checkpoint, or no signed note at all."""

    hint = "a checkpoint is what `ledger checkpoint` prints, byte for byte"

    def __init__(self, reason: str, place: str = "") -> None:
        self.reason, self.place = reason, place
        super().__init__(f"{place}: not a checkpoint: {reason}" if place else f"not a checkpoint: {reason}")


class UntrustedNote(LedgerError):
    """None of the keys that were given signed a checkpoint, or a signature is not one."""

    hint = (
        "give the signer's key: `--public-key FILE.pub`; leave it out where the copy itself is out of reach"
    )

    def __init__(self, reason: str, place: str = "") -> None:
        self.reason, self.place = reason, place
        super().__init__(f"{place}: {reason}" if place else reason)


class NotExtended(DamagedLedger):
    """The log does not extend a checkpoint that was made of it. Nothing was written."""

    hint = "keep that checkpoint, which proves the loss, elsewhere; `ledger verify` says what else is missing"


class CheckpointInTheWay(LedgerError):
    """A checkpoint was to be written over something else. Nothing was written."""

    hint = "name another file: `ledger checkpoint --export FILE`"

    def __init__(self, place: str, reason: str) -> None:
        self.place, self.reason = place, reason
        super().__init__(f"{place}: {reason}")


class NoEvents(LedgerError):
    """The ledger holds no event yet. Nothing was written."""

    hint = 'record something first: `ledger apply FILE`, or `ledger run start "what it is about"`'

    def __init__(self) -> None:
        super().__init__("the ledger is empty: there is nothing to make a checkpoint of")
