"""Tables: the typed columns that the cache keeps of the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Table(NamedTuple):
    """A table's columns: name → (type in the JSON, SQL expression that makes the stored value)."""

    name: str
    columns: Mapping[str, tuple[str, str]]


def _plain(kind: str, *names: str) -> dict[str, tuple[str, str]]:
    return {name: (kind, name) for name in names}


def _oids(*names: str) -> dict[str, tuple[str, str]]:
    return {name: ("VARCHAR", f"unhex({name})") for name in names}


EVENT = Table(
    "event",
    _plain("BIGINT", "position")
    | _plain("VARCHAR", "run")
    | _plain("INTEGER", "v")
    | _plain("UUID", "id")
    | _plain("VARCHAR", "kind")
    | _plain("INTEGER", "kind_version")
    | _plain("BIGINT", "at_ns")
    | _plain("VARCHAR", "actor_kind", "actor_name", "actor_session")
    | _oids("hash")
    | _plain("JSON", "data"),
)
PATCH = Table(
    "patch",
    _plain("VARCHAR", "run")
    | _plain("INTEGER", "v")
    | _plain("VARCHAR", "outcome", "cause")
    | _oids("base_tree", "result_tree", "body")
    | _plain("BIGINT", "size_bytes")
    | _plain("VARCHAR", "source", "error"),
)
FILE_CHANGE = Table(
    "file_change",
    _plain("VARCHAR", "run")
    | _plain("INTEGER", "v", "ordinal", "path_id", "old_path_id")
    | _plain("VARCHAR", "operation")
    | _plain("INTEGER", "old_mode")
    | _oids("old_oid")
    | _plain("INTEGER", "mode")
    | _oids("oid")
    | _plain("INTEGER", "added", "removed"),
)
TURN_FILE = Table("turn_file", FILE_CHANGE.columns)
"""What rollbacks and rebases did to each path, as `FILE_CHANGE` has it of patches."""
PATH_CHANGE = Table(
    "path_change",
    _plain("VARCHAR", "run") | _plain("INTEGER", "v", "path_id", "mode") | _oids("oid"),
)
STATE = Table(
    "state",
    _plain("VARCHAR", "run")
    | _plain("INTEGER", "v")
    | _plain("VARCHAR", "kind")
    | _oids("tree")
    | _plain("INTEGER", "to_v"),
)
RULE = Table(
    "rule",
    _plain("VARCHAR", "run")
    | _plain("INTEGER", "v")
    | _plain("VARCHAR", "profile")
    | _plain("BOOLEAN", "in_force")
    | _plain("VARCHAR", "gate", "mode", "definition", "command", "metric", "better")
    | _plain("DOUBLE", "threshold")
    | _plain("BIGINT", "min_examined")
    | _plain("BOOLEAN", "baseline", "allow_fewer", "allow_flaky")
    | _plain("DOUBLE", "timeout_s")
    | _plain("VARCHAR", "reason"),
)
MEASUREMENT = Table(
    "measurement",
    _plain("VARCHAR", "run")
    | _plain("INTEGER", "v")
    | _plain("VARCHAR", "gate")
    | _oids("tree")
    | _plain("INTEGER", "state_v")
    | _plain("VARCHAR", "definition", "environment", "command", "place", "exit_codes")
    | _plain("BIGINT", "started_at_ns", "duration_ns", "examined")
    | _plain("VARCHAR", "unit", "problems")
    | _plain("DOUBLE", "baseline_examined")
    | _plain("INTEGER", "baseline_v")
    | _plain("VARCHAR", "verdict", "reasons", "profile")
    | _oids("report", "output"),
)
METRIC = Table(
    "metric",
    _plain("VARCHAR", "run")
    | _plain("INTEGER", "v")
    | _plain("VARCHAR", "name")
    | _plain("DOUBLE", "value", "baseline"),
)
FINDING = Table(
    "finding",
    _plain("VARCHAR", "run")
    | _plain("INTEGER", "v", "ordinal")
    | _plain("VARCHAR", "rule", "path")
    | _plain("INTEGER", "line", "col")
    | _plain("VARCHAR", "message", "severity"),
)
TEST = Table(
    "test",
    _plain("VARCHAR", "run")
    | _plain("INTEGER", "v")
    | _plain("VARCHAR", "name", "outcome")
    | _plain("DOUBLE", "duration_s"),
)
COVERED = Table(
    "covered",
    _plain("VARCHAR", "run")
    | _plain("INTEGER", "v")
    | _plain("VARCHAR", "path")
    | _plain("INTEGER", "statements", "covered_statements", "branches", "covered_branches"),
)
BASE_FILE = Table(
    "base_file",
    _oids("tree") | _plain("INTEGER", "path_id", "mode") | _oids("oid"),
)
TABLES = (
    EVENT,
    STATE,
    PATCH,
    FILE_CHANGE,
    TURN_FILE,
    PATH_CHANGE,
    BASE_FILE,
    RULE,
    MEASUREMENT,
    METRIC,
    FINDING,
    TEST,
    COVERED,
)
PATH_COLUMNS = ("path_id", "old_path_id")
