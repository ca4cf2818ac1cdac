"""Commands that go to another state: `undo`, `redo`, `restore`, and `branch`, which goes nowhere itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ledger.cli.looking import path_in
from ledger.cli.output import count_of
from ledger.cli.session import allow_secrets_option, id_option, open_ledger, readable, report_applied, say

if TYPE_CHECKING:
    from ledger.operations.outcome import Applied

_drift_option = click.option("--with-drift", is_flag=True, help="Take edits that were made by hand away too.")


@click.command()
@click.argument("event", metavar="[N|EVENT]", default="1")
@_drift_option
@id_option
def undo(event: str, with_drift: bool) -> None:
    """Take back the last operation: a patch, a move, recorded edits, a restore, a rollback, a redo.

    With a number, the last N of them; with an EVENT, all from the newest to that one. Work tree and index
    follow. Nothing goes from the log: `ledger redo` takes it again, until something else changes the run.

    \b
    ledger undo
    ledger undo 3
    ledger undo fix-q4k4:7      that one too: what was before it is left
    """  # noqa: D301 - click reads the backspace
    ledger = open_ledger()
    if event.isdecimal() and int(event) > 0:
        undone = ledger.undo(int(event), with_drift=with_drift)
    else:
        undone = ledger.undo(through=event, with_drift=with_drift)
    _report(undone, "undo")


@click.command()
@click.argument("count", metavar="[N]", type=click.IntRange(1), default=1)
@_drift_option
@id_option
def redo(count: int, with_drift: bool) -> None:
    """Take again what was undone last, or the last N. Work tree and index follow.

    Only what was undone since anything else changed the run: a patch, a gate's rollback, recorded edits.

    \b
    ledger redo
    ledger redo 2
    """  # noqa: D301 - click reads the backspace
    _report(open_ledger().redo(count, with_drift=with_drift), "redo")


@click.command()
@click.argument("event")
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.option("-m", "--message", default="", help="Why: kept with the event.")
@allow_secrets_option
@id_option
def restore(event: str, paths: tuple[str, ...], message: str, allow_secrets: bool) -> None:
    """Make work tree and index what they were at an event, of any run; with PATHs those files alone.

    It is recorded as a patch on top of everything since, so that nothing of the history goes: `ledger undo`
    takes it back. Files that have edits of your own, untracked and ignored files are never overwritten.

    \b
    ledger restore @-3
    ledger restore green src/app.py      as the accepted state has it
    ledger restore '@{yesterday}' docs
    """  # noqa: D301 - click reads the backspace
    ledger = open_ledger()
    chosen = [path_in(ledger, path) for path in paths]
    restored = ledger.restore(event, chosen, note=readable(message), allow_secrets=allow_secrets)
    _report(restored, "restore")


def _report(applied: Applied, what: str) -> None:
    report_applied(applied, what)
    if applied.back:
        say(f"back: `{applied.back}`")


@click.command()
@click.argument("name")
@click.argument("event", default="@")
@click.option("--squash", is_flag=True, help="Make one commit of all.")
@click.option("-f", "--force", is_flag=True, help="Let a branch that exists go there.")
def branch(name: str, event: str, squash: bool, force: bool) -> None:
    """Make an ordinary Git branch of a run's patches up to an event, one commit each.

    Each commit has its event's tree, and a trailer that names the event; author, date and message are the
    mail's, or else the actor's with the note or the source. What was rolled back by then is not on it. HEAD,
    index and work tree stay as they are. Prints the branch's commit.

    \b
    ledger branch port
    ledger branch port green --squash
    """  # noqa: D301 - click reads the backspace
    made = open_ledger().branch(name, event, squash=squash, force=force)
    commits = count_of(made.commits, "commit")
    say(f"branch {made.name}: {commits} on the base, up to {made.event}, tree {made.tree[:12]}")
    click.echo(made.commit)
