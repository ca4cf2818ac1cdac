"""Homes with runs, as parts for an archive, and what their own ledgers answer: the oracle of what a shared one says."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection

sys.path.insert(0, str(Path(__file__).parents[1]))
from chronicle import Chronicle

from ledger.errors import DroppedBody
from ledger.events import LEDGER_RUN, NO_DIGEST
from ledger.query.session import open_session
from ledger.sharedarchive.layout import HOME_DIGITS, RunPart, StoredEvent
from ledger.stamps import Stamp
from ledger.store.local import LocalStore

VIEWS = (
    *(
        "events",
        "runs",
        "patches",
        "patch_files",
        "gates",
        "gate_metrics",
        "findings",
        "tests",
        "covered_files",
    ),
    *("policies", "phases", "tickets", "checks", "errors", "questions"),
)
OF_PLACE = ("position", "hash", "home", "repository")
"""Columns that say where an event lies, not what it says."""


class Home:
    """One local ledger with runs that were told."""

    def __init__(
        self, root: Path, stamp: Stamp, repository: str, runs: Iterable[tuple[str, Chronicle]]
    ) -> None:
        self.repository = repository
        self.store = LocalStore.open(root, stamp, create=True)
        for name, story in runs:
            story.write_to(self.store, name)
        self.home = next(iter(self.store.frames())).h
        self._answers: dict[str, list[str]] = {}
        self._session: tuple[int, DuckDBPyConnection] | None = None

    def parts(self, seq: int = 0) -> list[RunPart]:
        """Return every run whole, numbered from ``seq`` on."""
        found: list[RunPart] = []
        for run in sorted(self.store.heads().keys() - {LEDGER_RUN}):
            events = [
                StoredEvent(seq + number, bytes(frame.e))
                for number, frame in enumerate(self.store.of_run(run), start=1)
            ]
            seq += len(events)
            found.append(RunPart(self.home, self.repository, run, 0, NO_DIGEST, events))
        return found

    def read_body(self, digest: str) -> bytes:
        return self.store.read_body(digest)

    def answers(self, sql: str) -> list[str]:
        """Return what the home's own ledger answers, asked once for as long as it has no more events."""
        key = f"{self.store.position()} {sql}"
        if key not in self._answers:
            if self._session is None or self._session[0] != self.store.position():
                self._session = self.store.position(), open_session(self.store)
            self._answers[key] = answers(self._session[1], sql)
        return self._answers[key]


def read_any(homes: Sequence[Home], digest: str) -> bytes:
    """Return a body of whichever home has it."""
    for home in homes:
        if home.store.bodies.path(digest).exists():
            return home.read_body(digest)
    raise DroppedBody(digest, "nowhere")


def parts_of(homes: Sequence[Home]) -> list[RunPart]:
    """Return every run of some homes, in the order of an archive."""
    found: list[RunPart] = []
    for home in homes:
        found += home.parts(sum(len(part.events) for part in found))
    return sorted(found, key=lambda part: part.key)


def answers(connection: DuckDBPyConnection, sql: str) -> list[str]:
    """Return the rows of a statement as sorted texts, without what says where an event lies."""
    result = connection.execute(sql)
    names = [column[0] for column in result.description or ()]
    rows = []
    for row in result.fetchall():
        said = {name: _plain(value) for name, value in zip(names, row, strict=True) if name not in OF_PLACE}
        rows.append(json.dumps(said, sort_keys=True, default=str))
    return sorted(rows)


def _plain(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) and value[:1] == "{" else value
    except ValueError:
        return value


def assert_answers_alike(
    shared: DuckDBPyConnection, homes: Sequence[Home], versions: Collection[int] = ()
) -> None:
    """Assert that a shared session says of every home's runs what the home's own ledger says, and no more.

    States are compared at the last version of each run, and at ``versions``.
    """
    for view in VIEWS:
        expected = [row for home in homes for row in home.answers(f"from {view} where run <> 'ledger'")]
        found = [_unnamed(row, homes) for row in answers(shared, f"from {view}")]
        assert sorted(found) == sorted(expected), view
    for home in homes:
        for part in home.parts():
            for v in {*versions, len(part.events)}:
                for macro in ("state_at", "accepted_at", "gate_status_at"):
                    expected = home.answers(f"from {macro}('{part.run}', {v})")
                    found = answers(shared, f"from {macro}('{part.key}', {v})")
                    assert [_unnamed(row, homes) for row in found] == expected, (macro, part.key, v)


def _unnamed(row: str, homes: Sequence[Home]) -> str:
    for home in homes:
        row = row.replace(f"{home.home[:HOME_DIGITS]}/", "")
    return row
