"""The registry of ``queries/``: every question and the columns that its header promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ledger.query.answers import execute

QUERIES = Path(__file__).resolve().parents[3] / "queries"

COLUMNS = {
    "activity": "week runs started finished patches refused rollbacks measured errors commits",
    "actors": "actor_kind actor_name sessions runs events applied drift refused added removed first_at last_at",
    "between_greens": "run green before path patches added removed events sources",
    "biggest": "event recorded_at cause source files added removed size_bytes top_path",
    "churn": "path patches added removed runs last_at",
    "coverage": "run state gate measured_by recorded_at percent change covered statements worst_path",
    "culprits": "run test outcome failed_by passed_by patches sources",
    "drift": "actor_kind actor_name patches drift drift_share lines drift_lines line_share last_drift",
    "failing_files": "gate path findings measured rules top_rule newest stale",
    "file_history": "event recorded_at kind actor operation path old_path added removed source rolled_back_by",
    "flaky": "run gate test state measured passed pass_rate newest",
    "gate_cost": "gate measured total_s share median_s longest_s longest repeated repeated_s inconclusive_s",
    "inconclusive": "gate reason measured runs first_at last_at newest mended",
    "pass_rate": "gate week measured passed failed inconclusive pass_rate runs",
    "pauses": "run events median_s longest_s waited_for kind",
    "phase_times": "phase runs visits total_s median_s longest_s longest_run share patches",
    "phases": "run phase visits spent_s share patches refused measured failed rollbacks",
    "recurring": "run question step errors first_at last_at every_s open again_after runs",
    "red": "run gate mode verdict stale since since_at measured last_pass newest reasons",
    "refused": "event recorded_at actor source error size_bytes applied_as",
    "rejected": "run actor applied refused rolled_back lost lost_lines lost_share",
    "risky_files": "path patches failed fail_rate gates newest",
    "rolled_back": "run patch source rolled_back_by recorded_at failed came_back_as stands",
    "runs": "run title state started_at duration_s patches drift refused files added removed",
    "sizes": "below patches applied refused rolled_back refused_rate rolled_back_rate",
    "slow_tests": "run gate test newest_s first_s change_s median_s measured share newest",
    "stale": "run gate mode verdict measured_by state recorded_at patches rollbacks",
    "time_to_fix": "run gate ticket opened_by closed_by fixed_by opened_at took_s attempts patches",
    "time_to_green": "run state made_at accepted_by took_s measured failed live",
    "weakened": "run event recorded_at actor how what profile undone_by",
    "would_accept": "run state profile accepts accepted passing strict lacking rolled_back",
}


def ask(connection: Any, name: str, **parameters: object) -> list[dict[str, Any]]:
    """Return the rows of a question, each by column, and check the columns that its header promises."""
    execute(connection, (QUERIES / f"{name}.sql").read_text("utf-8"), parameters)
    columns = [column[0] for column in connection.description]
    assert columns == COLUMNS[name].split()
    return [dict(zip(columns, row, strict=True)) for row in connection.fetchall()]
