"""Asking a shared ledger in SQL: its server and its archive, as one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.archive_errors import ArchiveNotNamed, NothingShared
from ledger.errors import DroppedBody, QueryForbidden, QueryRefused
from ledger.query.answers import Answer, read_answer
from ledger.sharedarchive.layout import SharedArchive
from ledger.sharedarchive.moving import parts_of
from ledger.sharedarchive.session import Tail, open_shared

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from ledger.gates.settings import SqlLimits

_ALLOWED = frozenset(
    {
        *("SELECT", "EXPLAIN", "CREATE", "CREATE_FUNC", "DROP", "ALTER", "INSERT", "UPDATE", "DELETE"),
        *("TRANSACTION", "VARIABLE_SET", "SET"),
    }
)
"""Kinds of statements that change the memory alone: another might write to a file that may be read."""

_EXECUTED = re.compile(r"\banaly[sz]e\b", re.IGNORECASE)


def open_shared_ledger(
    store: str | None, archive: Path | None, memory_bytes: int | None = None
) -> DuckDBPyConnection:
    """Return a SQL session over a server and an archive of it, either of which may be left out.

    Args:
        store: Address of the server, as libpq reads it; None where only the archive is asked.
        archive: The archive's directory; None where the server has everything.
        memory_bytes: What DuckDB may use; by default `limits.DEFAULT_MEMORY_BYTES`.

    Raises:
        NothingShared: Both are left out.
        ArchiveNotNamed: The server has moved runs to an archive, and these are not in the one that is named.
        NoArchive, DamagedArchive: The directory holds none, or one that is not what was written.
        StoreUnreachable, NotMigrated: The server cannot be asked.
        QueryTooLarge: What the server has takes more memory than that.
    """
    if store is None:
        if archive is None:
            raise NothingShared
        return open_shared(SharedArchive.open(archive), Tail((), _no_body), memory_bytes)
    from ledger.store.postgres.archival import Archival

    shared = Archival.connect(store)
    try:
        # The server first: what is moved meanwhile is then seen in both, and counted once.
        tail = Tail(parts_of(shared.live()), shared.read_body)
        moved = shared.archived_runs()
        opened = None if archive is None else SharedArchive.open(archive)
        missing = moved - (0 if opened is None else sum(seal.runs for seal in opened.seals))
        if missing > 0:
            raise ArchiveNotNamed(missing)
        return open_shared(opened, tail, memory_bytes)
    finally:
        shared.close()


def _no_body(digest: str) -> bytes:
    raise DroppedBody(digest, "its home ledger")


def select_shared(
    store: str | None,
    archive: Path | None,
    query: str,
    parameters: Mapping[str, object] | None = None,
    limits: SqlLimits | None = None,
) -> Answer:
    """Run statements of SQL over a shared ledger and return all rows of the last, within limits.

    Args:
        store: See `open_shared_ledger`, which raises more.
        archive: Likewise.
        query: Statements; a parameter that is not given is NULL.
        parameters: Values by name.
        limits: Memory and time.

    Raises:
        QueryForbidden: It asks for a file, an extension or a setting, or would write one.
        QueryRefused: DuckDB says that it is wrong.
        QueryTooLong, QueryTooLarge: It was stopped at a limit.
    """
    connection = open_shared_ledger(store, archive, limits.memory_bytes if limits else None)
    check_statements(connection, query)
    return read_answer(connection, query, parameters or {}, limits.timeout_s if limits else None)


def check_statements(connection: DuckDBPyConnection, query: str) -> None:
    """Refuse statements that could write to the files that a session may read.

    Raises:
        QueryForbidden: There is one.
        QueryRefused: DuckDB cannot parse them.
    """
    import duckdb

    try:
        statements = connection.extract_statements(query)
    except duckdb.Error as error:
        raise QueryRefused(str(error)) from error
    for statement in statements:
        kind = statement.type.name
        if kind not in _ALLOWED or (kind == "EXPLAIN" and _EXECUTED.search(statement.query)):
            raise QueryForbidden(
                f"a shared ledger is only read: no {kind.lower().replace('_', ' ')} statement"
            )
