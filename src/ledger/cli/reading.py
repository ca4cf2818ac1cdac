"""Commands that read. They need no lock, change nothing, and take ``--format``."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import click

from ledger.cli.looking import at_option, path_in
from ledger.cli.output import count_of, for_terminal, format_options, show_text, write_record, write_rows
from ledger.cli.paging import paged
from ledger.cli.session import open_ledger, open_reader, warn_of_network
from ledger.cli.times import is_for_people, show_time
from ledger.moments import show_moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ledger.events import AnyEvent
    from ledger.filerecords import FileRecord
    from ledger.reading import LedgerReader
    from ledger.status import Status


@click.command("id")
def id_() -> None:
    """Print a new id, for the --id of a writing command.

    \b
    id=$(ledger id)
    ledger apply --id "$id" fix.diff   until an answer comes: it is applied once
    """  # noqa: D301 - click reads the backspace
    from ledger.stamps import Stamp

    stamp = Stamp()
    click.echo(stamp.new_id(stamp.clock()))


@click.command()
@format_options
def status(style: str) -> None:
    """Show the open run, and edits that the ledger does not know.

    \b
    ledger status
    ledger status --json
    """  # noqa: D301 - click reads the backspace
    from patches.errors import show_path

    found = open_reader().status()
    head = found.run
    drift = [f"{drift.status} {show_path(drift.path)}" for drift in found.drift]
    record: dict[str, object] = {
        "run": None if head is None else head.run,
        "event": None if head is None else f"{head.run}:{head.v}",
        "candidate": found.candidate,
        "base": None if head is None else head.base_tree,
        "head": found.head_commit,
        "pending": found.pending,
        "drift": drift,
        "phase": None if head is None else head.phase or None,
        "profile": None if head is None else head.profile,
        "accepted": None if found.accepted is None else found.accepted.tree,
        "accepted_event": None
        if head is None or found.accepted is None
        else f"{head.run}:{found.accepted.v}",
        "tickets": found.tickets,
        "questions": found.questions,
        "configuration": found.configuration or None,
        "notes": found.notes,
        "head_moved": found.head_moved,
        "size_bytes": found.usage.size_bytes,
        "closed_segments": found.usage.waiting,
        "unexported": found.unexported,
        "network": found.network or None,
        "shared": found.shared or None,
        "unsent": found.unsent if found.shared else None,
    }
    if style != "table":
        write_record(record, style)
        return
    if head is None:
        click.echo("no run is open; `ledger apply FILE` or `ledger run start TITLE` starts one")
    else:
        events = count_of(head.v, "event")
        click.echo(f"run {head.run} ({show_text(head.title)}), {events}, last {head.run}:{head.v}")
        click.echo(f"candidate tree {found.candidate[:12]}, base {head.base_tree[:12]}")
        _echo_standing(found)
    if found.network:
        warn_of_network(found.network)
    if found.pending:
        click.echo("the work tree is behind the log after a crash; the next writing command finishes it")
    if drift:
        remedy = "" if found.head_moved else " (`ledger record` takes it in)"
        click.echo(f"edited past the ledger{remedy}:")
        for line in drift:
            click.echo(f"  {line}")
    else:
        click.echo("the work tree is the candidate tree")
    _echo_usage(found)
    if found.unsent:
        click.echo(f"{count_of(found.unsent, 'event')} not in the shared store yet (`ledger sync`)")
    if len(found.unexported) == 1:
        (name,) = found.unexported
        click.echo(f"note: run {name} exists nowhere else (`ledger export {name} -o FILE`)")
    elif found.unexported:
        click.echo(
            f"note: {len(found.unexported)} finished runs exist nowhere else (`ledger export --all -o FILE`)"
        )


def _echo_usage(found: Status) -> None:
    """Print what is worth knowing of the ledger's place on the disk."""
    if found.usage.waiting:
        click.echo(f"{count_of(found.usage.waiting, 'closed segment')} to seal (`ledger archive`)")
    if found.too_large:
        size = f"{found.usage.size_bytes / (1 << 20):.0f} MiB"
        limit = f"storage.warn-size-mb = {found.storage.warn_size_mb}"
        click.echo(f"warning: the ledger takes {size} ({limit}): `ledger archive`, `ledger gc --keep 90d`")


def _echo_standing(found: Status) -> None:
    """Print how the open run stands with its gates."""
    from ledger.operations.notes import one_line
    from ledger.policies import PHASE_NAMES

    head, accepted = found.run, found.accepted
    assert head is not None
    if head.phase:
        click.echo(f"phase {head.phase}, {PHASE_NAMES.get(head.phase, '')}")
    if accepted is None:
        click.echo(f"profile {head.profile}, nothing accepted yet")
    elif accepted.tree == found.candidate:
        click.echo(f"profile {head.profile}, the candidate is accepted")
    else:
        click.echo(f"profile {head.profile}, accepted {head.run}:{accepted.v}, tree {accepted.tree[:12]}")
    if found.head_moved:
        click.echo("HEAD is at a commit that the run does not explain (`ledger run rebase`)")
    if found.tickets:
        click.echo(f"open tickets: {', '.join(found.tickets)} (`ledger tickets`)")
    if found.questions:
        click.echo(f"unanswered errors: {', '.join(found.questions)} (`ledger questions --open`)")
    if found.configuration:
        click.echo(f"{one_line(found.configuration)} (`ledger policy diff`)")
    for note in found.notes:
        click.echo(f"note: {note}")


