"""Commands that change the candidate: `apply`, `record`. They print the event's reference."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ledger.cli.applyflags import ApplyCommand, apply_flags
from ledger.cli.changereport import report_options, show_changes
from ledger.cli.session import (
    allow_secrets_option,
    id_option,
    open_ledger,
    readable,
    report_applied,
    report_done,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ledger.api import Ledger
    from ledger.applyflags import ApplyFlags
    from ledger.events import PatchApplied
    from ledger.operations.outcome import Applied
    from ledger.operations.planning import Offer


@click.command(cls=ApplyCommand)
@click.argument("patches", metavar="PATCH...", nargs=-1)
@click.option("-m", "--message", default="", help="Why: kept with the event.")
@click.option("--gate", "gated", is_flag=True, help="Measure the result, and accept it or roll it back.")
@click.option("--profile", default="", help="With --gate: let this profile be in force first.")
@click.option("--again", multiple=True, metavar="EVENT", help="Take the patch of an earlier event once more.")
@click.option("--atomic", is_flag=True, help="Apply all patches or none.")
@click.option("--from", "first", type=click.IntRange(1), default=1, metavar="N", help="Begin with patch N.")
@report_options
@apply_flags
@click.option("--index", is_flag=True, expose_value=False, help="Changes nothing: the index always follows.")
@allow_secrets_option
@id_option
def apply(  # noqa: PLR0913 - all that can be asked for
    *,
    patches: tuple[str, ...],
    message: str,
    gated: bool,
    profile: str,
    again: tuple[str, ...],
    atomic: bool,
    first: int,
    reports: tuple[str, ...],
    flags: ApplyFlags,
    allow_secrets: bool,
) -> None:
    """Apply patches, each wholly or not at all, and record them.

    PATCH is a file, or "-" for standard input; its names begin at the repository's top. Work tree and index
    follow. The first patch starts a run where none is open. A patch that is there already is said to be,
    and is no error. Files that have edits of your own, untracked and ignored files are never overwritten.
    A patch that adds what looks like a secret is stopped, and nothing of it is stored.

    Of several patches, as of a mailbox or a quilt series, those before the first that does not apply stay
    applied, unless --atomic is given. What is written in another form (UTF-16, in a mail or in Markdown, as
    a context diff or a Codex envelope, with wrong counts) is read, and what was done to it is said. The flags
    are those of git apply; its configuration (apply.*) counts for nothing.

    With --gate, each is measured before the next: a strict gate that fails rolls it back.

    \b
    ledger apply fix.diff
    git diff main topic | ledger apply -
    ledger apply --atomic series.mbox
    ledger apply --gate --profile release fix.diff
    ledger apply --again fix-q4k4:7
    """  # noqa: D301 - click reads the backspace
    from ledger.applyflags import NO_FLAGS

    if not patches and not again:
        raise click.UsageError("name a patch, or an event with --again")
    if again and (flags != NO_FLAGS or atomic or reports):
        raise click.UsageError("--again takes a patch as its event has it, one by one")
    if not atomic and len(patches) + len(again) > 1 and open_ledger().has_id:
        raise click.UsageError("--id names one event: give one patch, or --atomic")
    offers = [offer for name in patches for offer in _read(name, flags)][first - 1 :]
    if patches and not offers:
        raise click.UsageError(f"there is no patch {first}")
    ledger = open_ledger()
    if reports:
        for planned in ledger.preview(offers, allow_secrets=allow_secrets):
            show_changes(planned, reports)
        return
    groups = [offers] if atomic else [[offer] for offer in offers]
    if ledger.has_id and len(groups) + len(again) > 1:
        raise click.UsageError("--id names one event: give one patch, or --atomic")
    gate = partial(_gate, ledger, profile) if gated else None
    applying = _Applying(ledger, readable(message), gate, allow_secrets=allow_secrets)
    for number, group in enumerate(groups, start=first):
        applying.take(group, number if len(groups) > 1 else 0)
    for event in again:
        applying.take_again(event)


def _read(name: str, flags: ApplyFlags) -> list[Offer]:
    from ledger.operations.offering import offers_in, offers_in_file

    if name == "-":
        return offers_in(sys.stdin.buffer.read(), flags=flags)
    return offers_in_file(Path(name), source=readable(name), flags=flags)


class _Applying:
    """Patches applied one after the other, each reported, and measured where ``gate`` is given."""

    def __init__(
        self,
        ledger: Ledger,
        note: str,
        gate: Callable[[PatchApplied | None], None] | None,
        *,
        allow_secrets: bool,
    ) -> None:
        self._ledger, self._note, self._gate = ledger, note, gate
        self._allow_secrets = allow_secrets
        self._events: list[str] = []

    def take(self, offers: Sequence[Offer], number: int) -> None:
        """Apply patches, all or none; with a number, as that one of a series."""
        from ledger.errors import LedgerError
        from patches.errors import PatchError
        from patches.worktree_errors import WorkTreeError

        sources = [offer.provenance.source for offer in offers]
        apply_all = partial(self._ledger.apply_all, offers, note=self._note)
        try:
            done = self._change(partial(apply_all, allow_secrets=self._allow_secrets), sources)
        except (PatchError, LedgerError, WorkTreeError) as error:
            if not any(note.startswith("the patch is ") for note in getattr(error, "__notes__", ())):
                where = ", ".join("standard input" if source == "-" else source for source in sources)
                error.add_note(f"the patch is {where}")
            if number:
                self._explain_series(error, number)
            raise
        self._measure(done)

    def take_again(self, event: str) -> None:
        """Apply the patch of an earlier event."""

        def change() -> tuple[Applied]:
            return (self._ledger.apply_again(event, note=self._note, allow_secrets=self._allow_secrets),)

        self._measure(self._change(change, [event]))

    def _measure(self, done: PatchApplied | None) -> None:
        if self._gate is not None:
            self._gate(done)

    def _change(self, change: Callable[[], Sequence[Applied]], sources: Sequence[str]) -> PatchApplied | None:
        """Make one change and report it; return its event where it was made before, under the same id."""
        from ledger.events import PatchApplied
        from ledger.requests import AlreadyDone

        try:
            applied = change()
        except AlreadyDone as done:
            report_done(done.event)
            return done.event if isinstance(done.event, PatchApplied) else None
        for each, source in zip(applied, sources, strict=True):
            report_applied(each, source)
            self._events += [each.event] if each.event and not each.already else []
        return None

    def _explain_series(self, error: Exception, number: int) -> None:
        if self._events:
            error.add_note(f"those before it stay applied: {', '.join(self._events)}")
        error.add_note(f"the series goes on with `--from {number}`, or without it with `--from {number + 1}`")


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

    \b
    ledger record
    ledger record -m "by hand: the import was missing"
    """  # noqa: D301 - click reads the backspace
    applied = open_ledger().record(note=readable(message), allow_secrets=allow_secrets)
    report_applied(applied, "the work tree")
