"""Batches: events of finished runs, written as sorted Parquet files, read back from the disk, and sealed.

An archive can be read at every moment: files that no seal names are nobody's and go with the next `sweep`;
the seal makes all of a batch count at once.
"""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.archive_errors import DamagedArchive
from ledger.query.cache import quoted
from ledger.query.loading import row_order
from ledger.query.views import TABLE_NAMES
from ledger.sharedarchive.layout import (
    DAYLESS,
    EVENTS,
    HOME_DIGITS,
    RUNS,
    BatchSeal,
    FileSeal,
    RunPart,
    SharedArchive,
    encode_seal,
    file_of,
    seal_file,
)
from ledger.sharedarchive.staging import Staged, create_table, encode_json
from ledger.store.disk import forget_pages, publish_durably, sync_directory, write_durably

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ROW_GROUP = 16_384
"""Rows of a group: a reader of one run skips the groups that do not have it."""

MEMORY = "1GiB"
"""What DuckDB may use while it writes a batch; the rest is beside the archive, in its scratch directory."""

# DuckDB 1.5 finds no blob by the bloom filters that it writes: a state would be without its base.
_PARQUET = f"(format parquet, compression zstd, row_group_size {ROW_GROUP}, write_bloom_filter false)"
_OURS = re.compile(r"\.?\d{8}\.(?:parquet|seal)(?:\..*)?")
_SCRATCH = ".scratch"
_COMMON = '{"kind":null,"id":null,"run":null,"v":null,"prev":null,"at_ns":null,"actor":null,"files":null}'

SAID = {
    "run": ("$.run", "{}"),
    "v": ("$.v", "{}::integer"),
    "id": ("$.id", "{}"),
    "kind": ("$.kind", "split_part({}, '/', 1)"),
    "kind_version": ("$.kind", "split_part({}, '/', 2)::integer"),
    "at_ns": ("$.at_ns", "{}::bigint"),
    "at_utc": ("$.at_ns", "make_timestamp({}::bigint // 1000)"),
    "actor_kind": ("$.actor.kind", "coalesce({}, 'unknown')"),
    "actor_name": ("$.actor.name", "coalesce({}, '')"),
    "actor_session": ("$.actor.session", "coalesce({}, '')"),
}
"""Columns that an event's bytes say: where in it, and the SQL that makes the column of that text."""

_PLACES = ("$.prev", *dict.fromkeys(path for path, _ in SAID.values()))

FIELDS = f"json_merge_patch(event::json, '{_COMMON}')"
"""What the view ``events`` calls ``data``, where the kind is of its newest version."""


def write_batch(
    archive: SharedArchive, day: str, parts: Iterable[RunPart], read_body: Callable[[str], bytes]
) -> BatchSeal:
    """Write, prove and seal one more batch. The caller holds the archive's lock and has swept it.

    Args:
        archive: Where; its ``seals`` are read anew afterwards.
        day: Day of the runs' ends, as ``2026-11-29``.
        parts: Runs in the order of their keys, none twice.
        read_body: Gives listings and reports; raises `DroppedBody` for one that was dropped.

    Raises:
        DamagedArchive: What was read back is not what was written, or the events of a run are no chain. There
            is no seal.
        OSError: The disk is full or failing. There is no seal.
    """
    number = len(archive.seals) + 1
    with _scratch(archive.root) as scratch, _connection(scratch) as connection:
        staged = Staged(connection, scratch, raw=True)
        staged.add(parts)
        _know(connection, archive)
        connection.execute("create schema fresh")
        plain = staged.load("fresh", read_body, ["known"])
        _lay_runs(connection, staged)
        files: dict[str, FileSeal] = {}
        for table, sql in _relations(connection, plain=plain):
            name = file_of(table, day, number)
            files[name] = _publish(connection, archive.root, scratch, name, sql)
            if table == EVENTS:
                connection.execute(f"create view published as from {read_parquet([archive.root / name])}")
        seal = _seal_of(connection, number, day, files)
    prove_batch(archive, seal)
    write_durably(archive.seal_path(number), encode_seal(seal))
    archive.__dict__.pop("seals", None)
    return seal


