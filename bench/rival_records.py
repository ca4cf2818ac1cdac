"""One package's record, for `bench/rivals.py`: append to it, drop its last record, ask whether it is whole.

    python bench/rival_records.py PACKAGE PATH append WRITER COUNT | rate SECONDS | drop | verify

Runs in an environment that has the package, and imports nothing else that is not in Python itself.
"""

from __future__ import annotations

import importlib
import json
import os
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any, Protocol

FIELDS: dict[str, Any] = {
    "cause": "diff",
    "base_tree": f"{1:040x}",
    "result_tree": f"{2:040x}",
    "patch": f"{3:064x}",
    "patch_size_bytes": 900,
    "files": [{"path": "src/package/module.py", "operation": "modify", "oid": f"{4:040x}", "added": 3}],
}


class Record(Protocol):
    """What is done with a package's record."""

    def __init__(self, path: Path) -> None: ...
    def append(self, writer: str, number: int) -> None: ...
    def drop(self) -> None: ...
    def verify(self) -> tuple[bool, int]: ...


class Lines:
    """A record in a file of lines."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def drop(self) -> None:
        lines = self.path.read_bytes().splitlines(keepends=True)
        self.path.write_bytes(b"".join(lines[:-1]))

    def count(self) -> int:
        return len(self.path.read_bytes().splitlines())


class OurLedger(Lines):
    def __init__(self, path: Path) -> None:
        bench = importlib.import_module("sample_events")
        self._sample = bench.sample_event
        self._store = bench.LocalStore.open(path, bench.STAMP, create=True)
        super().__init__(path / "log" / f"{1:020d}.jsonl")

    def append(self, writer: str, number: int) -> None:
        self._store.append([self._sample(writer, number)])

    def verify(self) -> tuple[bool, int]:
        from ledger.errors import DamagedLedger

        try:
            return True, sum(1 for _ in self._store.frames())
        except DamagedLedger:
            return False, self.count()


class EventSourcing:
    """The event store of the package over SQLite; it keeps no chain, so only its own gaps could tell."""

    def __init__(self, path: Path) -> None:
        self._path = path
        os.environ |= {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(path)}
        os.environ["SQLITE_LOCK_TIMEOUT"] = "60"
        domain = importlib.import_module("eventsourcing.domain")
        application = importlib.import_module("eventsourcing.application")

        class Run(domain.Aggregate):
            @domain.event("Applied")
            def apply(self, fields: str) -> None:
                self.last = fields

        self._app = application.Application()
        self._run = Run()

    def append(self, writer: str, number: int) -> None:
        self._run.apply(json.dumps(FIELDS | {"writer": writer, "number": number}))
        self._app.save(self._run)

    def drop(self) -> None:
        with sqlite3.connect(self._path) as connection:
            query = "delete from stored_events where rowid = (select max(rowid) from stored_events)"
            connection.execute(query)

    def verify(self) -> tuple[bool, int]:
        found = self._app.recorder.select_notifications(1, 1_000_000)
        # Each writer's aggregate begins with an event of its own.
        begun = sum("Run.Created" in each.topic for each in found)
        return [each.id for each in found] == list(range(1, len(found) + 1)), len(found) - begun


class Argus(Lines):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._ledger = importlib.import_module("argus_ledger").AppendOnlyLedger(str(path))

    def append(self, writer: str, number: int) -> None:
        self._ledger.append("patch.applied", writer, FIELDS | {"number": number})

    def verify(self) -> tuple[bool, int]:
        return self._ledger.verify_chain().valid, self.count()


class Arkhive:
    def __init__(self, path: Path) -> None:
        os.environ["ARKHIVE_DB"] = str(path)
        self._module = importlib.import_module("arkhive")
        self._path = path
        with sqlite3.connect(path, timeout=60) as connection:
            tables = connection.execute("select count(*) from sqlite_master").fetchone()[0]
        self._soul = "bench-ri-001"
        if not tables:
            self._soul = self._module.birth("bench", {})["soul_id"]

    def append(self, writer: str, number: int) -> None:
        self._module.remember(self._soul, "patch.applied", FIELDS | {"writer": writer, "number": number})

    def drop(self) -> None:
        with sqlite3.connect(self._path) as connection:
            connection.execute("delete from blocks where idx = (select max(idx) from blocks)")

    def verify(self) -> tuple[bool, int]:
        found = self._module.verify()
        return found["tamper_evident"], found["blocks"]


class Halo(Lines):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._module = importlib.import_module("halo_record")
        self._recorder = self._module.Recorder(str(path))

    def append(self, writer: str, number: int) -> None:
        fields = FIELDS | {"number": number}
        self._recorder.append(self._module.build("tool_call", "security", tool=writer, tool_input=fields))

    def verify(self) -> tuple[bool, int]:
        return self._module.verify_log(str(self.path), out=lambda _: None), self.count()


class AgentProof(Lines):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._chain = importlib.import_module("agentproof.core").ProofChain(path)

    def append(self, writer: str, number: int) -> None:
        self._chain.sign_event("patch.applied", FIELDS | {"writer": writer, "number": number})

    def verify(self) -> tuple[bool, int]:
        return self._chain.verify()[0], self.count()


RECORDS: dict[str, type[Record]] = {
    "ledger": OurLedger,
    "eventsourcing": EventSourcing,
    "argus-ledger": Argus,
    "arkhive-ledger": Arkhive,
    "halo-record": Halo,
    "agentproofchain": AgentProof,
}


def rate(record: Record, seconds: float) -> float:
    record.append("w", 0)
    began, count = time.perf_counter(), 0
    while time.perf_counter() < began + seconds:
        count += 1
        record.append("w", count)
    return count / (time.perf_counter() - began)


def main() -> int:
    name, path, action, *words = sys.argv[1:]
    record = RECORDS[name](Path(path))
    if action == "append":
        for number in range(int(words[1])):
            record.append(words[0], number)
    elif action == "rate":
        print(f"{rate(record, float(words[0])):,.0f}")
    elif action == "drop":
        record.drop()
    else:
        whole, count = record.verify()
        print("whole" if whole else "broken", count)
    return 0


if __name__ == "__main__":
    sys.exit(main())
