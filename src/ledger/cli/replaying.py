"""Commands that bring a state back, as it was or as another policy would have it: `state`, `replay`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ledger.cli.gating import LiveProgress
from ledger.cli.looking import at_option
from ledger.cli.output import count_of, format_options, write_rows
from ledger.cli.progress import time_left
from ledger.cli.session import open_reader, say

if TYPE_CHECKING:
    from ledger.counterfactual import Comparison, Standing, StateUnder
    from ledger.reading import LedgerReader
    from ledger.replay import Step

policy_option = click.option(
    "--policy",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What the policy of this configuration file would have accepted.",
)
profile_option = click.option(
    "--profile", default="", help="What this profile would have accepted: of FILE, or of the run's policy."
)


@click.command()
@at_option
@click.option("--candidate", is_flag=True, help="Every patch by then, accepted or not.")
@policy_option
@profile_option
@format_options
def state(event: str, candidate: bool, file: Path | None, profile: str, style: str) -> None:
    """List mode, oid and path of every file of the accepted state at an event.

    That is the newest state on which every strict gate had passed by then, or the run's base; with
    --candidate, the state with every patch. The files are folded from the log and checked against the
    tree that the event recorded.

    With --policy or --profile it is the state that those gates would have accepted, by what was measured:
    a changed threshold is judged from the recorded facts, a changed command is inconclusive.

    \b
    ledger state --at @-3
    ledger state --policy stricter.toml     and on stderr what each gate lacks
    """  # noqa: D301 - click reads the backspace
    from patches.errors import show_path

    if candidate and (file or profile):
        raise click.UsageError("--candidate is whatever the policy says; give one of them")
    ledger = open_reader()
    asked = ledger.compare_policy(event, policy=file, profile=profile) if file or profile else None
    if asked is not None:
        found = ledger.state(f"{asked.run}:{asked.accepts.v}")
    else:
        found = ledger.state(event) if candidate else ledger.accepted_state(event)
    rows = [
        (f"{entry.mode:06o}", entry.oid.hex(), show_path(path)) for path, entry in sorted(found.files.items())
    ]
    write_rows(("mode", "oid", "path"), rows, style)
    what = "candidate" if candidate else "accepted"
    if asked is not None:
        say(f"asked: {_name(asked)}, strict: {', '.join(asked.other.policy.strict) or 'no gate'}")
        what = "it accepts"
    say(f"{what} {found.run}:{found.v}, {count_of(len(rows), 'file')}, tree {found.recorded_tree}")
    if asked is not None:
        _say_difference(asked)
    elif not candidate:
        run, v = ledger.resolve(event)
        ahead = len(ledger.history(f"{run}:{v}").unaccepted)
        if ahead:
            say(f"the candidate is {count_of(ahead, 'state')} ahead: --candidate lists it")


def _name(asked: Comparison) -> str:
    return f"profile {asked.other.profile} of {asked.other.source}"


def _say_difference(asked: Comparison) -> None:
    """Say what was accepted in fact, and of the states that matter what each gate lacks."""
    same = asked.accepts == asked.accepted
    say("as was accepted in fact" if same else f"accepted in fact {asked.run}:{asked.accepted.v}")
    if not asked.other.policy.strict:
        say("no gate is strict there, so nothing is accepted but the base: `--profile NAME` asks for another")
        return
    for v in dict.fromkeys((asked.accepted.v, asked.candidate.v)):
        state = asked.state(v)
        what = "the candidate" if v == asked.candidate.v else "what was accepted"
        for standing in state.lacking if state.accepts_by is None else ():
            say(f"{what}, {asked.run}:{v}: {_lack(standing)}")


def _lack(standing: Standing) -> str:
    """Return what a gate lacks, in a line."""
    reasons = f": {'; '.join(standing.reasons)}" if standing.reasons else ""
    where = f" ({standing.measured})" if standing.measured else ""
    return f"{standing.gate}: {standing.outcome}{reasons}{where}"


@click.command()
@click.option("--until", "event", default="@", help="The event to stop after.", show_default=True)
@click.option("--from", "start", default="", metavar="EVENT", help="The event to begin at, not the base.")
@click.option("--into", type=click.Path(path_type=Path), help="Write the files there.")
@policy_option
@profile_option
@format_options
def replay(event: str, start: str, into: Path | None, file: Path | None, profile: str, style: str) -> None:
    """Rebuild a state from base and patches, each tree checked.

    With --from, the tree of that event is taken as it was recorded, and what came after it is replayed. With
    --into, the files are written to a new directory, byte for byte as Git stores them.

    With --policy or --profile it shows, instead of the steps, each state that was measured: of every gate the
    verdict then and under the other policy.

    \b
    ledger replay --until @-3 --into ../then
    ledger replay --policy stricter.toml
    """  # noqa: D301 - click reads the backspace
    ledger = open_reader()
    # Before the work: a file that is no configuration is said at once.
    asked = ledger.compare_policy(event, policy=file, profile=profile) if file or profile else None
    steps = _steps(ledger, event, start, into)
    if asked is None:
        columns = ("event", "kind", "files", "tree", "proved")
        rows = [(s.event, s.kind.partition("/")[0], s.files, s.tree, s.proved) for s in steps]
        write_rows(columns, rows, style)
    else:
        _write_states(asked, {int(step.event.rpartition(":")[2]) for step in steps}, style)
    _say_steps(steps, start)
    if asked is not None:
        _say_states(asked)
    if into is not None:
        say(f"wrote {into}")


def _steps(ledger: LedgerReader, event: str, start: str, into: Path | None) -> list[Step]:
    """Replay, and show on a terminal how far it is."""
    run, until_v = ledger.resolve(event)
    progress = LiveProgress()
    steps: list[Step] = []
    began_s = time.monotonic()
    try:
        for step in ledger.replay(f"{run}:{until_v}", start=start, into=into):
            steps.append(step)
            v = int(step.event.rpartition(":")[2])
            left = time_left(v, until_v, time.monotonic() - began_s) if not start else ""
            progress("replay", f"{step.event} of {until_v}{left}")
    finally:
        progress.clear()
    return steps


def _say_steps(steps: list[Step], start: str) -> None:
    if start:
        say(f"began at {steps[0].event}, whose tree {steps[0].tree[:12]} is taken as recorded")
        steps = steps[1:]
    say(f"{count_of(len(steps), 'tree')} identical to the recorded ones")
    unproved = ", ".join(step.event for step in steps if not step.proved)
    if unproved:
        why = "the patch was dropped" + (", or it goes back to before the beginning" if start else "")
        say(f"not proved, as {why}: {unproved}: taken from Git's objects")


_STATE_COLUMNS = ("event", "tree", "gate", "mode", "then", "under", "why", "accepted", "accepts")


def _write_states(asked: Comparison, replayed: set[int], style: str) -> None:
    """Print a row for each gate of each measured state: the verdict then, and under the other policy."""
    rows = [
        (
            f"{asked.run}:{state.v}",
            state.tree if style != "table" else state.tree[:12],
            standing.gate,
            standing.mode,
            standing.then,
            standing.outcome,
            "; ".join(standing.reasons),
            state.accepted_by is not None,
            state.accepts_by is not None,
        )
        for state in _measured(asked)
        if state.v in replayed
        for standing in state.standings
    ]
    write_rows(_STATE_COLUMNS, rows, style)


def _measured(asked: Comparison) -> list[StateUnder]:
    return [state for state in asked.states if state.is_measured]


def _say_states(asked: Comparison) -> None:
    measured = _measured(asked)
    say(f"{_name(asked)}: {len(measured)} of {count_of(len(asked.states), 'state')} measured")
    more = [s.v for s in measured if s.accepts_by is not None and s.accepted_by is None]
    fewer = [s.v for s in measured if s.accepts_by is None and s.accepted_by is not None]
    for what, found in (("accepts what was not accepted", more), ("does not accept what was", fewer)):
        if found:
            say(f"{what}: {', '.join(f'{asked.run}:{v}' for v in found)}")
    in_fact, under = (f"{asked.run}:{state.v}" for state in (asked.accepted, asked.accepts))
    say(f"accepted in the end: {in_fact} in fact, {under} under it")
