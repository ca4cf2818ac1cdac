"""Limits: how much memory and time a statement of the user's may take.

DuckDB keeps the memory itself, of what it works with: rows that Python was given do not count. It has
no limit on time, so a thread interrupts the statement.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING

from ledger.gates.documents import parse_size
from ledger.query_errors import QueryTooLarge, QueryTooLong

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DEFAULT_MEMORY_BYTES = 4 << 30
"""Where nothing is said; less where DuckDB itself would use less, which is 80 % of what there is."""

_AGAIN_S = 0.02
"""An interrupt that comes between two steps of DuckDB's is lost: so it is sent until it is heard."""


def limit_memory(connection: DuckDBPyConnection, memory_bytes: int | None) -> None:
    """Let a connection use at most so much memory, and no disk: what does not fit fails.

    DuckDB would put what does not fit into files below the working directory, and leave them there.

    Raises:
        QueryTooLarge: It uses more already.
    """
    import duckdb

    connection.execute("set temp_directory = ''")
    wanted = memory_bytes or min(DEFAULT_MEMORY_BYTES, parse_size(_current(connection)))
    try:
        connection.execute(f"set memory_limit = '{wanted}B'")
    except duckdb.OutOfMemoryException as error:
        raise QueryTooLarge(f"{wanted} bytes") from error


def _current(connection: DuckDBPyConnection) -> str:
    row = connection.execute("select current_setting('memory_limit')").fetchone()
    assert row is not None, "a setting has a value"
    return str(row[0])


@contextmanager
def limited(connection: DuckDBPyConnection, timeout_s: float | None) -> Generator[None]:
    """Stop what the body asks of a connection when its time is over, rows that it fetches included.

    Raises:
        QueryTooLong: The time is over.
        QueryTooLarge: The memory was not enough.
        KeyboardInterrupt: DuckDB was interrupted by Ctrl-C.
    """
    import duckdb

    done, late = Event(), Event()
    watcher = Thread(target=_interrupt, args=(connection, timeout_s, done, late), daemon=True)
    if timeout_s is not None:
        watcher.start()
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise QueryTooLarge(_current(connection)) from error
    except (duckdb.InterruptException, RuntimeError) as error:
        if late.is_set() and timeout_s is not None:
            raise QueryTooLong(timeout_s) from error
        if isinstance(error, duckdb.InterruptException) or "interrupted" in str(error).lower():
            raise KeyboardInterrupt from error
        raise
    finally:
        done.set()
        if timeout_s is not None:
            watcher.join()


def _interrupt(connection: DuckDBPyConnection, timeout_s: float | None, done: Event, late: Event) -> None:
    if not done.wait(timeout_s):
        late.set()
        while not done.wait(_AGAIN_S):
            connection.interrupt()
