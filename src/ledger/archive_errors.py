"""Errors of a shared ledger's archive: where it is, and whether it is what was written."""

from __future__ import annotations

from pathlib import Path

from ledger.errors import LedgerError


class NoArchive(LedgerError):
    """A directory is no archive of a shared ledger. Nothing was read, nothing written."""

    hint = "`ledger archive --shared DIR` makes one in a directory that is new or empty"

    def __init__(self, root: Path) -> None:
        self.root = root
        super().__init__(f"{root} is no archive of a shared ledger")


class NewerArchive(LedgerError):
    """An archive has a format that this version does not read. Nothing was written."""

    hint = "install the version of ledger that wrote it; `ledger --version` prints yours"

    def __init__(self, root: Path, found: str) -> None:
        self.root, self.found = root, found
        super().__init__(f"{root} has the format {found!r}; this version does not read it")


class DamagedArchive(LedgerError):
    """A file of an archive is not what was written. Nothing was changed."""

    hint = (
        "put the file back from a copy of the archive; `ledger archive --shared DIR --verify` checks them all"
    )

    def __init__(self, where: str, reason: str) -> None:
        self.where, self.reason = where, reason
        super().__init__(f"{where}: {reason}")


class NothingShared(LedgerError):
    """Neither a shared ledger nor an archive of one is named. Nothing was asked."""

    hint = "name them: `ledger sql --shared --store postgresql://… --archive DIR`"

    def __init__(self) -> None:
        super().__init__("no shared ledger is named: there is no store and no archive")


class ArchiveNotNamed(LedgerError):
    """Some runs are in an archive, and none is named: the answer would be without them."""

    hint = "name it: `ledger sql --shared --archive DIR`, or `LEDGER_ARCHIVE`"

    def __init__(self, runs: int) -> None:
        self.runs = runs
        super().__init__(f"no archive is named, and runs of the shared ledger are in one: {runs}")


class NotForgotten(LedgerError):
    """The server did not let events go: it has others than those that were archived. Nothing went there."""

    hint = "the archive has what it has; `ledger archive --shared DIR --verify` proves it, then run it again"

    def __init__(self, run: str, reason: str) -> None:
        self.run, self.reason = run, reason
        super().__init__(f"{run} stays on the server: {reason}")
