"""Commands that change the candidate: `apply`, `record`, `undo`. They print the event's reference."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ledger.cli.session import (
    allow_secrets_option,
    id_option,
    open_ledger,
    readable,
    report_applied,
    report_done,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ledger.api import Ledger
    from ledger.events import PatchApplied
    from ledger.operations.outcome import Applied


@click.command()
@click.argument("patches", metavar="PATCH...", nargs=-1)
@click.option("-m", "--message", default="", help="Why: kept with the event.")
@click.option("--gate", "gated", is_flag=True, help="Measure the result, and accept it or roll it back.")
@click.option("--profile", default="", help="With --gate: let this profile be in force first.")
@click.option("--again", multiple=True, metavar="EVENT", help="Take the patch of an earlier event once more.")
@allow_secrets_option
@id_option
def apply(
    patches: tuple[str, ...],
    message: str,
    gated: bool,
    profile: str,
    again: tuple[str, ...],
    allow_secrets: bool,
) -> None:
    """Apply unified diffs, each wholly or not at all, and record them.

    PATCH is a file, or "-" for standard input. Work tree and index follow. The first patch
    starts a run where none is open. A patch that is applied already is said to be, and is no
    error. Files that have edits of your own, untracked and ignored files are never overwritten. A patch
    that adds what looks like a secret is stopped, and nothing of it is stored.

    With --gate, each is measured before the next: a strict gate that fails rolls it back.

    \b
    ledger apply fix.diff
    git diff main topic | ledger apply -
    ledger apply --gate --profile release fix.diff
    ledger apply --again fix-q4k4:7
    """  # noqa: D301 - click reads the backspace
    from patches.errors import PatchError

    if not patches and not again:
        raise click.UsageError("name a patch, or an event with --again")
    ledger = open_ledger()
    if ledger.has_id and len(patches) + len(again) > 1:
        raise click.UsageError("--id names one event: give one patch")
    for name in patches:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        change = partial(
            ledger.apply,
            data,
            source=readable(name),
            note=readable(message),
            allow_secrets=allow_secrets,
        )
        try:
            done = _change(change, name)
        except PatchError as error:
            error.add_note(f"the patch is {'standard input' if name == '-' else name}")
            raise
        if gated:
            _gate(ledger, profile, done)
    for event in again:
        change = partial(ledger.apply_again, event, note=readable(message), allow_secrets=allow_secrets)
        done = _change(change, event)
        if gated:
            _gate(ledger, profile, done)


def _change(change: Callable[[], Applied], source: str) -> PatchApplied | None:
    """Make one change and report it; return its event where it was made before, under the same id."""
    from ledger.events import PatchApplied
    from ledger.requests import AlreadyDone

    try:
        applied = change()
    except AlreadyDone as done:
        report_done(done.event)
        return done.event if isinstance(done.event, PatchApplied) else None
    report_applied(applied, source)
    return None


def _gate(ledger: Ledger, profile: str, done: PatchApplied | None) -> None:
    """Measure what was just applied, or was applied before as ``done``; no acceptance ends the command."""
    from ledger.cli.gating import LiveProgress, end_with, report_gated
    from ledger.operations.gating import GateOptions

    progress, options = LiveProgress(), GateOptions(profile=profile)
    try:
        gated = ledger.gate_again(done, options, progress) if done else ledger.gate(options, progress)
    finally:
        progress.clear()
    report_gated(gated, "table")
    end_with([gated])


@click.command()
@click.option("-m", "--message", default="", help="Why: kept with the event.")
@allow_secrets_option
@id_option
def record(message: str, allow_secrets: bool) -> None:
    """Record what was edited past the ledger as a patch event.

    Takes every difference between the run's state and the work tree: untracked files included,
    ignored files not. The work tree stays as it is; the index follows.
    """
    applied = open_ledger().record(note=readable(message), allow_secrets=allow_secrets)
    report_applied(applied, "the work tree")


@click.command()
@click.option("--with-drift", is_flag=True, help="Take an edit that was made by hand away too.")
@id_option
def undo(with_drift: bool) -> None:
    """Take away the last patch, move or recorded edit. Work tree and index follow.

    It stays in the log: `ledger apply --again EVENT` brings it back.
    """
    report_applied(open_ledger().undo(with_drift=with_drift), "undo")
