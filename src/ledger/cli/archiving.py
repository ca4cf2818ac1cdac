"""Commands about the ledger's place on the disk: `archive` and `gc`."""

from __future__ import annotations

import re
import time
from pathlib import Path

import click

from ledger.cli.output import count_of, format_options, write_rows
from ledger.cli.session import id_option, open_ledger, say
from ledger.cli.sharedoptions import named_store, store_option
from ledger.moments import show_moment

_UNITS = {"h": 3600, "d": 86_400, "w": 604_800}
_AGE = re.compile(rf"([0-9]+)([{''.join(_UNITS)}])")


@click.command()
@click.option("--dry-run", is_flag=True, help="Only list what would be sealed or moved.")
@click.option(
    "--shared",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Move finished runs of the shared ledger to Parquet files in DIR instead.",
)
@store_option
@click.option("--keep", metavar="AGE", default="0h", help="With --shared: leave runs that ended within 7d.")
@click.option("--verify", is_flag=True, help="With --shared: prove what is in DIR, and move nothing.")
@format_options
def archive(
    dry_run: bool, shared: Path | None, store: str | None, keep: str, verify: bool, style: str
) -> None:
    """Seal the log so far: Parquet files instead of JSON lines.

    Each closed segment, and the open one, becomes sealed/<first>.parquet, a third of the size or less, which
    any DuckDB reads. The JSON lines go once the copy was read back from the disk. Everything else works as
    before.

    \b
    ledger archive --dry-run
    ledger archive
    ledger archive --shared /srv/ledger-archive --keep 7d
    """  # noqa: D301 - click reads the backspace
    if shared is not None:
        from ledger.cli.sharedarchiving import move, plan, prove

        before_ns = time.time_ns() - parse_age_ns(keep)
        if verify:
            prove(shared, style)
        elif dry_run:
            plan(named_store(store), shared, before_ns, style)
        else:
            move(named_store(store), shared, before_ns, style)
        return
    ledger = open_ledger()
    columns = ("first", "events", "log_bytes", "sealed_bytes")
    if dry_run:
        rows = [(*found, None) for found in ledger.store.unsealed()]
        write_rows(columns, rows, style)
        say(f"{count_of(len(rows), 'segment')} to seal: `ledger archive`")
        return
    seals = ledger.archive()
    write_rows(
        columns,
        [(s.first, s.last - s.first + 1, s.log_size_bytes, s.parquet_size_bytes) for s in seals],
        style,
    )
    before, after = sum(s.log_size_bytes for s in seals), sum(s.parquet_size_bytes for s in seals)
    if seals:
        say(f"sealed {count_of(len(seals), 'segment')}: {show_size(before)} are {show_size(after)} now")
    else:
        say("nothing to do: everything is sealed")


@click.command()
@click.option("--keep", required=True, metavar="AGE", help="Keep runs as young as that: 90d, 12w, 24h.")
@click.option("--apply", is_flag=True, help="Do it. There is no way back.")
@id_option
@format_options
def gc(keep: str, apply: bool, style: str) -> None:
    """List finished runs that are older than --keep; with --apply, take them out.

    Their events, the bodies that only they name, and their refs go; an event says which runs went. Open runs
    stay. The chain of hashes stays whole, so everything else can still be proved.

    \b
    ledger gc --keep 90d
    ledger gc --keep 90d --apply
    """  # noqa: D301 - click reads the backspace
    ledger = open_ledger()
    found = ledger.collect(parse_age_ns(keep), apply=apply)
    rows = [(run.run, run.last_v, show_moment(run.finished_at_ns)) for run in found.runs]
    write_rows(("run", "events", "finished_at"), rows, style)
    what = (
        f"{count_of(len(found.runs), 'run')}, {count_of(found.events, 'event')} "
        f"({show_size(found.events_size_bytes)} before compression), "
        f"{found.bodies} bodies ({show_size(found.bodies_size_bytes)})"
    )
    if not found.runs:
        say(f"nothing to do: no finished run is older than {keep}")
    elif apply:
        say(f"retired {what}")
        click.echo(found.event, err=style != "table")
    else:
        say(f"would retire {what}; nothing was changed: --apply does it")
    if found.left:
        say(f"bodies written within the last hour: {found.left}; they go with the next `ledger gc --apply`")


def parse_age_ns(text: str) -> int:
    """Return an age in nanoseconds, given as a number of hours, days or weeks.

    Raises:
        click.BadParameter: It is none.
    """
    match = _AGE.fullmatch(text)
    if match is None:
        raise click.BadParameter(f"{text!r} is no age; write 90d, 12w or 24h", param_hint="--keep")
    return int(match[1]) * _UNITS[match[2]] * 1_000_000_000


def show_size(size_bytes: int) -> str:
    """Return a size for people."""
    if size_bytes < 10_000:
        return f"{size_bytes} bytes"
    return (
        f"{size_bytes / (1 << 10):.0f} KiB" if size_bytes < 10 << 20 else f"{size_bytes / (1 << 20):.0f} MiB"
    )
