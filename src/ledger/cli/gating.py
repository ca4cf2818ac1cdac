"""Commands around gates: `gate`, `policy`, `tickets` and `phase`."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import click

from ledger.cli.failures import DONE, INCONCLUSIVE, REJECTED
from ledger.cli.output import count_of, format_options, write_record, write_rows
from ledger.cli.paging import paged
from ledger.cli.session import id_option, open_ledger, open_reader, preview_option, readable, say
from ledger.cli.times import show_cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.operations.gating import GateOptions
    from ledger.operations.series import Trial
    from ledger.operations.verdicts import Gated, GateResult

_REFRESH_S = 0.2
_LINE_SIZE = 78


class LiveProgress:
    """One line on a terminal's standard error: which gates run, and what they print. Nothing elsewhere."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._lines: dict[str, str] = {}
        self._lock = threading.Lock()
        self._next_s = 0.0

    def __call__(self, gate: str, line: str) -> None:
        """Show a gate's last line; called from any thread."""
        if not self._shown:
            return
        with self._lock:
            self._lines[gate] = line
            now = time.monotonic()
            if now < self._next_s:
                return
            self._next_s = now + _REFRESH_S
            width = max(_LINE_SIZE // len(self._lines) - 2, 10)
            parts = [f"{name}: {text}"[:width] for name, text in self._lines.items()]
            text = "".join(c if c.isprintable() else " " for c in " │ ".join(parts))
            click.echo(f"\r\x1b[2K{text[:_LINE_SIZE]}", err=True, nl=False)

    def clear(self) -> None:
        """Take the line away."""
        if self._shown and self._lines:
            click.echo("\r\x1b[2K", err=True, nl=False)


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--each", is_flag=True, help="Measure each patch past the accepted state by itself.")
@click.option("--isolated", is_flag=True, help="Measure in a temporary work tree.")
@click.option(
    "--again",
    type=click.IntRange(1),
    is_flag=False,
    flag_value=1,
    help="Measure (that many times) although it is recorded.",
)
@click.option("--profile", default="", help="Let another profile of the policy be in force first.")
@click.option("--skip", multiple=True, metavar="NAME", help="Leave a gate out from here on; needs --reason.")
@click.option("--reason", default="", help="Why a gate is left out: recorded and shown.")
@click.option("--with-drift", is_flag=True, help="Let a rollback take edits made by hand away too.")
@click.option(
    "-n", "--dry-run", is_flag=True, help="Print what it would append, as far as known; run nothing."
)
@preview_option
@format_options
def gate(style: str, each: bool, dry_run: bool, names: tuple[str, ...], **choices: Any) -> None:
    """Measure the candidate: run the gates, record what they found, and say pass, fail or inconclusive.

    NAME is a gate of the policy; by default all that are not off. What is recorded for this very
    tree, with the same command and tool versions, is not measured again. A strict gate that fails
    rolls the candidate back to the accepted state; a soft one opens a ticket. Exits with 1 where a
    strict gate failed, else with 4 where a gate was inconclusive.

    \b
    ledger gate
    ledger gate tests --again 20          how flaky is it?
    ledger gate --profile release --each  which of the patches may stay?
    """  # noqa: D301 - click reads the backspace
    from ledger.operations.gating import GateOptions

    if each and open_ledger().has_id:
        raise click.UsageError("--id names one event, --each makes many; what is recorded counts anyway")
    if choices["skip"] and not choices["reason"]:
        raise click.UsageError("--skip needs --reason")
    again, reason = choices.pop("again") or 0, readable(choices.pop("reason"))
    options = GateOptions(names=names, again=again, reason=reason, **choices)
    if dry_run:
        _rehearse(options)
        return
    ledger, progress = open_ledger(), LiveProgress()
    try:
        trials = ledger.gate_each(options, progress) if each else []
        gated = None if each else ledger.gate(options, progress)
    finally:
        progress.clear()
    if gated is None:
        report_trials(trials, style)
        gated_trials = [trial.gated for trial in trials if trial.gated is not None]
        end_with(gated_trials, unresolved=trials[-1].in_conflict)
    else:
        report_gated(gated, style)
        end_with([gated])


def _rehearse(options: GateOptions) -> None:
    """Print the events before the measurements, and of each measurement its gate: no gate is run."""
    from ledger.cli.rehearsing import rehearse
    from ledger.events import GateMeasured

    kind = GateMeasured.__struct_config__.tag

    def later(names: tuple[str, ...]) -> list[dict[str, object]]:
        return [{"kind": kind, "gate": name} for name in names]

    rehearse(lambda: open_ledger().plan_gate(options), later)
    say("what follows (a rollback, tickets, questions) is up to what they find")


def end_with(rounds: Sequence[Gated], *, unresolved: bool = False) -> None:
    """End with the exit code of the gravest outcome; ``unresolved`` conflicts are as a strict gate's no."""
    code = DONE
    if unresolved or any(gated.rejected for gated in rounds):
        code = REJECTED
    elif any(gated.inconclusive for gated in rounds):
        code = INCONCLUSIVE
    if code is not DONE:
        click.get_current_context().exit(code.code)


_COLUMNS = ("verdict", "gate", "mode", "found", "event", "took")


def report_gated(gated: Gated, style: str) -> None:
    """Print the verdicts on stdout; on stderr what followed from them."""
    if gated.started:
        say(f"started run {gated.started}")
    if style in ("table", "markdown", "csv"):
        write_rows(_COLUMNS, [_row(result) for result in gated.results], style)
    else:
        import msgspec

        write_record(msgspec.to_builtins(_plain(gated)), style)
    for result in gated.results:
        for reason in result.reasons:
            say(f"{result.gate}: {reason}")
        if result.verdict == "fail" and result.event:
            say(f"{result.gate}: `ledger show {result.event}` has the whole output")
    if gated.questions:
        asked = ", ".join(gated.questions)
        say(f"asked as {asked}: answered where the gate passes (`ledger questions --open`)")
    _say_outcome(gated)
    for note in gated.notes:
        say(f"note: {note}")


def _plain(gated: Gated) -> dict[str, object]:
    return {
        "run": gated.run,
        "state": f"{gated.run}:{gated.state_v}",
        "tree": gated.tree,
        "accepted": gated.accepted,
        "rolled_back": None if gated.rolled_back is None else gated.rolled_back.event,
        "kept": gated.kept or None,
        "gates": gated.results,
        "notes": gated.notes,
        "questions": gated.questions,
    }


def _row(result: GateResult) -> tuple[object, ...]:
    found = result.summary
    if result.measured > 1:
        found += f", passed {result.passes} of {result.measured}"
    if result.flaky:
        found += ", flaky"
    took = "recorded" if result.recorded else f"{result.duration_s:.1f} s" if result.event else ""
    return (result.verdict, result.gate, result.mode, found, result.event, took)


def _say_outcome(gated: Gated) -> None:
    state = f"{gated.run}:{gated.state_v}"
    if gated.rolled_back is not None:
        say(f"rejected: rolled back to tree {gated.rolled_back.tree[:12]}, {gated.rolled_back.event}")
        for left in gated.rolled_back.left_alone:
            say(f"warning: {left}")
        say(f"hint: `ledger apply --again {state}` takes the patch again, on top of what is accepted")
    elif gated.rejected:
        say(f"rejected, and not rolled back: {gated.kept}")
    elif gated.accepted:
        say(f"accepted: {state}, tree {gated.tree[:12]}")
    else:
        say(f"not accepted: {state}, tree {gated.tree[:12]} is a candidate")


def report_trials(trials: Sequence[Trial], style: str) -> None:
    """Print a line for each patch of a series: which it was, what became of it, by which event."""
    rows: list[tuple[object, ...]] = []
    for trial in trials:
        gated = trial.gated
        event = "" if trial.applied is None else trial.applied.event
        if gated is None:
            outcome = "in conflict" if trial.in_conflict else "refused"
            rows.append((trial.of, outcome, event, trial.refused.partition("\n")[0]))
            continue
        failed = [result for result in gated.results if result.verdict != "pass"]
        outcome = "accepted" if gated.accepted else "rolled back" if gated.rolled_back else "candidate"
        rows.append((trial.of, outcome, event, "; ".join(f"{r.gate} {r.verdict}" for r in failed)))
    write_rows(("patch", "outcome", "taken_as", "why"), rows, style)
    for note in dict.fromkeys(note for trial in trials if trial.gated for note in trial.gated.notes):
        say(f"note: {note}")


@click.group()
def policy() -> None:
    """Show the policy in force, compare it with the configuration, and accept that."""


@policy.command("show")
@format_options
def show_policy(style: str) -> None:
    """Show what the gates are and what each asks for: of the open run, else of the configuration.

    As a table it is the text of a ledger.toml that says the same.

    \b
    ledger policy show
    ledger policy show --json
    """  # noqa: D301 - click reads the backspace
    ledger = open_reader()
    configuration = ledger.policy()
    if style == "table":
        from ledger.gates.configuration import encode_policy

        click.echo(encode_policy(configuration), nl=False)
        return
    columns = ("profile", "in_force", "gate", "mode", "metric", "better", "threshold", "command", "reason")
    rows = [
        (
            name,
            name == configuration.profile,
            gate,
            rule.mode,
            rule.metric,
            rule.better,
            rule.threshold,
            " && ".join(" ".join(step.command) for step in rule.steps),
            rule.reason,
        )
        for name, profile in configuration.profiles.items()
        for gate, rule in profile.gates.items()
    ]
    write_rows(columns, rows, style)


@policy.command("diff")
@format_options
def diff_policy(style: str) -> None:
    """Show where the configuration is not the policy in force, and where it asks for less.

    \b
    ledger policy diff
    """  # noqa: D301 - click reads the backspace
    from ledger.operations.notes import one_line

    changes, weakened = open_reader().policy_changes()
    write_rows(("what", "in_force", "configuration"), [tuple(change) for change in changes], style)
    for what in weakened:
        say(f"asks for less: {one_line(what)}")
    say("`ledger policy accept` lets it count" if changes else "the configuration is the policy in force")


@policy.command("accept")
@click.option("--profile", default="", help="The profile that counts from here on.")
@click.option("-m", "--message", default="", help="Why: kept with the event.")
@id_option
def accept_policy(profile: str, message: str) -> None:
    """Let the configuration as it is now be the policy in force.

    \b
    ledger policy accept -m "coverage from 80 on"
    ledger policy accept --profile release
    """  # noqa: D301 - click reads the backspace
    from ledger.operations.notes import one_line

    event = open_ledger().accept_policy(profile=profile, reason=readable(message))
    if event is None:
        say("nothing to do: the configuration is the policy in force")
        return
    for what in event.weakened:
        say(f"asks for less: {one_line(what)}")
    say(f"profile {event.profile}, strict: {', '.join(event.policy.strict) or 'no gate'}")
    click.echo(event.reference)


@click.command()
@click.argument("name", metavar="[PHASE]", default="")
@click.option("-m", "--note", "--message", "note", default="", help="Why: kept with the event.")
@id_option
def phase(name: str, note: str) -> None:
    """Enter a phase, or show the present one.

    PHASE is P1 (prep), P2 (search), P3 (build), P4 (prune), P5 (error-log), P6 (final), or `next`. Any
    order is allowed and recorded, unless the policy says otherwise.

    \b
    ledger phase
    ledger phase P3
    ledger phase next -m "found where it is"
    """  # noqa: D301 - click reads the backspace
    from ledger.policies import PHASE_NAMES

    if not name:
        head = open_ledger().status().run
        present = "" if head is None else head.phase
        click.echo(f"{present} {PHASE_NAMES[present]}" if present else "no phase yet")
        return
    entered = open_ledger().enter_phase(name, note=readable(note))
    say(f"in phase {entered.phase}, {PHASE_NAMES[entered.phase]}")
    click.echo(entered.reference)


@click.command()
@click.option("--all", "all_", is_flag=True, help="Show the closed ones too.")
@format_options
@paged
def tickets(all_: bool, style: str) -> None:
    """List what soft gates found and nothing has fixed yet, in the current run.

    \b
    ledger tickets
    ledger tickets --all --json
    """  # noqa: D301 - click reads the backspace
    ledger = open_reader()
    run, _ = ledger.resolve("@")
    result = ledger.sql(
        "select event, gate, opened_at, opened_by, closed_at, closed_by, fixed_by "
        "from tickets where run = $run and (open or $all) order by v",
        {"run": run, "all": all_},
    )
    rows = [[show_cell(value, style) for value in row] for row in result.fetchall()]
    write_rows([column[0] for column in result.description or ()], rows, style)
    say(f"{count_of(len(rows), 'ticket')} in run {run}")
