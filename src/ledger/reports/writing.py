"""Writing: the report of a run as a file, which appears whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from ledger.events import AnyEvent
from ledger.operations.exporting import publish_file
from ledger.query.answers import execute
from ledger.query.questions import read_question
from ledger.reports.contents import read_contents
from ledger.reports.document import Tables, render_report
from ledger.reports.trends import read_trends
from ledger.repository import Repository
from ledger.transfer_errors import FileInTheWay, ReportInTheWay

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from ledger.store.local import LocalStore

LIMIT_BYTES = 20 << 20
"""What patches, contents and texts of a report may have together, before they are compressed."""

_SLOWEST = 10


class Written(NamedTuple):
    """A report that was written: up to which event, its size, and what it left out, in words."""

    event: str
    size_bytes: int
    left_out: tuple[str, ...]


class Reported(NamedTuple):
    """What a report is about: the ledger's store and repository, and the events from the run's first on."""

    store: LocalStore
    repository: Repository
    events: Iterable[AnyEvent]


def write_report(
    about: Reported,
    connection: DuckDBPyConnection,
    target: Path | IO[bytes],
    written_at: str,
    *,
    limit_bytes: int = LIMIT_BYTES,
    force: bool = False,
) -> Written:
    """Write the report of a run.

    Args:
        about: The run.
        connection: A SQL session over the same ledger.
        target: The file's path, or an open file, only written to.
        written_at: The time that it says.
        limit_bytes: What may be taken in, unpacked; the file says what was left out.
        force: Whether an existing file is replaced.

    Raises:
        ReportInTheWay: ``target`` exists, or is in the Git directory. It was left as it is.
        UnknownKind: An event changes the tree in a way that this version does not understand.
        DamagedLedger: A body is missing or damaged. No file was made.
        OSError: The file cannot be written. None was made.
    """
    if isinstance(target, Path):
        _check_place(about.repository, target, force=force)
    contents = read_contents(about.store, about.repository, about.events, limit_bytes)
    trends = read_trends(connection, contents.run, contents.until)
    page = render_report(contents, trends, _tables(connection, contents.run), written_at)
    if isinstance(target, Path):
        try:
            publish_file(target, lambda file: file.write(page), force=force)
        except FileInTheWay as error:
            raise ReportInTheWay(target, "exists already") from error
    else:
        target.write(page)
    return Written(f"{contents.run}:{contents.until}", len(page), tuple(contents.left_out))


def _tables(connection: DuckDBPyConnection, run: str) -> Tables:
    execute(connection, read_question("flaky").text, {"run": run})
    flaky = [row[1:7] for row in connection.fetchall()]
    execute(connection, read_question("slow_tests").text, {"run": run, "limit": _SLOWEST})
    slow = [(row[1], row[2], row[3], row[5], row[7]) for row in connection.fetchall()]
    return Tables(flaky, slow)


def _check_place(repository: Repository, target: Path, *, force: bool) -> None:
    place = Path(os.path.realpath(target.parent), target.name)
    git_dirs = {os.path.realpath(repository.git_dir), os.path.realpath(repository.ledger_dir.parent)}
    if any(place.is_relative_to(directory) for directory in git_dirs):
        raise ReportInTheWay(target, "is in the Git directory")
    if not force and os.path.lexists(target):
        raise ReportInTheWay(target, "exists already")
