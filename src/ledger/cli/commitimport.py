"""The command `import git`: commits as the patches of a run, and how far it has come."""

from __future__ import annotations

import sys
import time

import click

from ledger.cli.output import count_of
from ledger.cli.progress import time_left
from ledger.cli.session import allow_secrets_option, id_option, open_ledger, say

_REFRESH_S = 0.2
_REMIND_S = 10.0
_SHOWN = 10


class _CommitCount:
    """How many commits are in: a line that changes on a terminal, elsewhere one now and then."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._next_s = time.monotonic() + (_REFRESH_S if self._live else _REMIND_S)
        self._shown = False
        self._began_s = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """Say it, if it was not said a moment ago."""
        now = time.monotonic()
        if now < self._next_s:
            return
        self._next_s = now + (_REFRESH_S if self._live else _REMIND_S)
        self._shown = True
        if self._live:
            left = time_left(done, total, now - self._began_s)
            click.echo(f"\r\x1b[2K{done} of {total} commits{left}", err=True, nl=False)
        else:
            say(f"{done} of {total} commits")

    def clear(self) -> None:
        """Take the line away."""
        if self._live and self._shown:
            click.echo("\r\x1b[2K", err=True, nl=False)


@click.command()
@click.argument("commits", metavar="A..B")
@click.option("--run", "name", default="", metavar="NAME", help="The run's name; by default one is made.")
@click.option("--root", is_flag=True, help="From the very first commit: name the last one alone.")
@allow_secrets_option
@id_option
def git(commits: str, name: str, root: bool, allow_secrets: bool) -> None:
    """Take commits in as the patches of a run.

    A..B are the commits that B has and A has not, along first parents: a merge counts as what it brings
    to the branch. Each becomes one patch, whose result is the commit's tree, with author, date and message;
    a commit that changes no file is linked to the state before it. References by commit know them all:
    `ledger cat FILE --at COMMIT`.

    The run belongs to no work tree and is finished at once: work tree, HEAD and the open run stay as they
    are. Twice is once; where it was stopped, the same command goes on.

    \b
    ledger import git main..topic
    ledger import git v1.0.. --run since-v1
    ledger import git --root HEAD
    """  # noqa: D301 - click reads the backspace
    since, dots, until = commits.partition("..")
    if bool(dots) == root or until.startswith("."):
        raise click.UsageError("name commits as A..B, or the last one alone with --root")
    count = _CommitCount()
    try:
        imported = open_ledger().import_commits(
            (until if dots else since) or "HEAD",
            (since or "HEAD") if dots else None,
            name=name,
            allow_secrets=allow_secrets,
            progress=count,
        )
    finally:
        count.clear()
    new = imported.commits - imported.known
    if not new:
        say(f"nothing to do: run {imported.run} has these {count_of(imported.commits, 'commit')}")
    else:
        base = "nothing" if imported.base is None else imported.base[:12]
        more = f" after the {imported.known} that it had" if imported.known else f", from {base} on"
        say(f"imported {count_of(new, 'commit')} as run {imported.run}{more}: every tree is the commit's")
    if imported.merges:
        say(f"note: {count_of(imported.merges, 'merge')} taken as what they bring to their first parents")
    if imported.empty:
        say(f"note: {count_of(imported.empty, 'commit')} change no file: linked, no patch")
    if imported.secrets:
        say(f"note: taken with secrets, as allowed: {_listed(imported.secrets)}")
    for warning in imported.warnings[:_SHOWN]:
        say(f"warning: {warning}")
    if len(imported.warnings) > _SHOWN:
        say(f"warning: … and {len(imported.warnings) - _SHOWN} more like these")
    click.echo(imported.event)


def _listed(found: tuple[str, ...]) -> str:
    more = len(found) - _SHOWN
    return ", ".join(found[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
