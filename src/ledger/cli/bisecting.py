"""The command `bisect`: which patch let a gate fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ledger.cli.failures import INCONCLUSIVE
from ledger.cli.gating import LiveProgress
from ledger.cli.output import count_of, format_options, write_record, write_rows
from ledger.cli.session import open_ledger, say
from ledger.moments import show_moment

if TYPE_CHECKING:
    from ledger.operations.culprits import Bisected, Evidence


@click.command()
@click.option("--gate", required=True, metavar="NAME", help="The gate, of the policy in force.")
@click.option("--good", default="", metavar="EVENT", help="Where it passes; by default the newest known.")
@click.option("--bad", default="@", metavar="EVENT", help="Where it fails.", show_default=True)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, 16),
    default=2,
    help="States measured at a time.",
    show_default=True,
)
@format_options
def bisect(gate: str, good: str, bad: str, jobs: int, style: str) -> None:
    """Find the first live state on which a gate fails, and show its patch, its actor and the evidence.

    What is recorded counts first, by the policy in force. Only what is missing is measured, each state in a
    temporary work tree, and recorded: to ask again costs nothing. A state on which the gate is flaky, or
    could not be measured, is passed over; where the first failure cannot be told from such ones, all that
    it may be are listed, and the command exits with 4. It exits with 2 where the good state fails, or the
    bad one passes.

    \b
    ledger bisect --gate tests
    ledger bisect --gate lint --good green --bad @-3
    """  # noqa: D301 - click reads the backspace
    ledger, progress = open_ledger(), LiveProgress()
    try:
        found = ledger.bisect(gate, good=good, bad=bad, progress=progress, jobs=jobs)
    finally:
        progress.clear()
    _write(found, style)
    _say(found)
    if not found.found:
        click.get_current_context().exit(INCONCLUSIVE.code)


_COLUMNS = ("what", "event", "gate", "found", "measured", "source", "phase", "actor", "at")


def _write(found: Bisected, style: str) -> None:
    if style in ("json", "jsonl"):
        import msgspec

        write_record({"found": found.found, **msgspec.to_builtins(found)}, style)
        return
    suspects = [("may be", each) for each in found.suspects]
    bad = "first bad" if found.found else "may be"
    rows = [_row(what, each) for what, each in (("last good", found.good), *suspects, (bad, found.bad))]
    write_rows(_COLUMNS, rows, style)


def _row(what: str, at: Evidence) -> tuple[object, ...]:
    moment = show_moment(at.at_ns)
    return (what, at.event, at.outcome, at.summary, at.measured, at.source, at.phase, at.actor, moment)


def _say(found: Bisected) -> None:
    """Say what the evidence is."""
    for each in (*found.suspects, found.bad):
        for line in (*each.reasons, *each.findings):
            say(f"{each.event}: {line}")
    good, bad = found.good, found.bad
    tools = [(name, good.tools.get(name, "none"), version) for name, version in bad.tools.items()]
    changed = [f"{name} {old} → {new}" for name, old, new in tools if old != new]
    if changed:
        say(f"note: the two were measured with other tools: {', '.join(changed)}")
    if found.passes_again:
        say(f"note: {found.gate} passes again at {', '.join(found.passes_again)}")
    made = count_of(len(found.measured), "measurement")
    known = f"{found.recorded} of the trees were known before"
    say(f"{count_of(found.states, 'state')}, {made}; {known}")
    if not found.found:
        count = len(found.suspects) + 1
        say(f"the first failure is one of {count} states: {len(found.suspects)} could not be told")
        return
    say(f"{found.gate} fails from {bad.event} on: `ledger show {bad.event}` has the patch")
    say(f"hint: `ledger show {bad.measured}` has the whole output")
