"""Bulk loading: many frames at once, from the segments to the tables, by DuckDB itself.

It makes the same rows as `ledger.query.rows`, which is the reference, and knows one way of writing events:
ours, in the newest version of each kind. Where it meets anything else it says so, and the rows are made one
by one.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

from ledger.events import KINDS
from ledger.query.tables import PATH_COLUMNS, TABLES, Table
from patches.errors import show_path

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BATCH_FILES = 4
"""Segments that are read at a time: a quarter of a gigabyte of the log takes a whole one of memory."""

_LONGEST_LINE_BYTES = 128 << 20
Shape: TypeAlias = "str | Mapping[str, Shape] | Sequence[Shape]"
"""What JSON is read as: a type's name, an object's columns, or a list of one shape."""

_TEXTS = dict.fromkeys(("path", "operation", "old_path", "old_mode", "old_oid", "mode", "oid"), "VARCHAR")
_FILE: Shape = {**_TEXTS, "added": "INTEGER", "removed": "INTEGER"}
_EVENT: Shape = {
    "id": "UUID",
    "at_ns": "BIGINT",
    "actor": dict.fromkeys(("kind", "name", "session"), "VARCHAR"),
    "files": [_FILE],
    "commands": [["VARCHAR"]],
    **dict.fromkeys(("v", "to_v", "state_v", "baseline_v"), "INTEGER"),
    **dict.fromkeys(("patch_size_bytes", "started_at_ns", "duration_ns", "examined"), "BIGINT"),
    **dict.fromkeys(
        (
            *("kind", "run", "base_tree", "result_tree", "listing", "cause", "patch", "source", "error"),
            *("gate", "tree", "definition", "place", "unit", "verdict", "report", "output", "profile"),
        ),
        "VARCHAR",
    ),
}
_COMMON = '{"kind":null,"id":null,"run":null,"v":null,"prev":null,"at_ns":null,"actor":null,"files":null}'
_IS_POLICY = 'starts_with(e::varchar, \'{"kind":"policy.set/\')'
_STAGES: Mapping[str, tuple[Mapping[str, Shape], str]] = {
    "event": ({"h": "VARCHAR", "s": "BIGINT", "e": _EVENT}, "h, s, unnest(e)"),
    "rest": (
        {"s": "BIGINT", "e": "JSON"},
        f"s, json_merge_patch(e, '{_COMMON}') as data, if({_IS_POLICY}, e::varchar, null) as policy",
    ),
}
"""What is read of each frame, in two passes: the columns of its JSON, and what is kept."""


class Source(NamedTuple):
    """Frames: ``number`` of them, past position ``after`` up to ``last``, in segments, open and sealed."""

    segments: Sequence[Path]
    sealed: Sequence[Path]
    after: int
    last: int
    number: int


class Loaded(NamedTuple):
    """What was loaded in bulk, and what is left to add since it is in bodies, or needs a policy's reading."""

    rows: int
    policies: list[bytes]
    """The stored events that set one."""

    listings: dict[str, str]
    """Base tree → digest of its listing."""

    reports: list[tuple[str, int, str]]
    """Run, version and digest of every report that the frames name."""


def load_segments(
    connection: DuckDBPyConnection,
    target: str,
    source: Source,
    parts: Sequence[str],
    without: Container[str] = (),
) -> Loaded | None:
    """Create the tables in ``target`` and fill them from segments whose chain was checked.

    Args:
        connection: Where ``target`` is a database or a schema without tables.
        target: Its name.
        source: The frames.
        parts: What path ids continue.
        without: Tables that are left empty.

    Returns:
        None where bulk loading does not understand the frames; what ``target`` has then is not whole.
    """
    loaded = Loaded(0, [], {}, [])
    relations = _relations()
    found, head = 0, "create table {} as"
    for batch in _batches(source):
        number = _stage(connection, relations, batch)
        if number is None:
            return None
        found += number
        known = parts if head.startswith("create") else [*parts, target]
        _number_paths(connection, relations["staged_path"], head.format(f"{target}.path"), known)
        for table in TABLES:
            relation = None if table.name in without else relations.get(table.name)
            _fill(connection, head.format(f"{target}.{table.name}"), table, relation)
        _note_rest(connection, loaded)
        head = "insert into {}"
        for name in (*_STAGES, "change", "path"):
            connection.execute(f"drop table staged_{name}")
    if found != source.number:
        return None
    counts = " union all ".join(f"select count(*) as rows from {target}.{table.name}" for table in TABLES)
    ((rows,),) = connection.execute(f"select sum(rows)::bigint from ({counts})").fetchall()
    return loaded._replace(rows=rows)


def _batches(source: Source) -> Iterator[Source]:
    """Yield some files at a time: what is staged is in memory."""
    for at in range(0, len(source.sealed), BATCH_FILES):
        yield source._replace(segments=(), sealed=source.sealed[at : at + BATCH_FILES])
    for at in range(0, len(source.segments), BATCH_FILES):
        yield source._replace(segments=source.segments[at : at + BATCH_FILES], sealed=())


def _stage(connection: DuckDBPyConnection, relations: Mapping[str, str], source: Source) -> int | None:
    """Read frames into temporary tables and return their number; None where they are not understood."""
    from duckdb import Error

    try:
        for name, (shapes, kept) in _STAGES.items():
            connection.execute(
                f"create or replace temp table staged_{name} as {_frames(source, shapes, kept)}"
            )
        for name in ("octal", "staged_change"):
            connection.execute(relations[name])
        return _understood(connection, source)
    except Error:
        # A line that is too long, or none of ours: whoever makes the rows one by one says what it is.
        return None


