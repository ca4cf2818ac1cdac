"""Nox: sessions, whose ``result_code`` is 1 for success and 0 for failure."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

from ledger.gates.reports.source import Count, Source
from ledger.measurements import Finding, Report

_SUCCESS, _SKIPPED = 1, 2


class _Session(Struct):
    name: str
    result: str
    result_code: int
    reason: str | None = None
    signatures: list[str] = []


class _Nox(Struct):
    result: Count
    sessions: list[_Session]


def parse_nox(source: Source) -> Report:
    """Return the report of ``nox --report FILE``: ``failed``, ``skipped`` and ``passed`` sessions.

    A session that was skipped (its interpreter is missing, say) ran nothing: nox calls that a success.
    """
    result = source.json(_Nox)
    counts = Counter(session.result_code for session in result.sessions)
    failed = [each for each in result.sessions if each.result_code not in {_SUCCESS, _SKIPPED}]
    problems: tuple[str, ...] = ()
    if result.result == 0 and not failed:
        problems = ("nox says that it failed, but names no session that did",)
    return Report(
        metrics={
            "failed": float(len(failed)),
            "skipped": float(counts[_SKIPPED]),
            "passed": float(counts[_SUCCESS]),
        },
        examined=len(result.sessions) - counts[_SKIPPED],
        unit="sessions",
        findings=tuple(_finding(session) for session in failed),
        problems=problems,
    )


def _finding(session: _Session) -> Finding:
    name = session.signatures[-1] if session.signatures else session.name
    return Finding(
        rule=name, message=f"{session.result}: {session.reason}" if session.reason else session.result
    )