@click.command()
@click.argument("what", metavar="[RUN] [PATH]", nargs=-1)
@click.option("-n", "--max-count", type=click.IntRange(0), help="Show at most this many events.")
@at_option
@format_options
@paged
def log(what: tuple[str, ...], max_count: int | None, event: str, style: str) -> None:
    """List a run's events, the newest first; with PATH, those that changed it.

    RUN is the current run by default: the open one, or else the last one. A file is followed under the
    names that it had before; a directory stands for all below it.

    \b
    ledger log -n 5
    ledger log src/app.py
    ledger log fix-q4k4 --json
    """  # noqa: D301 - click reads the backspace
    from ledger.events import RUN_NAME
    from ledger.reference_errors import NoSuchPath

    ledger = open_reader()
    run, path = _run_and_path(ledger, what)
    run, until_v = _until(ledger, run, event)
    found: Iterator[AnyEvent]
    if path is None:
        found = ledger.events_backward(run, until_v)
    else:
        found = (touched.event for touched in ledger.file_events(path, f"{run}:{until_v}"))
    try:
        rows = [_log_row(event, style) for event in islice(found, max_count)]
    except NoSuchPath as error:
        if len(what) == 1 and RUN_NAME.fullmatch(what[0]):
            error.add_note(f"nor is there a run {what[0]}: `ledger run list` lists them")
        raise
    write_rows(("event", "at", "kind", "actor", "summary"), rows, style)


def _log_row(event: AnyEvent, style: str) -> tuple[str, str, str, str, str]:
    from ledger.reports.summaries import summarise

    actor = event.actor.name or event.actor.kind
    at = show_time(event.at_ns, style)
    return event.reference, at, event.kind.partition("/")[0], actor, summarise(event)


def _until(ledger: LedgerReader, run: str, event: str) -> tuple[str, int]:
    """Return the run and version to end at; where a run is named, the event is of that run."""
    if not run:
        return ledger.resolve(event)
    return run, ledger.resolve_range(f"{run}:..{event}").until_v


def _run_and_path(ledger: LedgerReader, what: Sequence[str]) -> tuple[str, bytes | None]:
    """Tell a run's name from a path: what is both is the run, and ``./`` before it makes it the path."""
    if len(what) > 2:
        raise click.UsageError("at most a run and a path")
    if what and (what[0] in ledger.store.heads() or len(what) > 1):
        run, path = what[0], what[1:]
    else:
        run, path = "", what
    return run, path_in(ledger, path[0]) if path else None


@click.command()
@click.argument("event", default="@")
@format_options
@paged
def show(event: str, style: str) -> None:
    """Show one event: its facts, its files, its note and its patch.

    \b
    ledger show
    ledger show 4
    ledger show fix-q4k4:4 --json
    """  # noqa: D301 - click reads the backspace
    import msgspec

    from ledger.events import PatchApplied, PatchRefused, RunStarted, TreeEvent
    from ledger.redaction import bodies_of

    ledger = open_reader()
    found = ledger.event(event)
    record = {"event": found.reference, **msgspec.to_builtins(found), "at": show_moment(found.at_ns)}
    # Reports and listings are for programs: `ledger sql` and `ledger state` show what they hold.
    texts = {name: digest for name, digest in bodies_of(found).items() if name not in ("report", "listing")}
    bodies = {name: _body_or_drop(ledger, str(digest)) for name, digest in texts.items()}
    if style != "table":
        shown = {f"{name}_text": data.decode("utf-8", "backslashreplace") for name, data in bodies.items()}
        write_record({**record, **shown}, style)
        return
    record.pop("files", None)
    if is_for_people(style):
        record["at"] = f"{record['at']} ({show_time(found.at_ns, style)})"
    if isinstance(found, PatchApplied | PatchRefused) and (asked := str(found.options.asked)):
        record["options"] = asked
    write_record(record, style)
    if isinstance(found, TreeEvent) and not isinstance(found, RunStarted):
        click.echo()
        _write_files(found.files)
    for name, data in bodies.items():
        click.echo(f"\n{name}:")
        click.echo(for_terminal(data))


def _body_or_drop(ledger: LedgerReader, digest: str) -> bytes:
    """Return a body, or who dropped it."""
    from ledger.errors import DroppedBody

    try:
        return ledger.body(digest)
    except DroppedBody as error:
        return f"dropped by {error.dropped_by}".encode()


def _write_files(files: Sequence[FileRecord]) -> None:
    from ledger.filerecords import parse_path
    from patches.errors import show_path

    rows = [
        (
            file.operation,
            show_path(parse_path(file.path)),
            None if file.old_path is None else show_path(parse_path(file.old_path)),
            file.old_mode if file.mode is None else file.mode,
            file.added,
            file.removed,
        )
        for file in files
    ]
    write_rows(("operation", "path", "old_path", "mode", "added", "removed"), rows, "table")


@click.command()
@format_options
def path(style: str) -> None:
    """Print the ledger's directory.

    It is printed whether or not there is a ledger yet.

    \b
    ledger path
    du -sh "$(ledger path)"
    """  # noqa: D301 - click reads the backspace
    found = open_ledger().path
    if style == "table":
        click.echo(found)
    else:
        write_record({"path": str(found)}, style)