@contextmanager
def _scratch(root: Path) -> Generator[Path]:
    scratch = root / _SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _connection(scratch: Path) -> Generator[DuckDBPyConnection]:
    import duckdb

    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": MEMORY,
        "temp_directory": str(scratch / "spilled"),
    }
    with duckdb.connect(str(scratch / "batch.duckdb"), config=settings) as connection:
        connection.execute("set enable_progress_bar = false")
        yield connection


def _know(connection: DuckDBPyConnection, archive: SharedArchive) -> None:
    """Make the schema ``known``: paths and base listings of the batches before."""
    connection.execute("create schema known")
    for table in DAYLESS:
        if files := archive.files(table):
            connection.execute(f"create view known.{table} as from {read_parquet(files)}")
        else:
            create_table(connection, "known", table)


def read_parquet(files: Iterable[Path], *, numbered: bool = False) -> str:
    """Return the SQL that reads files of one table, and no column of their directories' names."""
    more = ", file_row_number = true" if numbered else ""
    return f"read_parquet([{', '.join(map(quoted, files))}], hive_partitioning = false{more})"


def _lay_runs(connection: DuckDBPyConnection, staged: Staged) -> None:
    connection.execute(
        "create table part (run_key varchar, home varchar, repository varchar, run varchar, after_v integer, "
        "after_digest varchar, events bigint)"
    )
    shape = (
        '[{"key":"VARCHAR","home":"VARCHAR","repository":"VARCHAR","run":"VARCHAR","v":"INTEGER",'
        '"digest":"VARCHAR","events":"BIGINT"}]'
    )
    names = ("key", "home", "repository", "run", "v", "digest", "events")
    rows = [dict(zip(names, part, strict=True)) for part in staged.parts]
    connection.execute(
        f"insert into part select unnest(from_json(?::json, '{shape}'), recursive := true)",
        [encode_json(rows)],
    )
    for name in ("run_key", "home", "repository"):
        connection.execute(f"set variable {name}s = (select list({name} order by rowid) from part)")


_RUNS = """
select run_key, any_value(p.home) as home, any_value(p.repository) as repository, any_value(p.run) as run,
    any_value(p.after_v) + 1 as first_v, max(v) as last_v, any_value(p.after_digest) as after_digest,
    arg_max(digest, v) as digest, count(*) as events, min(at_ns) as first_at_ns, max(at_ns) as last_at_ns
from published join part as p using (run_key)
group by run_key
order by run_key
"""


def _relations(connection: DuckDBPyConnection, *, plain: bool) -> Iterator[tuple[str, str]]:
    """Yield the SQL of every table that has rows: the archive's own, and those that SQL sees.

    Once the events are published, the rest finds them as ``published``.
    """
    columns = ", ".join(f"{sql} as {name}" for name, sql in _said("texts").items())
    fields, beside = "null::varchar", ""
    if not plain:
        fields = f"case when f.data is distinct from {FIELDS} then f.data::varchar end"
        beside = "join fresh.event as f on f.position = raw.seq order by run_key, v"
    # What runs are called stands in variables: a join would not keep the order in which the events lie.
    events = f"""
        select getvariable('run_keys')[part] as run_key, getvariable('homes')[part] as home,
            getvariable('repositorys')[part] as repository, {columns}, seq, unhex(digest) as digest,
            {fields} as fields, event
        from (select *, {_texts("event")} as texts from raw) as raw {beside}
    """
    yield EVENTS, events
    yield RUNS, _RUNS
    for table in TABLE_NAMES:
        found = connection.execute(f"select 1 from fresh.{table} limit 1").fetchone()
        if table != "event" and found:
            yield table, f"from fresh.{table} {row_order(table)}"


def _texts(event: str) -> str:
    paths = ", ".join(f"'{path}'" for path in _PLACES)
    return f"json_extract_string({event}, [{paths}])"


def _said(texts: str) -> dict[str, str]:
    """Return the SQL of each column of `SAID`, given what `_texts` gives."""
    return {name: sql.format(f"{texts}[{_PLACES.index(path) + 1}]") for name, (path, sql) in SAID.items()}


