"""Columns: what a sealed segment's file has beside the frames, for SQL without the ledger's code.

See: ``docs/format.md``, "Sealed segments".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ledger.errors import DamagedLedger
from ledger.store.sealed import Seal, Sealed

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FIELDS = {
    "position": ("$.s", "{}::bigint"),
    "hash": ("$.h", "{}"),
    "n": ("$.n", "{}::integer"),
    "w": ("$.w", "{}::bigint"),
    "run": ("$.e.run", "{}"),
    "v": ("$.e.v", "{}::integer"),
    "id": ("$.e.id", "try_cast({} as uuid)"),
    "kind": ("$.e.kind", "{}"),
    "at_ns": ("$.e.at_ns", "{}::bigint"),
    "at_utc": ("$.e.at_ns", "make_timestamp_ns({}::bigint)"),
    "actor_kind": ("$.e.actor.kind", "{}"),
    "actor_name": ("$.e.actor.name", "{}"),
    "actor_session": ("$.e.actor.session", "{}"),
    "base_tree": ("$.e.base_tree", "{}"),
    "result_tree": ("$.e.result_tree", "{}"),
    "gate": ("$.e.gate", "{}"),
    "verdict": ("$.e.verdict", "{}"),
}
"""Columns that a frame's line says: where in it, and the SQL that makes the column of that text."""

KEPT = ("position", "hash", "n", "w", "run", "v")
"""Those of them that a retired row keeps; it has ``ends_at`` too, and ``digest``, which no other row has."""

LOST = tuple(name for name in FIELDS if name not in KEPT)

_DIGEST = """sha256('ledger-event/1' || chr(10) || line[strpos(line, ',"e":') + 5 : -2])"""


def create_rows(duckdb: DuckDBPyConnection, lines: bytes) -> None:
    """Create the table ``rows`` of frames, given as whole lines one after another."""
    typed = ", ".join(f"{value} as {name}" for name, value in zip(FIELDS, _values(), strict=True))
    duckdb.execute(
        f"""
        create temp table rows as
        select {typed}, (sum(strlen(line) + 1) over upward)::bigint as ends_at,
            null::varchar as digest, encode(line) as frame
        from (select line, {_texts("line")} as texts from (
            select unnest(string_split(decode(?::blob), chr(10))) as line
        ) where line <> '')
        window upward as (order by texts[1]::bigint rows unbounded preceding)
        """,
        [lines],
    )


def retire_rows(duckdb: DuckDBPyConnection, runs: list[str]) -> None:
    """Take the frames of some runs out of the table ``rows``."""
    nothing = ", ".join(f"{name} = null" for name in (*LOST, "frame"))
    duckdb.execute(
        f"update rows set digest = {_DIGEST.replace('line', 'decode(frame)')}, {nothing} "
        "where frame is not null and run in (select unnest(?))",
        [runs],
    )


def check_columns(sealed: Sealed, seal: Seal) -> None:
    """Check every column of a sealed segment against the frames, and the seal's bounds against those.

    Raises:
        DamagedLedger: A column says something else than its frame, or a retired row more than it may.
    """
    stored = ", ".join(FIELDS)
    beside = " or ".join(f"{name} is not null" for name in LOST)
    found = sealed.query(
        seal,
        f"""
        with rows as (from read_parquet($file)),
        said as (
            select position as at_position, row({stored}) as stored, row({", ".join(_values())}) as computed
            from (
                select *, decode(frame) as line, {_texts("decode(frame)")} as texts
                from rows where frame is not null
            )
        )
        select at_position from said where stored is distinct from computed
        union all select position from rows
        where (frame is null) = (digest is null) or (frame is null and ({beside}))
        order by 1 limit 1
        """,
    )
    if found:
        raise DamagedLedger(
            f"sealed/{seal.parquet}, position {found[0][0]}", "its columns are not its frame's"
        )
    sql = "select min(id)::varchar, max(id)::varchar, min(at_ns), max(at_ns) from read_parquet($file)"
    bounds = [value or None for value in sealed.query(seal, sql)[0]]
    if bounds != [value or None for value in (seal.min_id, seal.max_id, seal.min_at_ns, seal.max_at_ns)]:
        raise DamagedLedger(
            f"sealed/{seal.first:020d}.seal", "its frames have other ids or times than it says"
        )


class RetiredRows(NamedTuple):
    """The rows of a retired run: how many, the last one's version and the digest that its event had."""

    run: str
    number: int
    last_v: int
    digest: str

    def after(self, before: RetiredRows | None) -> RetiredRows:
        """Return these rows together with those of earlier segments."""
        return self if before is None else self._replace(number=self.number + before.number)


def retired_rows(sealed: Sealed, seal: Seal) -> list[RetiredRows]:
    """Return what is left of retired runs in a sealed segment."""
    sql = (
        "select run, count(*), max(v), arg_max(digest, v) from read_parquet($file) "
        "where frame is null group by run order by run"
    )
    return [RetiredRows(*row) for row in sealed.query(seal, sql)]


def _texts(line: str) -> str:
    paths = ", ".join(f"'{path}'" for path, _ in FIELDS.values())
    return f"json_extract_string({line}, [{paths}])"


def _values() -> list[str]:
    """Return the SQL of every column, given the list ``texts``."""
    return [sql.format(f"texts[{index}]") for index, (_, sql) in enumerate(FIELDS.values(), start=1)]
