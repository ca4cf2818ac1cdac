"""A SQL session over a shared ledger: the archive's Parquet files and the tail that is still in the server.

It has the views and macros of a local session. A run is called by its name among those of every home,
``<first digits of the home>/<run>``; every view says ``home`` and ``repository`` beside it. SQL reaches the
archive's files and no others, and only reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from ledger.query.limits import limit_memory
from ledger.query.views import TABLE_NAMES, attach_columns, create_views
from ledger.sharedarchive.batches import FIELDS, read_parquet
from ledger.sharedarchive.layout import EVENTS, HOME_DIGITS, RUNS, RunPart, SharedArchive
from ledger.sharedarchive.staging import Staged, create_table, encode_json

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_EVENT = f"""
select seq as position, run_key as run, v, id::uuid as id, kind, kind_version, at_ns, actor_kind, actor_name,
    actor_session, digest as hash, coalesce(fields::json, {FIELDS}) as data
from """
"""The rows of the table ``event``, made of the archive's events."""


class Tail(NamedTuple):
    """What a server still has: its runs, and what their listings and reports say."""

    parts: Sequence[RunPart]
    read_body: Callable[[str], bytes]


def open_shared(
    archive: SharedArchive | None, tail: Tail, memory_bytes: int | None = None
) -> DuckDBPyConnection:
    """Return a DuckDB connection that sees every run of an archive and of a tail, each event once.

    Args:
        archive: The archive, None where there is none. Its seals have to be read after the tail was: so a run
            that is moved meanwhile is seen in one of them, or in both.
        tail: What the server has. Events that the archive has too are left out of it.
        memory_bytes: What DuckDB may use; by default `limits.DEFAULT_MEMORY_BYTES`.

    Raises:
        DamagedArchive: A file of the archive is missing.
        QueryTooLarge: The tail alone takes more than that.
    """
    import duckdb

    connection = duckdb.connect(":memory:")
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("set enable_progress_bar = false")
    # Every view that is made reads the footers of the files below it: once is enough, they never change.
    connection.execute("set parquet_metadata_cache = true")
    files = _attach_archive(connection, archive)
    parts = list(_beyond(tail.parts, _archived(connection, archive, tail.parts)))
    _load_tail(connection, tail._replace(parts=parts))
    attach_columns(connection, ["archived", "tail"])
    _name_homes(connection, archive, parts)
    _create_views(connection)
    limit_memory(connection, memory_bytes)
    connection.execute("set autoinstall_known_extensions = false")
    connection.execute("set autoload_known_extensions = false")
    connection.execute(f"set allowed_paths = {[str(path) for path in files]}")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
    return connection


def _attach_archive(connection: DuckDBPyConnection, archive: SharedArchive | None) -> list[Path]:
    """Make the schema ``archived``, and return the files that are read in it."""
    connection.execute("create schema archived")
    used: list[Path] = []
    for table in TABLE_NAMES:
        files = archive.files(EVENTS if table == "event" else table) if archive else []
        used += files
        if not files:
            create_table(connection, "archived", table)
        elif table == "event":
            connection.execute(f"create view archived.event as {_EVENT}{read_parquet(files)}")
        else:
            connection.execute(f"create view archived.{table} as from {read_parquet(files)}")
    return used


def _archived(
    connection: DuckDBPyConnection, archive: SharedArchive | None, parts: Sequence[RunPart]
) -> dict[str, int]:
    """Return the last archived version of each run that the tail has too."""
    if archive is None or not parts or not (files := archive.files(RUNS)):
        return {}
    sql = (
        f"select run_key, max(last_v) from {read_parquet(files)} "
        "where run_key in (select unnest(from_json(?::json, '[\"VARCHAR\"]'))) group by 1"
    )
    return dict(connection.execute(sql, [encode_json([part.key for part in parts])]).fetchall())


def _beyond(parts: Iterable[RunPart], archived: Mapping[str, int]) -> Iterable[RunPart]:
    """Yield what of each part the archive does not have."""
    for part in parts:
        events = part.events[max(0, archived.get(part.key, 0) - part.after_v) :]
        if events:
            yield part._replace(events=events)


def _load_tail(connection: DuckDBPyConnection, tail: Tail) -> None:
    connection.execute("create schema tail")
    if not tail.parts:
        for table in TABLE_NAMES:
            create_table(connection, "tail", table)
        return
    with TemporaryDirectory(prefix="ledger-") as scratch:
        staged = Staged(connection, Path(scratch), raw=False)
        staged.add(tail.parts)
        staged.load("tail", tail.read_body, ["archived"])


def _name_homes(
    connection: DuckDBPyConnection, archive: SharedArchive | None, parts: Sequence[RunPart]
) -> None:
    """Make the table ``columns.home``: every home and the name of its repository."""
    connection.execute("create table columns.home (home varchar, repository varchar)")
    if archive is not None and (files := archive.files(RUNS)):
        connection.execute(
            f"insert into columns.home select home[:{HOME_DIGITS}], arg_max(repository, last_at_ns) "
            f"from {read_parquet(files)} group by 1"
        )
    named = dict.fromkeys((part.home[:HOME_DIGITS], part.repository) for part in parts)
    if named:
        connection.execute(
            "insert into columns.home "
            "from (select unnest(from_json(?::json, '[[\"VARCHAR\"]]')) as each) select each[1], each[2] "
            "where each[1] not in (select home from columns.home)",
            [encode_json(list(named))],
        )


_MEASUREMENTS = """
create view measurements as
select run, v, run || ':' || v as event, make_timestamp(started_at_ns // 1000) as started_at, gate,
    verdict, profile, examined, unit, duration_ns / 1e9 as duration_s, state_v, lower(hex(tree)) as tree
from columns.measurement
"""
"""What was measured, as recorded: what ``gates`` says of it beside, it has to look up for each."""


def _create_views(connection: DuckDBPyConnection) -> None:
    """Create every view and macro; over each view one of the same name, which says whose its rows are."""
    connection.execute("create schema plain")
    connection.execute("set schema = 'plain'")
    create_views(connection)
    connection.execute(_MEASUREMENTS)
    connection.execute("set search_path = 'main,plain'")
    made = "select view_name from duckdb_views() where schema_name = 'plain' order by 1"
    for (name,) in connection.execute(made).fetchall():
        connection.execute(
            f"create view main.{name} as "
            f"select split_part(run, '/', 1) as home, h.repository, x.* from plain.{name} as x "
            "left join columns.home as h on h.home = split_part(x.run, '/', 1)"
        )
