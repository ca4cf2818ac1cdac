"""The command `report`: a run as one file for a browser."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ledger.cli.output import count_of
from ledger.cli.session import open_reader, say


@click.command()
@click.argument("run", default="@")
@click.option(
    "-o", "--output", required=True, metavar="FILE", help='The file to write; "-": standard output.'
)
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    metavar="MIB",
    help="What patches, contents and notes may have together, unpacked: the newest come first.",
)
@click.option("--force", is_flag=True, help="Replace FILE where it exists.")
def report(run: str, output: str, limit: int, force: bool) -> None:
    """Write a run as one HTML file, to look at or to send: it needs no server and no network.

    RUN is a run, or an event to end at; by default the current run. The file has a slider through the
    events, the files and patches at each of them, and what the gates measured. It says itself what was left
    out. Secrets of known shapes are masked.

    \b
    ledger report fix-2kf9 -o run.html
    ledger report green -o accepted.html
    """  # noqa: D301 - click reads the backspace
    if output == "-" and sys.stdout.isatty():
        raise click.UsageError("a terminal cannot show it: -o FILE, or redirect it")
    target = sys.stdout.buffer if output == "-" else Path(output)
    written = open_reader().write_report(target, run, limit_bytes=limit << 20, force=force)
    say(f"wrote {written.event} as {count_of(written.size_bytes, 'byte')}")
    for each in written.left_out:
        say(f"  left out: {each}")
    if output != "-":
        click.echo(output)
