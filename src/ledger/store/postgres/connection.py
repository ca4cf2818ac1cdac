"""The connection to a shared ledger: opened by libpq's own means, kept alive, asked again where that is safe.

Where it goes, with which TLS and which password, libpq alone decides: from the URL, a service file,
``PGPASSFILE`` and the other variables of its environment.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict

from ledger.shared_errors import InvalidStoreAddress, StoreBusy, StoreForbids, StoreUnreachable

Result = TypeVar("Result")

PATIENCE_S = 30.0
"""How long a call is tried again by default before its error is raised."""

_DEFAULTS: dict[str, Any] = {
    "connect_timeout": "10",
    "application_name": "ledger",
    "tcp_user_timeout": "30000",
}
_SESSION = """\
select set_config('idle_in_transaction_session_timeout', '60s', false),
    set_config('statement_timeout', '60s', false),
    set_config('lock_timeout', '10s', false),
    set_config('client_min_messages', 'warning', false),
    case when current_setting('synchronous_commit') in ('off', 'local')
        then set_config('synchronous_commit', 'on', false) end
"""
_LOCKS = (
    psycopg.errors.SerializationFailure,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.LockNotAvailable,
)
"""The transaction came to nothing because of others, and the connection is well."""

_GONE = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.ReadOnlySqlTransaction)
"""The server went away, is starting, or became a replica: the next connection may find one that writes."""


def shown(url: str) -> str:
    """Return an address as it may be shown: user, host and database, no password.

    Raises:
        InvalidStoreAddress: libpq does not read it.
    """
    found = _parsed(url)
    service = found.get("service")
    if service:
        return f"service {service}"
    user = f"{found['user']}@" if found.get("user") else ""
    port = f":{found['port']}" if found.get("port") else ""
    return f"postgresql://{user}{found.get('host', '')}{port}/{found.get('dbname', '')}"


def _parsed(url: str) -> dict[str, Any]:
    try:
        found = conninfo_to_dict(url)
    except psycopg.Error:
        # libpq quotes what it does not understand, and that may be a part of a password.
        raise InvalidStoreAddress from None
    port, database = str(found.get("port") or ""), str(found.get("dbname") or "")
    if "@" in database or (port and not port.replace(",", "").isdigit()):
        # A password with a slash in it that is not written as %2F: its rest has become port and database.
        raise InvalidStoreAddress
    return found


def open_connection(url: str) -> psycopg.Connection[Any]:
    """Open a connection whose every statement is a transaction of its own, unless one is begun.

    A commit is confirmed once it is on the server's disk, whatever the server's default is.

    Raises:
        InvalidStoreAddress: libpq does not read the address.
        StoreUnreachable: The server cannot be reached, or does not let this user in.
    """
    given = _parsed(url)
    missing = {name: value for name, value in _DEFAULTS.items() if name not in given}
    try:
        connection = psycopg.connect(url, autocommit=True, **missing)
        try:
            connection.execute(_SESSION)
        except psycopg.Error:
            connection.close()
            raise
    except psycopg.Error as error:
        raise StoreUnreachable(shown(url), _reason(error)) from error
    return connection


class SharedConnection:
    """A connection that is opened again when it was lost. One instance serves one thread."""

    def __init__(
        self,
        url: str,
        check: Callable[[psycopg.Connection[Any], str], None],
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.url, self.store, self.patience_s = url, shown(url), patience_s
        self._check = check
        self._connection: psycopg.Connection[Any] | None = None

    def get(self) -> psycopg.Connection[Any]:
        """Return the connection, opening it where there is none.

        Raises:
            StoreUnreachable: It cannot be opened.
        """
        if self._connection is None or self._connection.closed:
            connection = open_connection(self.url)
            try:
                self._check(connection, self.store)
            except psycopg.errors.InsufficientPrivilege as error:
                connection.close()
                raise StoreForbids(self.store, _reason(error)) from error
            except psycopg.Error as error:
                connection.close()
                raise StoreUnreachable(self.store, _reason(error)) from error
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def close(self) -> None:
        """Close the connection; the next call opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def call(self, act: Callable[[psycopg.Connection[Any]], Result]) -> Result:
        """Return what ``act`` returns, asked again while the server is gone or others hold its locks.

        ``act`` may have been carried out although it raised: it must be one that is safe to do twice.

        Raises:
            StoreUnreachable: The server was not there all the time.
            StoreBusy: Others were in the way all the time.
            StoreForbids: The role may not do it.
        """
        until = time.monotonic() + self.patience_s
        pause_s = 0.01
        while True:
            try:
                return act(self.get())
            except psycopg.errors.InsufficientPrivilege as error:
                raise StoreForbids(self.store, _reason(error)) from error
            except _LOCKS as error:
                failure: StoreBusy | StoreUnreachable = StoreBusy(self.store, _reason(error))
                cause: Exception = error
            except (*_GONE, StoreUnreachable) as error:
                self.close()
                reason = error.reason if isinstance(error, StoreUnreachable) else _reason(error)
                failure, cause = StoreUnreachable(self.store, reason), error
            if time.monotonic() + pause_s > until:
                raise failure from cause
            time.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311 - so that many do not come back at once
            pause_s = min(2 * pause_s, 1.0)


def _reason(error: psycopg.Error) -> str:
    """Return the first line of what the server or libpq said."""
    said = error.diag.message_primary or str(error)
    return said.strip().partition("\n")[0] or type(error).__name__
