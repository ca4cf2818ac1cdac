"""Prints where a repository stands in the runbook: its gates, and the checklist before it is final.

    python tools/runbook.py [DIR]

Nothing is changed and nothing is measured: `ledger status`, `ledger policy show` and `ledger sql` are asked.
Each line says what is known of the candidate now, by which event, and the command for what is missing. Exits
with 1 where a strict gate fails, else with 4 where one was inconclusive or not measured on the candidate,
else with 0.

See: docs/ops/RUNBOOK.md
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

LEDGER = Path(sys.executable).with_name("ledger")
DONE, REJECTED, INCONCLUSIVE = 0, 1, 4
OPTIONAL = "types"
COLUMN_SIZE = 72

# Each gate of the policy in force with its newest measurement on the candidate's tree, or else on any; judged
# by the policy now, whatever it was then.
STANDING = """
select p.gate, m.event, m.state, m.stale, m.flaky and not p.allow_flaky as flaky, m.reasons, j.verdict
from policies as p
left join (
    select distinct on (gate) * from gates where run = '{run}' order by gate, stale, v desc
) as m on m.gate = p.gate
left join columns.judged as j on j.run = p.run and j.v = m.v and j.regime = '' and j.from_v = p.v
where p.run = '{run}' and p.in_force and p.v = (select max(v) from policies where run = '{run}')
"""
CHECKS = """
select rule, pattern, holds, event, tree <> '{tree}' as stale
from checks
where run = '{run}'
qualify v = max(v) over (partition by rule, pattern)
order by rule, pattern
"""


class LedgerFailed(Exception):
    """`ledger` ended with another code than 0; it has said why."""

    def __init__(self, code: int) -> None:
        """Keep the exit code."""
        super().__init__(f"ledger ended with {code}")
        self.code = code


class Line(NamedTuple):
    """One line of the list: its mark, what it is about, what is known, by which event, and what to do."""

    mark: str
    what: str
    found: str
    event: str = ""
    command: str = ""
    strict: bool = False


def ask(directory: str, *arguments: str, query: str = "") -> Any:
    """Return what a ``ledger`` command prints as JSON; ``query`` is its standard input.

    Raises:
        LedgerFailed: it failed, and has said why on standard error.
    """
    command = [LEDGER, "-C", directory, *arguments, "--json"]
    done = subprocess.run(command, input=query.encode(), stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise LedgerFailed(done.returncode)
    return json.loads(done.stdout)


def gate_lines(rules: Iterable[dict[str, Any]], standing: dict[str, dict[str, Any]]) -> Iterator[Line]:
    """Yield a line for each gate of the profile in force."""
    for rule in rules:
        name, mode = rule["gate"], rule["mode"]
        what = f"{name} ({mode})" if mode != "off" or name != OPTIONAL else f"{name} (optional)"
        if mode == "off":
            yield Line("-", what, f"off: {rule['reason']}" if rule["reason"] else "off")
            continue
        known = standing.get(name, {})
        strict, event = mode == "strict", known.get("event") or ""
        if not event:
            yield Line("?", what, "not measured", "", f"ledger gate {name}", strict)
        elif known["stale"]:
            found = f"stale: {known['verdict']} at {known['state']}"
            yield Line("?", what, found, event, f"ledger gate {name}", strict)
        elif known["flaky"]:
            yield Line("x", what, "flaky", event, f"ledger gate {name} --again 20", strict)
        elif known["verdict"] == "pass":
            yield Line("ok", what, "pass", event, "", strict)
        else:
            mark = "x" if known["verdict"] == "fail" else "?"
            why = f": {known['reasons'][0]}" if known["reasons"] else ""
            yield Line(mark, what, known["verdict"] + why, event, f"ledger show {event}", strict)


def run_lines(status: dict[str, Any], checks: Iterable[dict[str, Any]]) -> Iterator[Line]:
    """Yield the lines that are about the run as a whole."""
    drift, tickets = status["drift"], status["tickets"]
    if drift:
        yield Line("x", "edits recorded", f"not recorded: {', '.join(drift[:3])}", "", "ledger record")
    else:
        yield Line("ok", "edits recorded", "the work tree is the candidate")
    if status["run"] is None:
        return
    accepted = status["accepted"] == status["candidate"]
    found = "yes" if accepted else f"no, {status['accepted_event'] or 'nothing'} is"
    yield Line("ok" if accepted else "x", "candidate accepted", found, "", "" if accepted else "ledger gate")
    if tickets:
        yield Line("x", "no open ticket", f"open: {', '.join(tickets)}", "", "ledger tickets")
    else:
        yield Line("ok", "no open ticket", "none")
    for check in checks:
        what, found = f"{check['rule']} {check['pattern']}", "holds" if check["holds"] else "does not hold"
        mark = "?" if check["stale"] else "ok" if check["holds"] else "x"
        yield Line(mark, what, f"stale: {found}" if check["stale"] else found, check["event"])
    if status["configuration"]:
        yield Line("x", "policy is the configuration", status["configuration"], "", "ledger policy diff")
    if status["head_moved"]:
        yield Line("x", "HEAD belongs to the run", "it has moved past it", "", "ledger run rebase")
    if status["pending"]:
        yield Line("x", "work tree follows the log", "a crash left it behind", "", "ledger record")


def shorten(text: str) -> str:
    """Return what fits into a column."""
    return text if len(text) <= COLUMN_SIZE else f"{text[: COLUMN_SIZE - 1]}…"


def print_lines(lines: Sequence[Line]) -> None:
    """Print lines in columns, the command last."""
    texts = [(line.mark, line.what, shorten(line.found), line.event) for line in lines]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for line, text in zip(lines, texts, strict=True):
        cells = [cell.ljust(width) for cell, width in zip(text, widths, strict=True)]
        print("  ".join(["", *cells, f"$ {line.command}" if line.command else ""]).rstrip())


def exit_code(gates: Iterable[Line]) -> int:
    """Return the code of the gravest strict verdict."""
    marks = {line.mark for line in gates if line.strict}
    return REJECTED if "x" in marks else INCONCLUSIVE if "?" in marks else DONE


def main(arguments: Sequence[str]) -> int:
    """Print the list.

    Returns:
        The exit code; that of ``ledger`` where it failed.
    """
    directory = arguments[0] if arguments else "."
    try:
        status = ask(directory, "status")
        rules = [rule for rule in ask(directory, "policy", "show") if rule["in_force"]]
        run, standing, checks = status["run"], {}, []
        if run is not None:
            rows = ask(directory, "sql", query=STANDING.format(run=run))
            standing = {row["gate"]: row for row in rows}
            checks = ask(directory, "sql", query=CHECKS.format(run=run, tree=status["candidate"]))
    except LedgerFailed as error:
        return error.code
    gates = list(gate_lines(rules, standing))
    if run is None:
        print(
            "no run is open: `ledger run start TITLE`, or the first patch, starts one; `ledger gate` measures"
        )
    else:
        print(f"run {run}, phase {status['phase'] or '(none)'}, profile {status['profile']}")
        print(f"candidate {status['candidate'][:12]}, last event {status['event']}")
    for heading, lines in (("gates", gates), ("before it is final", list(run_lines(status, checks)))):
        print(f"\n{heading}")
        print_lines(lines)
    for note in status["notes"]:
        print(f"note: {note}")
    if run is not None:
        print("\n`ledger phase P6` and `ledger run finish` finalize it, and name what is still missing")
    return exit_code(gates)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
