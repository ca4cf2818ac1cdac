"""`ledger db`: one file that any DuckDB client opens, with what SQL sees in it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from book import Book, File

from ledger.api import Ledger
from ledger.query import cache as cache_module
from ledger.query.schema import Relation, read_schema
from ledger.query_errors import DatabaseInTheWay
from ledger.store.disk import sync_file

ARGUMENTS = {
    "run_name": "'told'",
    "version": "6",
    "old_version": "1",
    "new_version": "6",
    "profile_name": "'dev'",
    "file_path": "'a'",
}
CLIENT = """
import duckdb, json, sys
connection = duckdb.connect(sys.argv[1], read_only=True)
print(json.dumps([[[repr(value) for value in row] for row in connection.execute(query).fetchall()] for query in sys.argv[2:]]))
assert not [name for name in sys.modules if name.partition(".")[0] in ("ledger", "patches", "msgspec")]
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    """A run with a patch, a rename, a rollback, a phase and an error."""
    book = Book(tmp_path / "repo", {b"a": File(b"a\n" * 9), b"b": File(b"b\n")})
    with Ledger.open(book.root) as opened:
        opened.run("told", name="told")
        book.put(b"b", File(b"two\n"))
        opened.record()
        opened.enter_phase("P3")
        book.put(b"a", None)
        book.put(b"moved", File(b"a\n" * 9))
        opened.record()
        opened.undo(with_drift=True)
        opened.capture_error("3:build", "no such file")
        yield opened


def query_of(relation: Relation) -> str:
    if relation.kind == "view":
        return f"from {relation.name} order by all"
    return f"from {relation.name}({', '.join(ARGUMENTS[each.name] for each in relation.parameters)})"


@pytest.mark.parametrize("tail_rows", [20_000, 1])
def test_every_view_and_macro_says_what_sql_says(
    ledger: Ledger, tmp_path: Path, tail_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked in a process that knows nothing of ledger, whether the rows come from the log or the cache."""
    monkeypatch.setattr(cache_module, "TAIL_ROWS", tail_rows)
    target = tmp_path / "out.duckdb"
    ledger.write_database(target)
    queries = [query_of(relation) for relation in read_schema()]
    command = [sys.executable, "-I", "-c", CLIENT, str(target), *queries]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    answers = [[[repr(value) for value in row] for row in ledger.sql(query).fetchall()] for query in queries]
    assert json.loads(done.stdout) == answers
    empty = {query for query, rows in zip(queries, answers, strict=True) if not rows}
    assert not any(
        name in query for query in empty for name in ("file_history", "diff_at", "patches", "errors")
    )
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith((".", "out"))) == [
        "out.duckdb"
    ]


def test_the_file_describes_itself_and_is_anyones_to_change(ledger: Ledger, tmp_path: Path) -> None:
    """Comments are in it; a table of one's own too; the ledger does not notice."""
    target = tmp_path / "out.duckdb"
    ledger.write_database(target)
    with duckdb.connect(target) as connection:
        said = "select comment from duckdb_columns() where table_name = 'runs' and column_name = 'title'"
        assert connection.execute(said).fetchone() == ("What it is about, as given at its start",)
        connection.execute("create table mine as from runs")
    with duckdb.connect() as connection:
        connection.execute(f"attach '{target}' as history (read_only)")
        assert connection.execute("select run from history.runs").fetchall() == [("told",)]
        connection.execute("use history")
        assert connection.execute("select count(*) from state_at('told', 1)").fetchall() == [(2,)]
    assert ("mine",) not in ledger.sql("show tables").fetchall()


def test_what_lies_there_is_left(ledger: Ledger, tmp_path: Path) -> None:
    """A database is replaced if that is asked for; anything else never is."""
    target = tmp_path / "out.duckdb"
    ledger.write_database(target)
    before = target.read_bytes()
    with pytest.raises(DatabaseInTheWay, match="exists already"):
        ledger.write_database(target)
    assert target.read_bytes() == before
    ledger.enter_phase("P4")
    ledger.write_database(target, force=True)
    with duckdb.connect(target, read_only=True) as connection:
        assert connection.execute("select max(phase) from phases").fetchone() == ("P4",)
    text, link, directory = tmp_path / "notes.txt", tmp_path / "link.duckdb", tmp_path / "dir.duckdb"
    text.write_text("mine, and longer than a header\n")
    link.symlink_to(target)
    directory.mkdir()
    for path in (text, link, directory):
        with pytest.raises(DatabaseInTheWay, match="is no DuckDB file"):
            ledger.write_database(path, force=True)
    assert text.read_text() == "mine, and longer than a header\n"
    assert link.is_symlink()


def test_what_came_meanwhile_is_left(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that somebody made while ours was written keeps its name."""
    target = tmp_path / "out.duckdb"

    def meddle(path: Path) -> None:
        sync_file(path)
        target.write_text("theirs")

    monkeypatch.setattr("ledger.operations.databases.sync_file", meddle)
    with pytest.raises(DatabaseInTheWay, match="exists already"):
        ledger.write_database(target)
    assert target.read_text() == "theirs"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("name", [".git/x.duckdb", ".git/ledger/log/x.duckdb", "columns.duckdb"])
def test_places_that_are_no_place_for_it(ledger: Ledger, name: str) -> None:
    """Git's directory, and a name that DuckDB takes for a schema's; also through a link."""
    assert ledger.repository.work_dir is not None
    root = Path(ledger.repository.work_dir)
    with pytest.raises(DatabaseInTheWay):
        ledger.write_database(root / name)
    (root.parent / "way").symlink_to((root / name).parent)
    with pytest.raises(DatabaseInTheWay):
        ledger.write_database(root.parent / "way" / Path(name).name)
    assert not (root / name).exists()
    with pytest.raises(FileNotFoundError):
        ledger.write_database(root / "nowhere" / "x.duckdb")
