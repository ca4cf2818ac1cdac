"""Readers that stay (P8): a DuckDB shell with the cache open, and a query that does not end, stop no command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from shell import FIX, LEDGER, Shell

pytestmark = pytest.mark.duckdb

HOLDER = """
import duckdb, sys
connections = [duckdb.connect(path) for path in sys.argv[1:]]
for connection in connections:
    connection.execute("begin; create table mine (i int); insert into mine values (1)")
print("holding", flush=True)
sys.stdin.read()
"""
"""A shell that has every file open for writing, in the middle of a transaction."""

ENDLESS = "select 'begun' as said union all select max(a.range + b.range)::varchar from range(10000000) a, range(10000000) b"

DAY = (
    ("record", "-m", "by hand"),
    ("phase", "P3"),
    ("log",),
    ("status",),
    ("sql", "select count(*) from patch_files"),
    ("query", "churn"),
    ("undo", "--with-drift"),
    ("redo", "--with-drift"),
    ("run", "finish", "--abandon"),
    ("archive",),
    ("sql", "from runs"),
    ("gc", "--keep", "0h", "--apply"),
    ("sql", "from runs"),
    ("verify",),
)
"""What is done meanwhile."""


@contextmanager
def waiting(shell: Shell, *words: str) -> Generator[subprocess.Popen[str]]:
    """Run a process beside, which ends when the test does."""
    process = subprocess.Popen(
        words, cwd=shell.root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def cache_files(shell: Shell) -> list[str]:
    return sorted(map(str, (shell.root / ".git" / "ledger" / "cache" / "columns").glob("*.duckdb")))


@pytest.fixture
def cached(started: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A repository with an open run whose rows are in a cache file."""
    program = "from ledger.query import cache; cache.TAIL_ROWS = 0; from ledger import Ledger; Ledger.open('.').sql('select 1')"
    subprocess.run([sys.executable, "-c", program], cwd=started.root, check=True)
    assert cache_files(started)
    assert started("apply", started.file(FIX)).code == 0
    return started


def test_readers_that_stay_stop_no_command(cached: Shell) -> None:
    """Each command of a day's work does what it does without them; the query goes on, and ends when it is told."""
    shell = cached
    (shell.root / "a.txt").write_text("by hand\n", "utf-8")
    with (
        waiting(shell, sys.executable, "-c", HOLDER, *cache_files(shell)) as holder,
        waiting(shell, str(LEDGER), "sql", ENDLESS) as query,
    ):
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holding\n"
        for words in DAY:
            done = shell(*words)
            assert done.code == 0, (words, done.err)
            assert (holder.poll(), query.poll()) == (None, None), words
        os.kill(query.pid, signal.SIGINT)
        assert query.wait(60) == 130