def _publish(connection: DuckDBPyConnection, root: Path, scratch: Path, name: str, sql: str) -> FileSeal:
    """Write a relation durably under its name, and return the seal of the file as it is on the disk."""
    from duckdb import IOException

    path, temporary = root / name, scratch / "table.parquet"
    try:
        written = connection.execute(f"copy ({sql}) to {quoted(temporary)} {_PARQUET}").fetchone()
    except IOException as error:
        raise OSError(errno.EIO, str(error), str(path)) from error
    assert written is not None, "a copy says how many rows it wrote"
    seal = seal_file(temporary, int(written[0]))
    _make_directory(path.parent, root)
    temporary.chmod(0o444)
    publish_durably(temporary, path)
    return seal


def _make_directory(path: Path, root: Path) -> None:
    """Make a directory below the archive's, its name on the disk before any file is in it."""
    if path != root and not path.exists():
        _make_directory(path.parent, root)
        path.mkdir(exist_ok=True)
        sync_directory(path.parent)


def _seal_of(connection: DuckDBPyConnection, number: int, day: str, files: dict[str, FileSeal]) -> BatchSeal:
    sql = "select min(seq), max(seq), min(at_ns), max(at_ns) from published"
    ((first_seq, last_seq, min_at_ns, max_at_ns),) = connection.execute(sql).fetchall()
    return BatchSeal(
        batch=number,
        day=day,
        runs=files[file_of(RUNS, day, number)].rows,
        events=files[file_of(EVENTS, day, number)].rows,
        first_seq=first_seq,
        last_seq=last_seq,
        min_at_ns=min_at_ns,
        max_at_ns=max_at_ns,
        files=files,
    )


def prove_batch(archive: SharedArchive, seal: BatchSeal) -> None:
    """Read a batch from the disk: its files' digests, each run's chain, and every column against the bytes.

    Raises:
        DamagedArchive: Something is not what was written.
    """
    import duckdb

    for name in seal.files:
        forget_pages(archive.root / name)
    archive.check_files(seal)
    places = {table: archive.root / file_of(table, seal.day, seal.batch) for table in (EVENTS, RUNS)}
    said = _said("texts")
    with duckdb.connect(":memory:", config={"memory_limit": MEMORY}) as connection:
        connection.execute("set enable_progress_bar = false")
        found = connection.execute(
            f"""
            with read as (
                select * exclude (event), {_texts("event")} as texts,
                    sha256('ledger-event/1' || chr(10) || event) as computed
                from {read_parquet([places[EVENTS]], numbered=True)}
            ), linked as (
                select e.run_key, e.v, r.last_v, r.digest as last_digest,
                    e.digest, e.computed, e.texts[1] as prev,
                    e.file_row_number - min(e.file_row_number) over run as place, e.v - r.first_v as behind,
                    row({", ".join(f"e.{name}" for name in said)}) as stored,
                    row({", ".join(said.values())}) as meant,
                    (e.home, e.repository, e.run) = (r.home, r.repository, r.run)
                        and e.run_key = e.home[:{HOME_DIGITS}] || '/' || e.run as named,
                    coalesce(lag(e.computed) over run, r.after_digest) as before,
                    coalesce(lag(e.v) over run, r.first_v - 1) as before_v
                from read as e left join {read_parquet([places[RUNS]])} as r using (run_key)
                window run as (partition by e.run_key order by e.v)
            )
            select run_key, v from linked
            where named is distinct from true or stored is distinct from meant or digest <> unhex(computed)
                or v is distinct from before_v + 1 or prev is distinct from before
                or (v = last_v) <> (digest = last_digest) or place <> behind
            order by all limit 1
            """
        ).fetchone()
        counted = connection.execute(
            f"select count(*), count(distinct run_key) from {read_parquet([places[EVENTS]])}"
        ).fetchone()
    if found is not None:
        raise DamagedArchive(f"{places[EVENTS]}, {found[0]}:{found[1]}", "it is not the event that follows")
    if counted != (seal.events, seal.runs):
        raise DamagedArchive(str(places[EVENTS]), "it does not hold what its seal says")


def sweep(archive: SharedArchive) -> None:
    """Remove what a crash has left: files of ours that no seal names. The caller holds the archive's lock."""
    named = {archive.root / name for seal in archive.seals for name in seal.files}
    named |= {archive.seal_path(seal.batch) for seal in archive.seals}
    shutil.rmtree(archive.root / _SCRATCH, ignore_errors=True)
    for path in sorted(archive.root.glob("*/**/*")):
        if path.is_file() and _OURS.fullmatch(path.name) and path not in named:
            path.unlink()
