"""The registry of ``queries/``: every question and the columns that its header promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ledger.query.answers import execute

QUERIES = Path(__file__).resolve().parents[3] / "queries"

COLUMNS = {
    "actors": (
        "actor_kind actor_name sessions runs events applied drift refused added removed first_at last_at"
    ),
    "biggest": "event recorded_at cause source files added removed size_bytes top_path",
    "churn": "path patches added removed runs last_at",
    "coverage": "run state gate measured_by recorded_at percent change covered statements worst_path",
    "culprits": "run test outcome failed_by passed_by patches sources",
    "flaky": "run gate test state measured passed pass_rate newest",
    "pauses": "run events median_s longest_s waited_for kind",
    "phases": "run phase visits spent_s share patches refused measured failed rollbacks",
    "red": "run gate mode verdict stale since since_at measured last_pass newest reasons",
    "refused": "event recorded_at actor source error size_bytes applied_as",
    "rolled_back": "run patch source rolled_back_by recorded_at failed came_back_as stands",
    "runs": "run title state started_at duration_s patches drift refused files added removed",
    "slow_tests": "run gate test newest_s first_s change_s median_s measured share newest",
    "stale": "run gate mode verdict measured_by state recorded_at patches rollbacks",
    "time_to_fix": "run gate ticket opened_by closed_by fixed_by opened_at took_s attempts patches",
    "weakened": "run event recorded_at actor how what profile undone_by",
    "would_accept": "run state profile accepts accepted passing strict lacking rolled_back",
}


def ask(connection: Any, name: str, **parameters: object) -> list[dict[str, Any]]:
    """Return the rows of a question, each by column, and check the columns that its header promises."""
    execute(connection, (QUERIES / f"{name}.sql").read_text("utf-8"), parameters)
    columns = [column[0] for column in connection.description]
    assert columns == COLUMNS[name].split()
    return [dict(zip(columns, row, strict=True)) for row in connection.fetchall()]
