"""Limits: how much memory and time a statement of the user's may take.

DuckDB keeps the memory itself, of what it works with: rows that Python was given do not count. It has
no limit on time, so a thread interrupts the statement; at Ctrl-C, too, which DuckDB asks about only between
two steps, and one of them may take as long as the statement.
"""

from __future__ import annotations

import re
import signal
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from select import select
from threading import Event, Thread, current_thread, main_thread
from typing import TYPE_CHECKING

from ledger.gates.documents import parse_size
from ledger.query_errors import QueryTooLarge, QueryTooLong

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DEFAULT_MEMORY_BYTES = 4 << 30
"""Where nothing is said; less where DuckDB itself would use less, which is 80 % of what there is."""

_DONE = b"\0"
"""What is told when all is over; no signal has this number."""

_LIMIT = re.compile(r"/([^/()]+) used\)")
"""In DuckDB's "(38.0 MiB/40.0 MiB used)"."""

_WORDS = 64
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
    told, tell = socket.socketpair()
    watcher = Thread(target=_watch, args=(connection, told, timeout_s, done, late), daemon=True)
    watcher.start()
    with told, tell, _signals_to(tell):
        try:
            yield
        except duckdb.OutOfMemoryException as error:
            # To ask what the limit is takes memory, too.
            said = _LIMIT.search(str(error))
            raise QueryTooLarge(said[1] if said else "no more") from error
        except (duckdb.Error, RuntimeError, KeyboardInterrupt) as error:
            if not _tells_of_interrupt(error):
                raise
            # Where DuckDB heard Ctrl-C by itself it leaves the statement as it is: what comes next, if only
            # that the connection closes, would work off the rest.
            connection.interrupt()
            if late.is_set() and timeout_s is not None:
                raise QueryTooLong(timeout_s) from error
            raise KeyboardInterrupt from error
        finally:
            done.set()
            tell.send(_DONE)
            watcher.join()


def _tells_of_interrupt(error: BaseException) -> bool:
    """Return whether an error says that the statement was interrupted; DuckDB has four ways to say it."""
    import duckdb

    if isinstance(error, RuntimeError):
        return "interrupted" in str(error).lower()
    named = isinstance(error, (KeyboardInterrupt, duckdb.InterruptException))
    return named or "INTERRUPT Error" in str(error)


@contextmanager
def _signals_to(tell: socket.socket) -> Generator[None]:
    """Have the numbers of signals written to a socket as they come; only the main thread can ask for it."""
    if current_thread() is not main_thread():
        yield
        return
    tell.setblocking(False)  # Python requires it of whom it writes to.
    before = signal.set_wakeup_fd(tell.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)


def _watch(
    connection: DuckDBPyConnection, told: socket.socket, timeout_s: float | None, done: Event, late: Event
) -> None:
    """Interrupt a connection when the time is over, or at Ctrl-C, until it is done."""
    end_s = None if timeout_s is None else time.monotonic() + timeout_s
    while not done.is_set():
        left_s = None if end_s is None else max(0.0, end_s - time.monotonic())
        if not select([told], [], [], left_s)[0]:
            late.set()
        elif signal.SIGINT not in told.recv(_WORDS):
            continue
        while not done.wait(_AGAIN_S):
            connection.interrupt()
