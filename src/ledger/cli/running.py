"""Commands about a run as a whole: `run` and `commit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ledger.cli.output import count_of, format_options, write_rows
from ledger.cli.session import allow_secrets_option, id_option, open_ledger, open_reader, readable, say
from ledger.cli.times import show_time

if TYPE_CHECKING:
    from ledger.heads import RunHead


@click.group()
def run() -> None:
    """Start, finish, rebase and list runs. A run belongs to one work tree."""


@run.command()
@click.argument("title")
@click.option("--name", default="", help="Its name; by default the title's words and four digits.")
@click.option("--profile", default="", help="The policy's profile; by default what the configuration says.")
@id_option
def start(title: str, name: str, profile: str) -> None:
    """Start a run on HEAD's tree.

    \b
    ledger run start "port to 3.13"
    ledger run start "port to 3.13" --profile release
    """  # noqa: D301 - click reads the backspace
    started = open_ledger().run(readable(title), name=name, profile=profile).head
    say(f"started run {started.run} on tree {started.base_tree[:12]}, profile {started.profile}")
    click.echo(f"{started.run}:1")


@run.command("continue")
@click.argument("of_run", metavar="RUN")
@click.option("--candidate", is_flag=True, help="Go on from its candidate, accepted or not.")
@click.option("--name", default="", help="The new run's name; by default the title's words and four digits.")
@click.option("--profile", default="", help="The policy's profile; by default that of RUN.")
@allow_secrets_option
@id_option
def continue_(of_run: str, *, candidate: bool, name: str, profile: str, allow_secrets: bool) -> None:
    """Start a run that goes on from the accepted state of RUN, wherever that was recorded.

    A run has one home. What came from another ledger (`ledger pull`, `ledger import`) goes on here as a run
    of its own: on HEAD's tree, which has to be one that RUN has gone through, and with one patch that leads
    to RUN's state. Nothing is accepted in it until its gates have passed here.

    \b
    ledger run continue fix-q4k4
    ledger run continue fix-q4k4 --candidate --profile release
    """  # noqa: D301 - click reads the backspace
    done = open_ledger().continue_run(
        of_run, candidate=candidate, name=name, profile=profile, allow_secrets=allow_secrets
    )
    if not candidate and not done.accepted:
        say(f"note: nothing of {of_run} was accepted: it goes on from its base")
    say(f"started run {done.run}, going on from {done.of}, tree {done.tree[:12]}")
    click.echo(done.event)


@run.command()
@click.option("--waive", metavar="REASON", default="", help="In P6: let open tickets stay open, and say why.")
@click.option("--abandon", is_flag=True, help="In P6: end it without finalizing it.")
@id_option
def finish(waive: str, abandon: bool) -> None:
    """Finish the open run. In phase P6 that finalizes it.

    A final run's candidate is accepted, every strict gate passes on this very tree, every
    must-exist and must-not-exist holds, and no ticket is open. What is missing is listed, with the
    command for it.

    \b
    ledger run finish
    ledger run finish --waive "the lint ticket is for the next run"
    """  # noqa: D301 - click reads the backspace
    finished = open_ledger().finish(waive=readable(waive), abandon=abandon)
    say(f"finished with tree {finished.tree[:12]}")
    click.echo(finished.event)


@run.command()
@click.option("--skip", multiple=True, type=int, metavar="V", help="Leave out the patch of this version.")
@click.option("--with", "replaced", multiple=True, metavar="V=FILE", help="Take FILE instead of that patch.")
@click.option("--continue", "go_on", is_flag=True, help="Take the answers of the stopped attempt too.")
@click.option("--abort", is_flag=True, help="Give a stopped attempt up. Nothing has changed since before it.")
@allow_secrets_option
@id_option
def rebase(
    skip: tuple[int, ...], replaced: tuple[str, ...], go_on: bool, abort: bool, allow_secrets: bool
) -> None:
    """Go on from where HEAD is now: a new base, with the run's patches applied on it again.

    For when HEAD has moved past the run: a pull, a rebase, a checkout. Patches that the new base has
    already are left out. Where one does not apply, it stops, and nothing has changed: go on with
    --continue, and leave that patch out (--skip) or give its replacement (--with), or give up with --abort.

    \b
    ledger run rebase
    ledger run rebase --continue --skip 7
    ledger run rebase --continue --with 7=again.diff
    ledger run rebase --abort
    """  # noqa: D301 - click reads the backspace
    if abort:
        if skip or replaced or go_on:
            raise click.UsageError("--abort goes with no other option")
        stopped = open_ledger().abort_rebase()
        say("given up: the run is as it was" if stopped else "nothing to give up: no rebase was stopped")
        return
    replace: dict[int, bytes] = {}
    for each in replaced:
        v, separator, name = each.partition("=")
        if not separator or not v.isdecimal():
            raise click.UsageError(f"--with {each}: write VERSION=FILE")
        replace[int(v)] = Path(name).read_bytes()
    rebased = open_ledger().rebase(skip=skip, replace=replace, go_on=go_on, allow_secrets=allow_secrets)
    if rebased.already:
        say("nothing to do: HEAD has not moved past the run")
        return
    for left in rebased.left_alone:
        say(f"warning: {left}")
    for what, events in (("contained in the new base", rebased.contained), ("left out", rebased.skipped)):
        if events:
            say(f"{what}: {', '.join(events)}")
    kept = count_of(len(rebased.kept), "patch").replace("patchs", "patches")
    say(f"rebased onto {rebased.commit[:12]}: {kept} applied again, tree {rebased.tree[:12]}")
    click.echo(rebased.event)


def _state(head: RunHead) -> str:
    from ledger.events import OF_COMMITS

    if head.open:
        return "waiting" if head.work_tree == OF_COMMITS else "open"
    return "imported" if head.imported else "finished"


@run.command("list")
@format_options
def list_(style: str) -> None:
    """List the runs, the newest first.

    \b
    ledger run list
    ledger run list --json
    """  # noqa: D301 - click reads the backspace
    columns = ("run", "state", "events", "started_at", "tree", "title")
    rows = [
        (
            head.run,
            _state(head),
            head.v,
            show_time(head.started_at_ns, style),
            head.tree if style != "table" else head.tree[:12],
            head.title,
        )
        for head in open_reader().runs()
    ]
    write_rows(columns, rows, style)


@click.command()
@click.option("-m", "--message", default="", help="The commit's message; a mail's patch brings its own.")
@click.option("-C", "--reuse-message", "reuse", default="", metavar="EVENT", help="As EVENT's mail has it.")
@click.option("--author", default="", metavar="'NAME <ADDRESS>'", help="Whose it is.")
@click.option("--date", default="", metavar="DATE", help="When it was written, as Git reads dates.")
@click.option("--reset-author", is_flag=True, help="It is yours, of now, whatever a mail says.")
@click.option("--candidate", is_flag=True, help="Commit the candidate, accepted or not.")
@id_option
def commit(*, message: str, reuse: str, author: str, date: str, reset_author: bool, candidate: bool) -> None:
    """Commit the accepted state on the current branch.

    The commit is Git's, with a trailer that names the event. Index and work tree stay as they are. Hooks do
    not run: what is committed is what was measured.

    Where all of it is the patch of one mail, author, date and message are the mail's, as `git am` has them,
    unless they are given here. Where several patches are in it, -C says whose mail counts.

    \b
    ledger commit -m "No division by zero"
    ledger commit -C fix-q4k4:7
    ledger commit -m "Both fixes" --reset-author
    """  # noqa: D301 - click reads the backspace
    if reset_author and (author or date):
        raise click.UsageError("--reset-author takes neither --author nor --date")
    made = open_ledger().commit(
        readable(message),
        author=readable(author),
        date=date,
        reuse=reuse,
        reset_author=reset_author,
        candidate=candidate,
    )
    files = count_of(made.files, "file")
    say(f"{made.commit[:12]} is {made.state}, tree {made.tree[:12]}: {files} changed")
    if made.author:
        say(f"author {made.author}")
    if made.of:
        say(f"from the mail of {made.of}")
    if made.ahead:
        say(f"the candidate is {count_of(made.ahead, 'state')} ahead: `ledger gate`")
    click.echo(made.event)
