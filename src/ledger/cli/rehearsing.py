"""`--dry-run`: a command carried out on a copy, and the events that it appends there, printed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from ledger.cli.documents import Captured, foretold, schema_name
from ledger.cli.globaloptions import OF_PROGRAMS, session_of
from ledger.cli.output import encode_json, show_text
from ledger.cli.session import open_ledger, say

if TYPE_CHECKING:
    from collections.abc import Mapping

_SAID_AT_ONCE = ("event", "kind", "run", "v", "actor")


def rehearse(
    command: Callable[[], Any], also: Callable[[Any], list[dict[str, object]]] = lambda _: []
) -> None:
    """Carry a command out on a copy of the repository and print what it appends there.

    The repository is only read. What the command prints itself is kept back; an error is the same error.

    Args:
        command: Uses the ledger of the running command's session.
        also: Gets what it returns; gives what is known of events that it would have appended after that.
    """
    from ledger.rehearsals import rehearsed

    context = click.get_current_context()
    session = session_of(context)
    ledger = open_ledger()
    with (
        rehearsed(ledger.repository, ledger.directory) as copy,
        session.elsewhere(copy),
        Captured() as captured,
    ):
        later: list[dict[str, object]] = []
        try:
            later = also(command())
        except click.exceptions.Exit as stop:
            captured.exit_code = stop.exit_code
        except Exception as error:
            # What it says of events that were recorded is true of the copy alone.
            error.add_note("a dry run, on a copy: nothing was written, nothing of this is recorded")
            raise
        events = [foretold(event) for event in session.appended] + later
    session.appended.clear()
    if session.style in OF_PROGRAMS:
        click.echo(encode_json({"schema": schema_name(), "dry_run": True, "events": events}))
    else:
        for event in events:
            _print(event)
    count = f"{len(events)} event{'' if len(events) == 1 else 's'}"
    say(f"dry run: {count} would be appended, nothing was written")
    if captured.exit_code:
        context.exit(captured.exit_code)


def _print(event: Mapping[str, object]) -> None:
    """Print an event's kind and where it would be, and its fields below."""
    click.echo(f"{event['kind']}  {event.get('event', '')}".rstrip())
    for name, value in event.items():
        if name not in _SAID_AT_ONCE and value:
            click.echo(f"  {name}  {show_text(value)}")
