"""A real PostgreSQL, and clones whose ledgers share it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from ledger.api import Ledger

BASE = {
    "a.txt": b"one\ntwo\nthree\n",
    "d/b.txt": b"bee\n",
    "ledger.toml": b"profile = 'strict'\n[profiles.strict.gates.ok]\nmode = 'strict'\n"
    b"command = '''grep -q good a.txt'''\nformat = 'exit'\n"
    b"[profiles.strict.gates]\nlint.mode = 'off'\ntests.mode = 'off'\ncov.mode = 'off'\n",
}
DEAD = "postgresql://nobody@127.0.0.1:9/nothing"
"""Nobody listens there."""


class Clones:
    """Clones of one repository, and the database that their ledgers share."""

    def __init__(self, folder: Path, git: Callable[..., str], repo: Path, url: str, owner: str) -> None:
        self.git, self.url, self.hub, self._folder, self._owner = git, url, folder / "hub.git", folder, owner
        git("clone", "--quiet", "--bare", repo, self.hub)

    def clone(self, name: str, url: str = "") -> Path:
        root = self._folder / name
        self.git("clone", "--quiet", self.hub, root)
        with Ledger.open(root) as ledger:
            ledger.set_store(url or self.url)
        return root

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Ask the database itself."""
        with psycopg.connect(self._owner) as connection:
            return connection.execute(query.encode()).fetchall()

    def stored(self) -> dict[tuple[str, str], list[bytes]]:
        """Return the bytes of every event there, by home and run."""
        found: dict[tuple[str, str], list[bytes]] = {}
        query = "select home, run, stored from ledger.events join ledger.runs using (run_key) order by run_key, events.v"
        for home, run, data in self.rows(query):
            found.setdefault((str(home), str(run)), []).append(bytes(data))  # pyright: ignore[reportArgumentType]
        return found

    def bodies(self) -> dict[str, bytes]:
        rows = self.rows("select digest, data from ledger.bodies")
        return {bytes(digest).hex(): bytes(data) for digest, data in rows}  # pyright: ignore[reportArgumentType]


@pytest.fixture
def clones(tmp_path, git, make_repo, shared_urls) -> Clones:
    return Clones(tmp_path, git, make_repo(BASE), shared_urls.both, shared_urls.owner)


_texts = itertools.count()


def work(root: Path, run: str, *, patches: int = 1) -> None:
    """Record some edits in a run that is begun where it is not there."""
    with Ledger.open(root) as ledger:
        if run not in {head.run for head in (ledger.runs() if ledger.path.exists() else [])}:
            ledger.run(f"work on {run}", name=run)
        for _ in range(patches):
            (root / "a.txt").write_bytes(b"good %d\n" % next(_texts))
            ledger.record(note=f"note {next(_texts)}")


def own_events(root: Path) -> dict[str, list[bytes]]:
    """Return the stored bytes of the events of a ledger's own runs, read line by line."""
    import json

    found: dict[str, list[bytes]] = {}
    imported: set[str] = set()
    for segment in sorted((root / ".git/ledger/log").glob("*.jsonl")):
        for line in segment.read_bytes().splitlines():
            event = line[line.index(b',"e":') + 5 : -1]
            fields = json.loads(event)
            found.setdefault(fields["run"], []).append(event)
            if fields["kind"] == "run.imported/1":
                imported.add(fields["of"])
    return {run: events for run, events in found.items() if run not in imported}