def _frames(source: Source, shapes: Mapping[str, Shape], kept: str) -> str:
    """Return the SQL that selects ``kept`` of every frame, whose JSON is read as ``shapes``."""
    read: list[str] = []
    if source.segments:
        columns = {name: _type(shape) for name, shape in shapes.items()}
        read.append(
            f"select {kept} from read_json({_listed(source.segments)}, format = 'newline_delimited', "
            # What is being appended meanwhile may be no whole line yet.
            f"ignore_errors = true, columns = {columns}, maximum_object_size = {_LONGEST_LINE_BYTES}) "
            f"where s > {source.after} and s <= {source.last}"
        )
    if source.sealed:
        structure = msgspec.json.encode(shapes).decode()
        read.append(
            f"select {kept} from (select unnest(from_json(decode(frame)::json, '{structure}')) "
            f"from read_parquet({_listed(source.sealed)}) "
            f"where frame is not null and position > {source.after} and position <= {source.last})"
        )
    return " union all ".join(read)


def _type(shape: Shape) -> str:
    """Return a shape as DuckDB's type."""
    if isinstance(shape, str):
        return shape
    if isinstance(shape, Mapping):
        return f"STRUCT({', '.join(f'{name} {_type(each)}' for name, each in shape.items())})"
    return f"{_type(shape[0])}[]"


def _listed(paths: Sequence[Path]) -> str:
    return "[" + ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths) + "]"


def _understood(connection: DuckDBPyConnection, source: Source) -> int | None:
    """Return the number of frames, None where one of them is no event as we write it."""
    ((number, different, rest),) = connection.execute(
        "select count(*), count(distinct s), (select count(*) from staged_rest) from staged_event"
    ).fetchall()
    kinds = connection.execute("select distinct kind from staged_event").fetchall()
    if not number == different == rest or not all(kind in KINDS for (kind,) in kinds):
        return None
    # A path that is no UTF-8 reads like the string of its JSON: none may be that string.
    encoded = connection.execute(
        "select 1 from staged_change "
        "where starts_with(text, '{\"b64\":') or starts_with(old_text, '{\"b64\":') limit 1"
    ).fetchall()
    if (
        encoded
        and connection.execute(
            f"select 1 from ({_frames(source, {'s': 'BIGINT', 'e': 'JSON'}, 'e::varchar as text')}) "
            'where contains(text, \'path":"{\\"b64\\"\') limit 1'
        ).fetchall()
    ):
        return None
    return number


def _relations() -> dict[str, str]:
    """Return the SQL of each table's rows, by the table's name."""
    text = (files("ledger") / "query" / "bulk.sql").read_text("utf-8")
    named = (part.split("\n", 1) for part in text.split("-- table ")[1:])
    return {name.strip(): sql.strip().removesuffix(";") for name, sql in named}


def _number_paths(connection: DuckDBPyConnection, relation: str, head: str, parts: Sequence[str]) -> None:
    """Give every path an id, those that are new the next ones, and write these where ``head`` says."""
    known = " union all ".join(f"select path_id, raw from {part}.path" for part in parts)
    known = known or "select 0::integer as path_id, null::blob as raw where false"
    connection.execute(relation.replace("known_path", f"({known})"))
    plain = "regexp_full_match(text, '[ !#-\\[\\]-~]+') and raw = encode(text)"
    odd = connection.execute(f"select distinct raw from staged_path where fresh and not ({plain})").fetchall()
    raws = [raw for (raw,) in odd]
    connection.execute(
        f"""
        {head}
        with shown as (select unnest(?::blob[]) as raw, unnest(?::varchar[]) as path)
        select path_id, coalesce(any_value(shown.path), any_value(text)) as path, raw
        from staged_path left join shown using (raw)
        where fresh
        group by path_id, raw
        order by path_id
        """,
        [raws, [show_path(raw) for raw in raws]],
    )


def _fill(connection: DuckDBPyConnection, head: str, table: Table, relation: str | None) -> None:
    """Write the rows of a table's relation where ``head`` says; without one they come from bodies."""
    values = [
        f"{'r.' + name if name in PATH_COLUMNS else expression.replace(name, 'r.' + name)} as {name}"
        for name, (_, expression) in table.columns.items()
    ]
    if relation is None:
        columns = [f"null::{kind} as {name}" for name, (kind, _) in table.columns.items()]
        relation = f"select {', '.join(columns)} where false"
    order = "" if relation.endswith("where false") else "order by run, v"
    connection.execute(f"{head} select {', '.join(values)} from ({relation}) as r {order}")


def _note_rest(connection: DuckDBPyConnection, loaded: Loaded) -> None:
    """Take note of what is left to add of the frames that are staged."""
    policies = connection.execute("select policy from staged_rest where policy is not null order by s")
    loaded.policies.extend(policy.encode() for (policy,) in policies.fetchall())
    listings = connection.execute(
        "select base_tree, listing from staged_event where kind = 'run.started/1' order by s"
    )
    loaded.listings.update(listings.fetchall())
    reports = connection.execute(
        "select run, v, report from staged_event "
        "where kind = 'gate.measured/1' and report is not null order by s"
    )
    loaded.reports.extend(reports.fetchall())
