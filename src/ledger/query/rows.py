"""Rows: frames of the log to the typed rows of the cache's tables. Pure: nothing is read or written.

Rows travel to DuckDB as one JSON document a table, which it turns into columns itself; a
parameterised INSERT a row would take milliseconds each. Object ids travel as hexadecimal and
become 20-byte blobs; paths travel as indexes into `Rows.paths`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from ledger.events import (
    AnyEvent,
    GateMeasured,
    PatchApplied,
    PatchRefused,
    PatchRolledBack,
    PolicySet,
    RunRebased,
    RunStarted,
    TreeEvent,
    parse_event,
    parse_fields,
    tree_after,
)
from ledger.filerecords import changes_paths, parse_path
from ledger.frames import Frame
from ledger.measurements import Report
from ledger.query.tables import TABLES, Table
from ledger.state import parse_listing
from patches.errors import show_path
from patches.model import Entry

Row: TypeAlias = list[object]

_COMMON = ("kind", "id", "run", "v", "prev", "at_ns", "actor", "files")


class Rows:
    """The rows of some consecutive frames."""

    def __init__(self) -> None:
        self.tables: dict[str, list[Row]] = {table.name: [] for table in TABLES}
        self.paths: dict[bytes, int] = {}
        self.base_trees: dict[str, str] = {}
        """Base tree → digest of its listing, for every run that starts in these frames."""
        self.reports: list[tuple[str, int, str]] = []
        """Run, version and digest of every report that these frames name."""

    def __len__(self) -> int:
        return sum(map(len, self.tables.values()))

    def add_frame(self, frame: Frame) -> None:
        """Add the rows of one frame, its base listing excepted."""
        event = frame.event
        self.tables["event"].append(_event_row(frame, event))
        if isinstance(event, TreeEvent):
            self._add_state(event)
        match event:
            case PatchApplied():
                self._add_applied(event)
            case PatchRolledBack() | RunRebased():
                self._add_files("turn_file", event)
            case PatchRefused():
                row: Row = [event.run, event.v, "refused", "diff", event.base_tree, None]
                row += [event.patch, event.patch_size_bytes, event.source, event.error]
                self.tables["patch"].append(row)
            case PolicySet():
                self._add_policy(event)
            case GateMeasured():
                self._add_measured(event)
            case _:
                pass

    def add_policy(self, stored: bytes) -> None:
        """Add the rules of a stored ``policy.set``."""
        event = parse_event(stored)
        assert isinstance(event, PolicySet)
        self._add_policy(event)

    def add_report(self, run: str, v: int, report: Report) -> None:
        """Add what a report of a measurement lists."""
        for ordinal, found in enumerate(report.findings, start=1):
            row: Row = [run, v, ordinal, found.rule, found.path, found.line, found.column]
            self.tables["finding"].append([*row, found.message, found.severity])
        for test in report.tests:
            self.tables["test"].append([run, v, test.name, test.outcome, test.duration_s])
        for file in report.files:
            row = [run, v, file.path, file.statements, file.covered_statements]
            self.tables["covered"].append([*row, file.branches, file.covered_branches])

    def add_listing(self, tree: str, listing: bytes) -> None:
        """Add the files of a base tree."""
        rows = self.tables["base_file"]
        for path, entry in parse_listing(listing).items():
            rows.append([tree, self._path(path), entry.mode, entry.oid.hex()])

    def _add_applied(self, event: PatchApplied) -> None:
        row: Row = [event.run, event.v, "applied", event.cause, event.base_tree, event.result_tree]
        row += [event.patch, event.patch_size_bytes, event.source, None]
        self.tables["patch"].append(row)
        self._add_files("file_change", event)

    def _add_files(self, table: str, event: PatchApplied | PatchRolledBack | RunRebased) -> None:
        for ordinal, file in enumerate(event.files, start=1):
            old_path = None if file.old_path is None else self._path(parse_path(file.old_path))
            row: Row = [event.run, event.v, ordinal, self._path(parse_path(file.path)), old_path]
            row += [file.operation, *_columns(file.old), *_columns(file.new), file.added, file.removed]
            self.tables[table].append(row)

    def _add_state(self, event: TreeEvent) -> None:
        kind = event.kind.partition("/")[0]
        to_v = event.to_v if isinstance(event, PatchRolledBack) else None
        self.tables["state"].append([event.run, event.v, kind, tree_after(event), to_v])
        if isinstance(event, RunStarted):
            self.base_trees[event.base_tree] = event.listing
            return
        for path, entry in changes_paths(event.files).items():
            self.tables["path_change"].append([event.run, event.v, self._path(path), *_columns(entry)])

    def _add_policy(self, event: PolicySet) -> None:
        for profile, policy in event.profiles.items():
            for gate, rule in policy.gates.items():
                command = " && ".join(" ".join(step.command) for step in rule.steps)
                row: Row = [event.run, event.v, profile, profile == event.profile, gate, rule.mode]
                row += [rule.definition, command, rule.metric, rule.better, rule.threshold]
                row += [rule.min_examined, rule.baseline, rule.allow_fewer, rule.allow_flaky]
                self.tables["rule"].append([*row, rule.timeout_s, rule.reason])

    def _add_measured(self, event: GateMeasured) -> None:
        command = " && ".join(" ".join(command) for command in event.commands)
        row: Row = [event.run, event.v, event.gate, event.tree, event.state_v, event.definition]
        row += [event.environment, command, event.place, _json(event.exit_codes), event.started_at_ns]
        row += [event.duration_ns, event.examined, event.unit, _json(event.problems)]
        row += [event.baseline.get("examined"), event.baseline_v, event.verdict, _json(event.reasons)]
        self.tables["measurement"].append([*row, event.profile, event.report, event.output])
        for name, value in event.metrics.items():
            row = [event.run, event.v, name, value, event.baseline.get(name)]
            self.tables["metric"].append(row)
        if event.report is not None:
            self.reports.append((event.run, event.v, event.report))

    def _path(self, path: bytes) -> int:
        return self.paths.setdefault(path, len(self.paths))

    def document(self, table: Table) -> str:
        """Return a table's rows as the JSON that `Table.columns` describes."""
        names = list(table.columns)
        rows = [dict(zip(names, row, strict=True)) for row in self.tables[table.name]]
        return msgspec.json.encode(rows).decode("utf-8")

    def path_document(self) -> str:
        """Return the paths as JSON: index, text for people, bytes in hexadecimal."""
        rows = [
            {"local": index, "path": show_path(path), "raw": path.hex()} for path, index in self.paths.items()
        ]
        return msgspec.json.encode(rows).decode("utf-8")


def rows_of(frames: Iterable[Frame]) -> Rows:
    """Return the rows of consecutive frames."""
    rows = Rows()
    for frame in frames:
        rows.add_frame(frame)
    return rows


def _event_row(frame: Frame, event: AnyEvent) -> Row:
    kind, _, version = event.kind.rpartition("/")
    fields = parse_fields(frame.e)
    data = {name: value for name, value in fields.items() if name not in _COMMON}
    actor = event.actor
    row: Row = [frame.s, event.run, event.v, event.id, kind, int(version), event.at_ns]
    return [*row, actor.kind, actor.name, actor.session, frame.h, data]


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode("utf-8")


def _columns(entry: Entry | None) -> Row:
    return [None, None] if entry is None else [entry.mode, entry.oid.hex()]
