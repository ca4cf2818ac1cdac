"""`ledger sql`, `query`, `schema` and `db`, as a user meets them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "e2e"))
from shell import BASE, FIX, Shell  # pyright: ignore[reportMissingImports] - its folder is added above

from ledger.gates.configuration import (
    Configuration,
    InvalidConfiguration,
    encode_policy,
    read_configuration,
)
from ledger.gates.documents import Unfit, parse_size
from ledger.gates.settings import SqlLimits
from ledger.query.questions import find_questions, parse_question

QUERIES = Path(__file__).resolve().parents[3] / "queries"


@pytest.fixture
def shell(make_repo: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A repository with one run, "work", of one patch."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    shell = Shell(make_repo(BASE))
    assert shell("run", "start", "work", "--name", "work").code == 0
    assert shell("apply", shell.file(FIX)).code == 0
    return shell


def test_questions_are_listed_and_asked_by_name(shell: Shell) -> None:
    """With what narrows them down; their SQL is anybody's to change."""
    listed = json.loads(shell("query", "--json").out)
    assert [row["name"] for row in listed] == sorted(path.stem for path in QUERIES.glob("*.sql"))
    assert all(row["question"].count("?") for row in listed)
    assert "run" in {row["name"]: row["params"] for row in listed}["churn"].split()
    asked = json.loads(shell("query", "churn", "--param", "run=work", "--json").out)
    assert [row["path"] for row in asked] == ["a.txt"]
    assert shell("query", "churn", "--param", "run=other", "--json").out == "[]\n"
    shown = shell("query", "churn", "--show").out
    assert shown == (QUERIES / "churn.sql").read_text("utf-8")
    mine = shell.root.parent / "mine.sql"
    mine.write_text(shown + "-- mine\n")
    assert json.loads(shell("query", "../mine.sql", "--param", "$run=work", "--json").out) == asked
    assert shell("sql", "../mine.sql", "--json").out == shell("query", "churn", "--json").out


def test_what_cannot_be_asked(shell: Shell) -> None:
    """Names that are close are named, and the parameters that there are."""
    shell("query", "chrun").refuses(3, "did you mean churn", "hint: `ledger query` lists")
    shell("query", "phase").refuses(3, "did you mean phases")
    shell("query", "churn", "--param", "rum=work").refuses(2, "'rum'; there are run", "hint: ")
    shell("query", "churn", "--param", "run").refuses(2, "'run' is not NAME=VALUE")
    shell("query", "./nowhere.sql").refuses(8, "nowhere.sql")
    shell("sql", "select $x", "--param", "y=1").refuses(2, "'y'; there are x")
    shell("schema", "gate").refuses(3, "did you mean gates", "hint: `ledger schema`")


def test_limits_are_options(shell: Shell) -> None:
    """What is stopped at one exits as what could not be measured."""
    endless = "select count(*) from range(1000000000) as a, range(1000000000) as b"
    shell("sql", endless, "--timeout", "0.3s").refuses(4, "it may take 0.3 s", "hint: ", "--timeout")
    large = "select count(distinct md5(range::varchar)) from range(10000000)"
    shell("sql", large, "--memory-limit", "40MiB").refuses(4, "it may use 40.0 MiB", "hint: ")
    for bad in (("--timeout", "soon"), ("--memory-limit", "much"), ("--memory-limit", "0")):
        shell("query", "runs", *bad).refuses(2, bad[0], "expected ")
    (shell.root / "ledger.toml").write_text('[sql]\ntimeout = "1x"\n')
    shell("sql", "select 1").refuses(2, "ledger.toml:2")


def test_the_schema_needs_no_ledger(tmp_path: Path) -> None:
    """It is the same everywhere."""
    shell = Shell(tmp_path)
    listed = json.loads(shell("schema", "--json").out)
    assert {"view", "macro"} == {row["kind"] for row in listed}
    assert "state_at(run_name, version)" in [row["name"] for row in listed]
    columns = json.loads(shell("schema", "tests", "--json").out)
    assert {
        "schema": "ledger.schema/1",
        "part": "column",
        "name": "duration_s",
        "type": "DOUBLE",
        "unit": "seconds",
        "meaning": "Time that it took",
    } in columns
    told = shell("schema", "diff_at")
    assert told.err.startswith("macro diff_at(run_name, old_version, new_version): Every path that differs")
    assert [line.split()[:3] for line in told.out.splitlines()[2:4]] == [
        ["parameter", "run_name", "VARCHAR"],
        ["parameter", "old_version", "INTEGER"],
    ]
    assert json.loads(shell("query", "--json").out)


def test_a_database_is_written(shell: Shell) -> None:
    """Its name is the output; a second one asks for --force."""
    target = shell.root.parent / "out.duckdb"
    done = shell("db", target)
    assert (done.code, done.out) == (0, f"{target}\n")
    assert done.err == f"wrote {target.stat().st_size} bytes\n"
    shell("db", target).refuses(7, "exists already", "hint: ", "`ledger db --force FILE`")
    assert shell("db", target, "--force").code == 0
    shell("db", "a.txt", "--force").refuses(7, "is no DuckDB file")
    shell("db", ".git/x.duckdb").refuses(7, "is in the Git directory")


def test_the_limits_are_configured() -> None:
    """They are no profile's business, are shown with the policy, and what means nothing is an error."""
    read = read_configuration(b'[sql]\nmemory-limit = "1.5GiB"\ntimeout = "1m 30s"\n', None)
    assert read.sql == SqlLimits(3 << 29, 90.0)
    shown = encode_policy(Configuration(profile=read.profile, profiles=read.profiles, sql=read.sql))
    assert read_configuration(shown.encode(), None).sql == read.sql
    assert read_configuration(None, None).sql == SqlLimits()
    for bad in (
        b"[sql]\nmemory = 7\n",
        b'[sql]\nmemory-limit = "x"\n',
        b"[sql]\ntimeout = 0\n",
        b"sql = 7\n",
    ):
        with pytest.raises(InvalidConfiguration):
            read_configuration(bad, None)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("1B", 1),
        ("1KiB", 1024),
        ("1K", 1024),
        ("2 MB", 2 << 20),
        ("1.5GiB", 3 << 29),
        ("1TiB", 1 << 40),
        (7, 7),
    ],
)
def test_sizes(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "0.1B", "1 bit", "1GiBs", "1e3", True, 1.5, None, "٣MiB"])
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(Unfit):
        parse_size(text)


def test_a_header_is_parsed() -> None:
    """The question, and a meaning for each parameter, which may go on."""
    text = "-- Why?\n--\n-- Grain:   one row.\n-- Params:  run          a run; not given:\n--                       all\n--          v            an event\n-- Events:  all  kinds\nselect 1\n-- Params:  no\n"
    question = parse_question("why", text)
    assert (question.title, question.parameters) == (
        "Why?",
        {"run": "a run; not given: all", "v": "an event"},
    )
    assert parse_question("bare", "select 1\n").title == ""


@pytest.mark.parametrize("question", find_questions(), ids=lambda question: question.name)
def test_the_header_names_the_parameters(question) -> None:
    """Those that DuckDB finds in the statement, and no others."""
    import duckdb

    (statement,) = duckdb.connect().extract_statements(question.text)
    assert set(question.parameters) == statement.named_parameters
