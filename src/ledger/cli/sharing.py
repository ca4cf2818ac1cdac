"""Commands of a shared ledger: `store`, `sync` and `pull`; and what is sent after every other command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ledger.cli.output import count_of, format_options, write_record, write_rows
from ledger.cli.session import id_option, limit_option, open_ledger, open_reader, say

if TYPE_CHECKING:
    from ledger.operations.pulling import Pulled
    from ledger.reading import LedgerReader


@click.command()
@click.argument("url", default="")
@click.option("--unset", is_flag=True, help="Use none any more.")
@click.option("--migrate", is_flag=True, help="Prepare the database at URL, as its owner.")
@format_options
def store(url: str, unset: bool, migrate: bool, style: str) -> None:
    """Show or set the shared store: a PostgreSQL database with the runs of many ledgers.

    Once it is set, each command sends what it has recorded, after it is done. LEDGER_STORE goes first;
    `none` there turns it off. A URL with a password is refused: libpq finds it in ~/.pgpass, PGPASSWORD or a
    service.

    \b
    ledger store postgresql://db.example/ledger
    ledger store
    ledger store --migrate postgresql://owner@db.example/ledger
    ledger store --unset
    """  # noqa: D301 - click reads the backspace
    if (migrate and not url) or (unset and (url or migrate)):
        raise click.UsageError("--migrate URL, --unset, or URL alone")
    if migrate:
        from ledger.sharing import check_url, migrate_store, without_password

        migrate_store(check_url(url))
        say("the database is prepared: grant ledger_writer and ledger_reader to who uses it")
        _write_store(without_password(url), "", style)
        return
    ledger = open_ledger()
    if unset:
        say("no shared store any more" if ledger.unset_store() else "nothing to do: none was set")
        return
    if url:
        ledger.set_store(url)
        say("what is here already is sent by `ledger sync`")
    found = ledger.shared_store()
    if found is None:
        say("none is set: `ledger store postgresql://HOST/DATABASE`")
    else:
        _write_store(*found, style)


def _write_store(url: str, where: str, style: str) -> None:
    if style == "table":
        click.echo(url)
        if where:
            say(f"as {where} says")
    else:
        write_record({"url": url, "set_by": where}, style)


class _Syncs(click.Group):
    """The group `sync`: without a command's name it is `sync store`."""

    def name_default(self, args: list[str]) -> list[str]:
        """Return the words with the command's name that may be left out."""
        return args if args and args[0] in (*self.commands, "--help", "-h") else ["store", *args]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Name the command that may be left out."""
        return super().parse_args(ctx, self.name_default(args))


@click.group(cls=_Syncs)
def sync() -> None:
    """Send what is only here: runs to the shared store, the refs of runs to a Git remote.

    \b
    ledger sync              this ledger's runs to the shared store
    ledger sync git          refs of runs to and from a Git remote
    """  # noqa: D301 - click reads the backspace


@sync.command("store")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be sent; asks the store.")
@format_options
def sync_store(*, dry_run: bool, style: str) -> None:
    """Send this ledger's runs to the shared store, as far as it lacks them; `ledger sync` does the same.

    Events go byte for byte, what they name before them; imported runs are their home's to send. Twice is
    once, and after a kill or a broken line the next time goes on where the store is.

    \b
    ledger sync store
    ledger sync --dry-run
    """  # noqa: D301 - click reads the backspace
    synced = open_reader().sync(dry_run=dry_run)
    rows = [(each.run, each.from_v, each.until_v, each.there_v, each.bodies) for each in synced.runs]
    for each in synced.runs:
        if each.there_v > each.until_v:
            say(f"note: {each.run}: the store is at :{each.there_v} already, this copy at :{each.until_v}")
    if style == "table":
        done = "would send" if dry_run else "sent"
        for each in (each for each in synced.runs if each.until_v > each.from_v):
            events, bodies = count_of(each.until_v - each.from_v, "event"), f"bodies: {each.bodies}"
            say(f"{done} {each.run}:{each.from_v + 1} to :{each.until_v}, {events}, {bodies}")
            click.echo(f"{each.run}:{each.until_v}")
        if not synced.runs:
            say("nothing to do: the store has all of it")
    else:
        write_rows(("run", "from_v", "until_v", "there_v", "bodies"), rows, style)


@sync.command()
@click.argument("remote", default="")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be pushed; asks the remote.")
@format_options
def git(remote: str, *, dry_run: bool, style: str) -> None:
    """Push the refs of this ledger's runs to a Git remote, and fetch those of others.

    REMOTE is the current branch's by default, else `origin`. Own refs go to `refs/ledger/RUN/…` there; what
    the remote has comes to `refs/ledger-remotes/REMOTE/RUN/…` here, with every object that a run begins from.
    A ref of another ledger is never forced.

    \b
    ledger sync git
    ledger sync git upstream --dry-run
    """  # noqa: D301 - click reads the backspace
    synced = open_ledger().sync_refs(remote, dry_run=dry_run)
    rows = [(each.way, each.ref, each.old or None, each.new or None) for each in synced.moved]
    if style == "table":
        for each in synced.moved:
            way = f"would be {each.way}" if dry_run else each.way
            say(f"{way} {each.ref}  {each.old[:12] or 'new'} → {each.new[:12] or 'gone'}")
        if not synced.moved:
            say(f"nothing to do: {synced.remote} has it already")
    else:
        write_rows(("way", "ref", "old", "new"), rows, style)
    if synced.retired:
        say(f"note: {synced.remote} has refs of runs that were retired here; what takes them away there:")
        say(f"  git push {synced.remote} --delete {' '.join(synced.retired)}")


@click.command()
@click.argument("names", nargs=-1, metavar="[RUN]...")
@click.option("--list", "list_", is_flag=True, help="List the runs of other ledgers; take none.")
@limit_option("What one run may take.")
@format_options
@id_option
def pull(names: tuple[str, ...], *, list_: bool, limit: int, style: str) -> None:
    """Take runs of other ledgers from the shared store, by default those that begin in this repository.

    RUN is a run's name, with its home in front where several have it, as --list shows them. Each is proved
    against this repository's objects before anything of it is written, as `ledger import` does; twice is
    once. `ledger run continue RUN` goes on from it.

    \b
    ledger pull --list
    ledger pull
    ledger pull fix-q4k4 4f1c29aa03be/port-x7d2
    """  # noqa: D301 - click reads the backspace
    if list_:
        if names:
            raise click.UsageError("--list lists them all: name none")
        rows = [
            (each.name, each.label, each.v, each.here_v, each.fits, each.title, each.archive or None)
            for each in open_reader().list_shared()
        ]
        write_rows(("run", "repository", "events", "here", "fits", "title", "archive"), rows, style)
        return
    pulled = open_ledger().pull(names, limit_bytes=limit << 20)
    _report_pulled(pulled, style)


def _report_pulled(pulled: list[Pulled], style: str) -> None:
    rows: list[tuple[str, str, int, int]] = []
    for run, imported in ((each.run, each.imported) for each in pulled):
        name, appended = run.run, 0 if imported is None else imported.appended
        rows.append((name, run.home, run.v, appended))
        if imported is None or not appended:
            say(f"nothing to do: {name} is here up to {name}:{run.v}")
            continue
        proved = "every tree" if not imported.unproved else f"trees up to {name}:{imported.proved_v}"
        say(f"pulled {name}: {count_of(appended, 'event')}, {proved} identical to the recorded ones")
        if imported.unproved:
            say(f"note: not replayed past {name}:{imported.proved_v}: {imported.unproved}")
    if not pulled:
        say("nothing to do: no run of another ledger begins in this repository (`ledger pull --list`)")
    if style == "table":
        for name, _, v, _ in rows:
            click.echo(f"{name}:{v}")
    else:
        write_rows(("run", "home", "v", "appended"), rows, style)


def send_after(ledger: LedgerReader) -> None:
    """Send what a command has recorded to the shared store; where that fails, say in a line what waits.

    The command is done: nothing here changes how it ended.
    """
    from ledger.errors import LedgerError

    try:
        synced = ledger.sync_after()
    except (LedgerError, OSError) as error:
        reason = " ".join(str(error).split())
        waiting = ledger.unsent()
    except KeyboardInterrupt:
        reason, waiting = "interrupted", ledger.unsent()
    else:
        reason, waiting = "it takes long", synced.waiting
    if waiting:
        events = "1 event waits" if waiting == 1 else f"{waiting} events wait"
        say(f"warning: {events} for the shared store ({reason}): `ledger sync`")
