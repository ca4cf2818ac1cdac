"""Errors of a shared ledger, which is on a PostgreSQL server."""

from __future__ import annotations

from ledger.errors import LedgerError


class StoreNeedsExtra(LedgerError):
    """What talks to PostgreSQL is not installed. Nothing was done."""

    hint = "`pip install 'patch-ledger[postgres]'`"

    def __init__(self) -> None:
        super().__init__("a shared ledger needs the package psycopg, which is not installed")


class InvalidStoreAddress(LedgerError):
    """The address of a shared ledger is none that libpq reads. It is not quoted: it may hold a password."""

    hint = "for example `postgresql://user@host/database`, with the password in `~/.pgpass` or a service file"

    def __init__(self) -> None:
        super().__init__("the shared ledger's address is no PostgreSQL URL or connection string")


class StoreUnreachable(LedgerError):
    """The shared ledger did not answer. What it did not confirm may be there: the same again is safe."""

    hint = "nothing local is lost; try the server with `psql`, then run the command again"

    def __init__(self, store: str, reason: str) -> None:
        self.store, self.reason = store, reason
        super().__init__(f"{store}: {reason}")


class StoreBusy(LedgerError):
    """Others kept the shared ledger's locks all the time. Nothing was appended."""

    hint = "run the command again in a moment; `ledger status` needs no server"

    def __init__(self, store: str, reason: str) -> None:
        self.store, self.reason = store, reason
        super().__init__(f"{store}: {reason}")


class StoreForbids(LedgerError):
    """The role may not do that on the shared ledger. Nothing was done."""

    hint = "its administrator grants roles: `grant ledger_writer, ledger_reader to USER`"

    def __init__(self, store: str, reason: str) -> None:
        self.store, self.reason = store, reason
        super().__init__(f"{store}: {reason}")


class NotMigrated(LedgerError):
    """The database holds no shared ledger, or one that an older version prepared. Nothing was done."""

    hint = "its owner prepares it once: `ledger store --migrate URL`"

    def __init__(self, store: str, found: int, wanted: int) -> None:
        self.store, self.found, self.wanted = store, found, wanted
        has = f"a shared ledger of version {found}" if found else "no shared ledger"
        super().__init__(f"{store}: the database holds {has}; this version needs {wanted}")


class NewerStore(LedgerError):
    """A later version prepared the database than this one knows. Nothing was done."""

    hint = "upgrade: `pip install --upgrade patch-ledger`"

    def __init__(self, store: str, found: int, known: int) -> None:
        self.store, self.found, self.known = store, found, known
        super().__init__(f"{store}: the shared ledger is of version {found}; this version knows {known}")
