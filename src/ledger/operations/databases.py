"""Databases: the ledger's tables, views and macros as one DuckDB file for any client.

The file needs nothing of ledger: it is a copy, as of the moment it was written. It is made beside its
place, synced, and given its name at the end: a crash leaves a hidden directory beside it at most.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from ledger.operations.exporting import rename_beside
from ledger.query.cache import Cache, quoted
from ledger.query.loading import row_order
from ledger.query.views import TABLE_NAMES, attach_columns, create_views
from ledger.query_errors import DatabaseInTheWay
from ledger.repository import Repository
from ledger.store.disk import sync_directory, sync_file
from ledger.store.local import LocalStore
from ledger.transfer_errors import FileInTheWay

_MAGIC = slice(8, 12)
"""Where ``DUCK`` stands in a DuckDB file, behind its first checksum."""


def write_database(store: LocalStore, repository: Repository, target: Path, *, force: bool = False) -> None:
    """Write every confirmed event's rows, and the documented views and macros over them.

    Args:
        store: The ledger's.
        repository: The repository, into whose Git directory nothing is written.
        target: The file to write.
        force: Whether it replaces a DuckDB file; what is none is never replaced.

    Raises:
        DatabaseInTheWay: Something lies there, or the place is no place for it. It was left as it is.
        DamagedLedger: The log or a base listing is damaged. No file was made.
        OSError: The file cannot be written. None was made.
    """
    _check_place(repository, target, force=force)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
        made = Path(scratch, "made.duckdb")
        _write(store, made, Path(scratch, "spill"))
        sync_file(made)
        if force:
            made.rename(target)
        else:
            try:
                rename_beside(made, target)
            except FileInTheWay as error:
                raise DatabaseInTheWay(target, "exists already") from error
    sync_directory(target.parent)


def _check_place(repository: Repository, target: Path, *, force: bool) -> None:
    """Raise where ``target`` is no place for a database."""
    place = Path(os.path.realpath(target.parent), target.name)
    git_dirs = {os.path.realpath(repository.git_dir), os.path.realpath(repository.ledger_dir.parent)}
    if any(place.is_relative_to(directory) for directory in git_dirs):
        raise DatabaseInTheWay(target, "is in the Git directory")
    if target.stem == "columns":
        raise DatabaseInTheWay(target, "DuckDB would take the file's name for that of the schema in it")
    try:
        found = target.lstat()
    except FileNotFoundError:
        return
    if not force:
        raise DatabaseInTheWay(target, "exists already")
    if not stat.S_ISREG(found.st_mode) or not _is_database(target):
        raise DatabaseInTheWay(target, "is no DuckDB file, and is not replaced")


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(_MAGIC.stop)[_MAGIC] == b"DUCK"


def _write(store: LocalStore, path: Path, spill: Path) -> None:
    """Write the file at ``path``; what DuckDB cannot hold in memory meanwhile goes to ``spill``."""
    import duckdb

    with duckdb.connect(":memory:") as connection:
        connection.execute(f"set temp_directory = {quoted(spill)}")
        attach_columns(connection, Cache(store).attach(connection), store.until)
        connection.execute(f"attach {quoted(path)} as made")
        connection.execute("create schema made.columns")
        for name in TABLE_NAMES:
            connection.execute(f"create table made.columns.{name} as from columns.{name} {row_order(name)}")
        connection.execute("detach made")
    with duckdb.connect(path) as connection:
        create_views(connection, described=True)
