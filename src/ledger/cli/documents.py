"""Documents: what a command prints for programs, each naming its schema and that schema's version.

A schema's version is raised where a name goes or changes its meaning; new names may come at any time.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from ledger.cli.session import Session
    from ledger.events import AnyEvent

VERSIONS: dict[str, int] = {}
"""The versions of the schemas that are not 1 any more."""

_OF_THE_WRITER = ("id", "at_ns", "prev", "request")


def schema_name() -> str:
    """Return the name of what the running command prints: ``ledger.log/1``."""
    context = click.get_current_context(silent=True)
    name = "ledger" if context is None else context.command_path.replace(" ", ".")
    return f"{name}/{VERSIONS.get(name, 1)}"


class Captured:
    """What is printed on standard output while this is entered, instead of being printed."""

    def __init__(self) -> None:
        self.exit_code = 0
        self._bytes = io.BytesIO()
        self._stream = io.TextIOWrapper(self._bytes, "utf-8", write_through=True)

    def __enter__(self) -> Captured:
        self._before, sys.stdout = sys.stdout, self._stream
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.flush()
        sys.stdout = self._before

    @property
    def text(self) -> str:
        """All of it; bytes that are not UTF-8 are escaped."""
        return self._bytes.getvalue().decode("utf-8", "backslashreplace")


def write_document(session: Session, captured: Captured) -> None:
    """Print what a command printed as one document, with the events that it appended."""
    from ledger.cli.output import encode_json

    document: dict[str, object] = {"schema": schema_name(), "output": captured.text}
    document["events"] = [told(event) for event in session.appended]
    click.echo(encode_json(document))


def told(event: AnyEvent) -> dict[str, object]:
    """Return an event for programs: its reference, its kind, its fields."""
    import msgspec

    fields: Mapping[str, Any] = msgspec.to_builtins(event)
    return {"event": event.reference, "kind": event.kind, **fields}


def foretold(event: AnyEvent) -> dict[str, object]:
    """Return an event that was not appended: without what only its writer could say, as id and time."""
    return {name: value for name, value in told(event).items() if name not in _OF_THE_WRITER}
