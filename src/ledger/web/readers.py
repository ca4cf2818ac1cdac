"""Readers: the ledger that a server's threads share, one at a time."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from ledger.reading import LedgerReader

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class Readers:
    """Gives readers of one ledger. They need no lock of the ledger's, and stop nobody who writes."""

    def __init__(self, directory: Path) -> None:
        """Take the directory that the ledger's repository is found from; raises as `Past.open`."""
        self._directory = directory
        self._shared = LedgerReader.open(directory)
        self._lock = Lock()
        self._asking = Lock()

    @contextmanager
    def shared(self) -> Generator[LedgerReader]:
        """Give the reader that is kept open, for the length of one answer."""
        with self._lock:
            yield self._shared

    @contextmanager
    def own(self) -> Generator[LedgerReader]:
        """Give a reader to a user's SQL: what it creates or drops is gone afterwards. One at a time."""
        with self._asking, LedgerReader.open(self._directory) as reader:
            yield reader

    def close(self) -> None:
        """Close what is open."""
        with self._lock:
            self._shared.close()


def rows_of(connection: DuckDBPyConnection) -> list[dict[str, Any]]:
    """Return the rows of a result, each by column."""
    columns = [str(column[0]) for column in connection.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in connection.fetchall()]
