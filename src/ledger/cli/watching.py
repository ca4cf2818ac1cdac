"""The command `watch`: one line for each recorded change, until it is stopped."""

from __future__ import annotations

import signal
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import click

from ledger.cli.failures import hint_of
from ledger.cli.globaloptions import OF_PROGRAMS
from ledger.cli.output import count_of, format_options, write_rows
from ledger.cli.session import allow_secrets_option, open_ledger, readable, say, share
from patches.errors import show_path

if TYPE_CHECKING:
    from types import FrameType

    from ledger.operations.outcome import Applied
    from ledger.operations.watching import Recorded, Refused, Watch

_SHOWN = 5


class _Interrupts:
    """Lets Ctrl-C and a polite kill end a pause at once, and a step when it is through.

    The second one ends everything at once.
    """

    def __init__(self) -> None:
        self._busy = self._asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None, /) -> None:  # noqa: ARG002 - signal's signature
        if self._asked or not self._busy:
            raise KeyboardInterrupt
        self._asked = True

    @contextmanager
    def deferred(self) -> Generator[None]:
        """Let a step come to its end first."""
        self._busy = True
        yield
        self._busy = False
        if self._asked:
            raise KeyboardInterrupt


def _duration(context: click.Context, parameter: click.Parameter, text: str) -> float:  # noqa: ARG001
    from ledger.gates.documents import Unfit, parse_duration

    try:
        return parse_duration(text)
    except Unfit:
        raise click.BadParameter(f"{text!r} is no time; write 2s, 0.5s or 1m") from None


@click.command()
@click.option(
    "--quiet",
    "quiet_s",
    default="2s",
    show_default=True,
    callback=_duration,
    metavar="TIME",
    help="Record when nothing has changed for that long.",
)
@click.option("-m", "--message", default="", help="Why: kept with each event.")
@click.option("--once", is_flag=True, help="Record one change and exit; what cannot be recorded is an error.")
@allow_secrets_option
@format_options
def watch(quiet_s: float, message: str, once: bool, allow_secrets: bool, style: str) -> None:
    """Record what is edited, whenever the work tree stands still. Ends with Ctrl-C.

    Records as `ledger record` does, in the open run: what is saved together, within the quiet time, is one
    event. A file that is being written is never recorded half. While another command works, watch waits; no
    command ever waits for watch. What cannot be recorded (a secret, HEAD at another commit, no open run) is
    said once, and recorded when it can be. A file that goes on changing is left out after a while, and the
    rest recorded.

    \b
    ledger watch
    ledger watch --quiet 0.5s -m "by hand" --json
    ledger watch --once && make test
    """  # noqa: D301 - click reads the backspace
    ledger = open_ledger()
    recorded = 0
    with closing(ledger.watch(quiet_s, note=readable(message), allow_secrets=allow_secrets)) as watched:
        try:
            interrupts = _Interrupts()
            say(f"watching {ledger.repository.work_dir}; Ctrl-C ends it")
            for _ in _changes(watched, interrupts, once=once, as_json=style in OF_PROGRAMS):
                recorded += 1
                if once:
                    return
                share(ledger)
        except KeyboardInterrupt:
            _say_end(watched, recorded)


def _changes(watched: Watch, interrupts: _Interrupts, *, once: bool, as_json: bool) -> Generator[None]:
    """Drive a watch; yield after each change that was recorded and printed."""
    from ledger.operations.watching import Recorded, Refused

    while True:
        with interrupts.deferred():
            step = watched.step()
            # Printed before an interrupt counts: what is recorded is told.
            if isinstance(step, Recorded):
                _tell(step, as_json=as_json)
        if isinstance(step, Recorded):
            yield
        elif isinstance(step, Refused):
            if once:
                raise step.error
            _tell_refused(step, as_json=as_json)
        time.sleep(step.pause_s)


def _tell(recorded: Recorded, *, as_json: bool) -> None:
    applied = recorded.applied
    if as_json:
        files = [
            {
                "path": show_path(file.path),
                "old_path": None if file.old_path is None else show_path(file.old_path),
                "operation": file.operation,
                "added": file.added,
                "removed": file.removed,
            }
            for file in applied.files
        ]
        row = (applied.event, applied.tree, files, applied.configures, recorded.moving, applied.warnings)
        write_rows(("event", "tree", "files", "configures", "moving", "warnings"), [row], "jsonl")
        return
    click.echo(f"{applied.event}  {_summary(applied)}")
    for path in applied.configures:
        say(f"note: touches the gates' own configuration: {path}")
    for path in recorded.moving:
        say(f"note: left out, as it goes on changing: {path}")
    for warning in (*applied.left_alone, *applied.warnings):
        say(f"warning: {warning}")


def _summary(applied: Applied) -> str:
    names = [show_path(file.path) for file in applied.files]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    added, removed = (sum(getattr(f, name) for f in applied.files) for name in ("added", "removed"))
    return f"{count_of(len(names), 'file')} +{added} -{removed}: {', '.join(names[:_SHOWN])}{more}"


def _tell_refused(refused: Refused, *, as_json: bool) -> None:
    # What did not apply is quoted, and may be a line that holds a secret.
    from ledger.secrets.masking import mask_text

    kind, message, hint = type(refused.error).__name__, mask_text(str(refused.error)), hint_of(refused.error)
    if as_json:
        write_rows(("refused", "message", "hint"), [(kind, message, hint)], "jsonl")
        return
    say(f"not recorded: {message}")
    if hint:
        say(f"hint: {hint}")


def _say_end(watched: Watch, recorded: int) -> None:
    left = watched.unrecorded()
    rest = f"{count_of(left, 'file')} not recorded: `ledger record`" if left else "nothing is left unrecorded"
    say(f"\nrecorded {count_of(recorded, 'event')}; {rest}")
