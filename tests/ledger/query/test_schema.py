"""The documented schema: everything public is described, and types are those of a real session."""

from __future__ import annotations

import pytest

from ledger.query.schema import Relation, find_relation, read_schema
from ledger.query.session import open_session
from ledger.query_errors import NoSuchRelation
from ledger.store.local import LocalStore

SCHEMA = read_schema()
UNITS = {
    "",
    "UTC",
    "bytes",
    "count",
    "hexadecimal",
    "lines",
    "octal",
    "seconds",
    "see `unit`",
    "the metric's unit",
}

WITHOUT_A_UNIT = {"path_bytes", "work_tree"}


def test_every_public_view_and_macro_is_there(store: LocalStore) -> None:
    """What a session shows is what is documented."""
    session = open_session(store)
    views = session.execute(
        "select view_name from duckdb_views() where not internal and schema_name = 'main'"
    )
    macros = (
        "select function_name from duckdb_functions() where not internal and schema_name = 'main' "
        "and function_type like '%macro'"
    )
    found = {name for (name,) in views.fetchall()} | {name for (name,) in session.execute(macros).fetchall()}
    assert found == {relation.name for relation in SCHEMA}
    assert {"diff_at", "candidate_at", "gate_status_at", "file_history", "gates", "events"} <= found


@pytest.mark.parametrize("relation", SCHEMA, ids=lambda relation: relation.name)
def test_everything_is_described(relation: Relation) -> None:
    """A sentence for each, a meaning for each column and parameter, and a unit for each number that has one."""
    assert relation.meaning.endswith(".")
    for column in (*relation.parameters, *relation.columns):
        assert column.meaning, f"{relation.name}.{column.name} is not described"
        assert not column.meaning.endswith((".", " ")), column
        assert column.unit in UNITS, column
    times = [column for column in relation.columns if column.type == "TIMESTAMP"]
    assert {column.unit for column in times} <= {"UTC"}
    for column in relation.columns:
        if column.name.endswith(("_s", "_bytes", "_oid", "_tree")) and column.name not in WITHOUT_A_UNIT:
            assert column.unit, column


@pytest.mark.parametrize("relation", SCHEMA, ids=lambda relation: relation.name)
def test_names_and_types_are_those_of_a_session(relation: Relation, store: LocalStore) -> None:
    values = ", ".join("1" if each.type == "INTEGER" else "'port'" for each in relation.parameters)
    source = f"{relation.name}({values})" if relation.kind == "macro" else relation.name
    described = open_session(store).execute(f"describe from {source}").fetchall()
    assert [(name, kind) for name, kind, *_ in described] == [(c.name, c.type) for c in relation.columns]


def test_a_session_does_without_the_descriptions(store: LocalStore) -> None:
    """They would take as long as all views together."""
    said = open_session(store).execute("select count(*) from duckdb_columns() where comment is not null")
    assert said.fetchone() == (0,)


def test_a_relation_is_found_by_name_and_as_it_is_written() -> None:
    assert find_relation(SCHEMA, "state_at(run, 3)").name == "state_at"
    assert find_relation(SCHEMA, "GATES").kind == "view"
    with pytest.raises(NoSuchRelation, match="did you mean patch_files"):
        find_relation(SCHEMA, "patchfiles")
