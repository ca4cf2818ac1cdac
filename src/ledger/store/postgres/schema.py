"""The schema on the server: numbered migrations, each applied once, in one transaction.

See: ``docs/shared.md``, "The server".
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any, NamedTuple

import psycopg

from ledger.shared_errors import NewerStore, NotMigrated, StoreForbids, StoreUnreachable
from ledger.store.postgres.connection import open_connection, shown

_MIGRATING = 4919132708
"""Key of the advisory lock under which migrations run."""


class Migration(NamedTuple):
    """One step of the schema: its number, its name and its statements."""

    version: int
    name: str
    statements: str


def migrations() -> tuple[Migration, ...]:
    """Return every migration that this version knows, in order."""
    folder = files("ledger.store.postgres").joinpath("migrations")
    found = [each for each in folder.iterdir() if each.name.endswith(".sql")]
    return tuple(
        Migration(int(each.name.partition("_")[0]), each.name.removesuffix(".sql"), each.read_text("utf-8"))
        for each in sorted(found, key=lambda each: each.name)
    )


def latest() -> int:
    """Return the version of the schema that this version needs."""
    return migrations()[-1].version


def migrate(url: str) -> list[str]:
    """Bring the database's schema up to this version, as the role that owns it; return what was done.

    Each migration is one transaction: after a crash the next call goes on behind the last whole one.

    Raises:
        NewerStore: A later version was here. Nothing was done.
        StoreForbids: The role may not do it. What was done before stays done.
        StoreUnreachable: The server does not answer, or went away. What was done before stays done.
    """
    try:
        return _migrate(url)
    except psycopg.errors.InsufficientPrivilege as error:
        raise StoreForbids(shown(url), str(error).partition("\n")[0]) from error
    except psycopg.OperationalError as error:
        raise StoreUnreachable(shown(url), str(error).partition("\n")[0]) from error


def _migrate(url: str) -> list[str]:
    done: list[str] = []
    with open_connection(url) as connection:
        with connection.transaction():
            connection.execute("select pg_advisory_xact_lock(%s)", [_MIGRATING])
            connection.execute("create schema if not exists ledger")
            connection.execute(
                "create table if not exists ledger.migrations (version int primary key, name text not null,"
                " applied_at timestamptz not null default now())"
            )
        for migration in migrations():
            with connection.transaction():
                connection.execute("select pg_advisory_xact_lock(%s)", [_MIGRATING])
                version = _version(connection)
                if version > latest():
                    raise NewerStore(shown(url), version, latest())
                if migration.version > version:
                    connection.execute(migration.statements.encode())
                    connection.execute(
                        "insert into ledger.migrations (version, name) values (%s, %s)",
                        [migration.version, migration.name],
                    )
                    done.append(migration.name)
    return done


def check_version(connection: psycopg.Connection[Any], store: str) -> None:
    """Check that the database's schema is the one that this version knows.

    Raises:
        NewerStore: A later version was here.
        NotMigrated: There is none, or an older one.
    """
    try:
        version = _version(connection)
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        version = 0
    if version > latest():
        raise NewerStore(store, version, latest())
    if version < latest():
        raise NotMigrated(store, version, latest())


def _version(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("select coalesce(max(version), 0) from ledger.migrations").fetchone()
    assert row is not None
    return int(row[0])
