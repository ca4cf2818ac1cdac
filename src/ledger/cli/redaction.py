"""The command `redact`: bodies dropped for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ledger.cli.output import count_of
from ledger.cli.session import open_ledger, preview_option, readable, say

if TYPE_CHECKING:
    from ledger.operations.redacting import Redacted

_NAMES = ("patch", "given", "note", "reason", "report", "output", "waived", "message", "context", "answer")


@click.command()
@click.argument("event")
@click.option(
    "--body", "names", multiple=True, type=click.Choice(_NAMES), help="Which; by default all it has."
)
@click.option("-m", "--reason", default="", help="Why: kept with the event.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would go, and where copies are.")
@preview_option
def redact(event: str, names: tuple[str, ...], reason: str, dry_run: bool) -> None:
    """Drop the patch, output or texts of an event for good, because they hold a secret.

    The event stays, and the log stays provable: it names texts by their digests. Replay past a dropped patch
    rests on Git's objects, and says so. What this cannot reach, it lists: a secret that was in a
    commit is to be revoked, not only removed.

    \b
    ledger redact fix-q4k4:7 --dry-run
    ledger redact fix-q4k4:7 --body patch --reason "a key was in it"
    """  # noqa: D301 - click reads the backspace
    redacted = open_ledger().redact(event, names=names, reason=readable(reason), dry_run=dry_run)
    _report(redacted, dry_run=dry_run)
    if dry_run:
        from ledger.cli.rehearsing import rehearse

        rehearse(lambda: open_ledger().redact(event, names=names, reason=readable(reason)))
    elif redacted.event:
        click.echo(redacted.event)


def _report(redacted: Redacted, *, dry_run: bool) -> None:
    dropped = "would drop" if dry_run else "dropped" if redacted.event else "dropped already:"
    say(f"{dropped} {' and '.join(redacted.names)} of {redacted.of}")
    if redacted.also:
        events = count_of(len(redacted.also), "other event")
        say(f"the same bytes are gone from {events}: {', '.join(redacted.also)}")
    say("copies that this does not reach:")
    for copy in redacted.copies:
        say(f"  {copy.where}: {copy.what}")
