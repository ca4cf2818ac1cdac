"""Limits on memory and time: they hold, they are told, and SQL cannot raise them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Timer

import duckdb
import pytest

from ledger import Ledger
from ledger.errors import QueryForbidden, QueryRefused
from ledger.gates.settings import SqlLimits
from ledger.query.answers import Answer, read_answer
from ledger.query.limits import DEFAULT_MEMORY_BYTES
from ledger.query.session import open_session
from ledger.query_errors import QueryTooLarge, QueryTooLong, UnknownParameter
from ledger.store.local import LocalStore

ENDLESS = "select sum(sin(range)) from range(1000000000000)"  # It takes time, and no memory.
LARGE = "select count(distinct md5(range::varchar)) from range(10000000)"


def test_a_statement_is_stopped_when_its_time_is_over(store: LocalStore) -> None:
    """While DuckDB works, and while rows come; the session answers on."""
    session = open_session(store)
    began = time.monotonic()
    for query in (ENDLESS, "select range from range(1000000000000)"):
        with pytest.raises(QueryTooLong, match=r"it may take 0\.2 s"):
            read_answer(session, query, {}, 0.2)
    assert time.monotonic() - began < 30
    assert read_answer(session, "select 1 as one", {}, 60) == Answer(("one",), [(1,)])


def test_a_statement_that_needs_too_much_memory_is_stopped(store: LocalStore) -> None:
    """It is not put on the disk instead, and nothing is left there."""
    session = open_session(store, 40 << 20)
    with pytest.raises(QueryTooLarge, match=r"it may use 40\.0 MiB of memory"):
        read_answer(session, LARGE, {})
    assert list(Path().iterdir()) == []
    assert read_answer(session, "select 1 as one", {}).rows == [(1,)]


def test_less_than_a_session_takes_is_said(store: LocalStore) -> None:
    """When it opens, or where DuckDB has not yet needed more by then, when it is first asked."""
    with pytest.raises(QueryTooLarge, match=r"1024 bytes|1\.0 KiB"):
        read_answer(open_session(store, 1024), LARGE, {})


def test_the_default_is_no_more_than_duckdb_itself_would_use(store: LocalStore) -> None:
    """SQL reads it as it is in force."""
    setting = "select current_setting('memory_limit'), current_setting('temp_directory')"
    with duckdb.connect() as plain:
        (own,) = plain.execute("select current_setting('memory_limit')").fetchone() or ("",)
    wanted = "4.0 GiB" if "GiB" in own and float(own.split()[0]) > 4 else own
    assert DEFAULT_MEMORY_BYTES == 4 * 1024**3
    assert open_session(store).execute(setting).fetchone() == (wanted, "")


@pytest.mark.parametrize(
    "statement",
    [
        "set memory_limit = '9GiB'",
        "pragma memory_limit = '9GiB'",
        "set max_memory = '9GiB'",
        "reset memory_limit",
        "set temp_directory = 'spill'",
        "set max_temp_directory_size = '9GiB'",
        "set lock_configuration = false",
    ],
)
def test_sql_cannot_raise_them(store: LocalStore, statement: str) -> None:
    session = open_session(store, 64 << 20)
    with pytest.raises((QueryRefused, QueryForbidden)):
        read_answer(session, statement, {})
    assert session.execute("select current_setting('memory_limit')").fetchone() == ("64.0 MiB",)


def test_ctrl_c_is_no_time_limit(store: LocalStore) -> None:
    """An interrupt of somebody else's is what it is."""
    session = open_session(store)
    timer = Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        read_answer(session, ENDLESS, {}, 60)
    timer.join()


CLOSED_AFTER = """
import os, signal, sys, time
from pathlib import Path
from threading import Timer
from ledger.query import limits
from ledger.query.answers import read_answer
from ledger.query.session import open_session
from ledger.stamps import Stamp
from ledger.store.local import LocalStore

def late(connection, told, timeout_s, done, was_late, watch=limits._watch):
    limits.select([told], [], [])
    done.wait(2)
    watch(connection, told, timeout_s, done, was_late)

limits._watch = late
signal.signal(signal.SIGINT, signal.default_int_handler)
store = LocalStore.open(Path(sys.argv[1]), Stamp())
for _ in range(4):  # Not every time was there something left to work off.
    session = open_session(store)
    Timer(0.3, os.kill, [os.getpid(), signal.SIGINT]).start()
    try:
        read_answer(session, sys.argv[2], {}, 600)
    except KeyboardInterrupt:
        session.close()
        print("closed")
"""


def test_a_session_closes_after_ctrl_c_whoever_heard_it(store: LocalStore) -> None:
    """DuckDB, where it is faster than the thread, leaves the statement as it is: closing would work it off."""
    command = [sys.executable, "-c", CLOSED_AFTER, store.root, ENDLESS]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("closed\n" * 4, "")


def test_statements_run_in_order_with_their_own_parameters(store: LocalStore) -> None:
    """What is not given is NULL; what no statement has is refused before any of them runs."""
    session = open_session(store)
    text = "create table mine as select $a::integer as a; select a, $b as b from mine; from mine where a = $a"
    assert read_answer(session, text, {"a": 7}).rows == [(7,)]
    assert read_answer(session, "select $b is null, $run", {"run": "x"}).rows == [(True, "x")]
    with pytest.raises(UnknownParameter, match="'c'; there are a"):
        read_answer(session, "drop table mine; select $a", {"c": 1})
    assert read_answer(session, "from mine", {}) == Answer(("a",), [(7,)])
    with pytest.raises(QueryRefused, match="no statement"):
        read_answer(session, "-- nothing", {})


def test_the_limits_of_the_configuration(repo: Path) -> None:
    """They are in force where none are given, for `sql` and `query` too."""
    (repo / "ledger.toml").write_text('[sql]\nmemory-limit = "500MiB"\ntimeout = 0.2\n')
    with Ledger.open(repo) as ledger:
        ledger.run("port")
        limit = "select current_setting('memory_limit')"
        assert ledger.select(limit).rows == ledger.sql(limit).fetchall() == [("500.0 MiB",)]
        assert ledger.select(limit, limits=SqlLimits(memory_bytes=64 << 20)).rows == [("64.0 MiB",)]
        with pytest.raises(QueryTooLong):
            ledger.select(ENDLESS)
        assert ledger.query("churn").fetchall() == []


FRESH = """
import sys
from pathlib import Path
from ledger import Ledger
from ledger.gates.settings import SqlLimits
with Ledger.open(sys.argv[1]) as ledger:
    print(ledger.select("select 1", limits=SqlLimits(timeout_s=600)).rows)
"""


def test_a_long_limit_does_not_keep_a_process(repo: Path) -> None:
    """The thread that waits ends with the statement."""
    with Ledger.open(repo) as ledger:
        ledger.run("port")
    done = subprocess.run([sys.executable, "-c", FRESH, repo], capture_output=True, check=True, timeout=60)
    assert done.stdout == b"[(1,)]\n"
