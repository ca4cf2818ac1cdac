"""What a reader must answer about an old ledger: facts alone, in a shape that outlives the code."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any, TypeAlias

from ledger.api import Ledger
from ledger.errors import LedgerError

Answers: TypeAlias = dict[str, Any]

QUERIES = {
    "runs": "select run, title, events, patches, refused, candidate_tree, accepted_tree, phase, profile from runs order by run",
    "patches": "select run, v, outcome, cause, files, added, removed from patches order by run, v",
    "files": "select run, v, operation, path, old_path from patch_files order by all",
    "gates": "select run, v, gate, tree, verdict from gates order by run, v",
    "findings": "select run, v, rule, path, line from findings order by all",
    "tests": "select run, v, name, outcome from tests order by all",
    "tickets": "select run, gate, open, opened_by, closed_by from tickets order by all",
    "kinds": "select kind, count(*) from columns.event group by kind order by kind",
}
"""What is asked in SQL: columns by name, so that new ones change no answer."""


def read_answers(ledger: Ledger) -> Answers:
    """Ask a ledger everything that has to stay as it was."""
    runs = sorted(head.run for head in ledger.runs())
    return {
        "events": [[frame.s, frame.h, json.loads(bytes(frame.e))] for frame in ledger.store.frames()],
        "states": {run: _at_each_version(ledger, run, lambda at: _state(ledger, at)) for run in runs},
        "accepted": {run: _at_each_version(ledger, run, lambda at: _accepted(ledger, at)) for run in runs},
        "replay": {run: _replay(ledger, run) for run in runs},
        "verify": [
            [finding.outcome, finding.subject]
            for finding in ledger.verify()
            if finding.subject != "checkpoint"
        ],
        "sql": {name: _rows(ledger, query) for name, query in QUERIES.items()},
        "current": ledger.resolve("@")[0],
        "open": sorted(head.run for head in ledger.runs() if head.open),
    }


def _at_each_version(ledger: Ledger, run: str, ask: Callable[[str], Any]) -> list[Any]:
    return [ask(f"{run}:{v}") for v in range(1, ledger.store.heads()[run].v + 1)]


def _state(ledger: Ledger, reference: str) -> Any:
    state = ledger.state(reference)
    listed = "".join(
        f"{entry.mode:o} {entry.oid.hex()} {path!r}\n" for path, entry in sorted(state.files.items())
    )
    return [state.recorded_tree, len(state.files), sha256(listed.encode()).hexdigest()]


def _accepted(ledger: Ledger, reference: str) -> Any:
    history = ledger.history(reference)
    return [list(history.accepted), [list(at) for at in history.live], sorted(history.tickets), history.phase]


def _replay(ledger: Ledger, run: str) -> Any:
    try:
        return [[step.event, step.tree] for step in ledger.replay(run)]
    except LedgerError as error:
        return type(error).__name__


def _rows(ledger: Ledger, query: str) -> Any:
    return json.loads(json.dumps(ledger.sql(query).fetchall(), default=str))
