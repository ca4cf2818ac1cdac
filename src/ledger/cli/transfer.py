"""Commands that carry runs from one clone to another: `export` and `import`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ledger.cli.commitimport import git
from ledger.cli.errorimport import errors
from ledger.cli.output import count_of
from ledger.cli.session import id_option, limit_option, open_ledger, say


@click.command()
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option(
    "-o", "--output", required=True, metavar="FILE", help='The file to write; "-": standard output.'
)
@click.option("--all", "every", is_flag=True, help="Every run.")
@click.option("--force", is_flag=True, help="Replace FILE where it exists.")
def export(runs: tuple[str, ...], output: str, every: bool, force: bool) -> None:
    """Write runs as one file, to take into another clone or to keep.

    The file has their events as they are stored, every body that they name, and the names of the
    Git objects that they begin from, which it does not have. RUN is the current run by default.

    \b
    ledger export -o run.zip
    ledger export --all -o runs.zip
    """  # noqa: D301 - click reads the backspace
    ledger = open_ledger()
    if every and runs:
        raise click.UsageError("--all is every run: name none")
    if output == "-" and sys.stdout.isatty():
        raise click.UsageError("a terminal cannot show it: -o FILE, or redirect it")
    names = [head.run for head in ledger.runs()] if every else list(runs) or [ledger.resolve("@")[0]]
    target = sys.stdout.buffer if output == "-" else Path(output)
    exported = ledger.export_runs(names, target, force=force)
    for name, last_v in exported.runs:
        say(f"exported {name}: {count_of(last_v, 'event')}")
    if exported.dropped:
        say(f"note: without {exported.dropped} of the bodies, which were dropped")
    if output != "-":
        click.echo(output)


class _Imports(click.Group):
    """The group `import`: what is none of its commands is the file of `ledger import runs`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Name the command that may be left out."""
        if args and args[0] not in (*self.commands, *ctx.help_option_names, "-h"):
            args = ["runs", *args]
        return super().parse_args(ctx, args)


@click.group("import", cls=_Imports)
def import_() -> None:
    """Take in what was kept elsewhere: runs of another clone, commits of Git, errors of old files.

    \b
    ledger import runs.bundle          the runs of an export file
    ledger import git v1.0..v1.1       commits, as the patches of a run
    ledger import errors errors.ndjson the errors of files that people kept

    A file that is named as one of the commands is reached with its directory: `ledger import ./errors`.
    """  # noqa: D301 - click reads the backspace


import_.add_command(errors)
import_.add_command(git)


@import_.command("runs")
@click.argument("file", type=click.Path(path_type=Path))
@limit_option("What it may unpack to.")
@id_option
def import_runs(file: Path, limit: int) -> None:
    """Take the runs of an export file into this ledger, into any clone of the repository.

    The command's name may be left out: `ledger import FILE`.

    Before anything is written, the chain of the events, every state and every patch are proved
    against this repository's objects. The events are then the same, byte for byte. Twice is once; a
    later export of the same run brings what is new. Nobody goes on with an imported run here: its
    home is where it was started.

    \b
    ledger import runs run.zip
    """  # noqa: D301 - click reads the backspace
    for run in open_ledger().import_runs(file, limit_bytes=limit << 20):
        if not run.appended:
            say(f"nothing to do: {run.run} is here up to {run.run}:{run.last_v}")
        else:
            proved = "every tree" if not run.unproved else f"trees up to {run.run}:{run.proved_v}"
            events = count_of(run.appended, "event")
            say(f"imported {run.run}: {events}, {proved} identical to the recorded ones")
        if run.unproved:
            say(f"note: not replayed past {run.run}:{run.proved_v}: {run.unproved}")
        click.echo(f"{run.run}:{run.last_v}")
