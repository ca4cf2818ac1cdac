"""Completion: the events, runs, gates and phases that a word may become, in bash, zsh and fish.

A shell waits for it at every Tab: SQL is never asked, and where there is no ledger there are no words.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem
from click.types import StringParamType

from ledger.cli.globaloptions import session_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.reading import LedgerReader

_SHOWN = 40
_EVENTS = ("event", "events", "old", "new", "start", "good", "bad", "reuse", "again", "at")
_RUNS = ("runs", "what", "of_run")
_GATES = (("gate", "names"), ("gate", "skip"), ("bisect", "gate"))


class _Words(StringParamType):
    """A text of which the ledger knows the words that it may be."""

    def words(self, ledger: LedgerReader) -> Iterator[tuple[str, str]]:
        """Yield the words, each with what it is."""
        raise NotImplementedError

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002 - click's signature
        incomplete: str,
    ) -> list[CompletionItem]:
        """See `click.ParamType.shell_complete`."""
        from ledger.errors import LedgerError

        try:
            found = list(self.words(session_of(ctx).reader))
        except (LedgerError, OSError):
            return []
        return [CompletionItem(word, help=said) for word, said in found if word.startswith(incomplete)]


class Events(_Words):
    """An event: the newest of the current run, and of another run the newest of that."""

    def words(self, ledger: LedgerReader) -> Iterator[tuple[str, str]]:
        """Yield the events, the newest first."""
        yield from (("@", "the latest"), ("@-1", "the one before"), ("green", "the accepted state"))
        run, v = ledger.resolve("@")
        for event in islice(ledger.events_backward(run, v), _SHOWN):
            yield event.reference, event.kind.partition("/")[0]


class Runs(_Words):
    """A run."""

    def words(self, ledger: LedgerReader) -> Iterator[tuple[str, str]]:
        """Yield the runs, the newest first."""
        for head in ledger.runs():
            yield head.run, head.title


class Gates(_Words):
    """A gate of the policy in force."""

    def words(self, ledger: LedgerReader) -> Iterator[tuple[str, str]]:
        """Yield the gates."""
        policy = ledger.policy()
        for name, rule in policy.profiles[policy.profile].gates.items():
            yield name, rule.mode


class Phases(_Words):
    """A phase."""

    def words(self, ledger: LedgerReader) -> Iterator[tuple[str, str]]:  # noqa: ARG002 - the same in any
        """Yield the phases, in order."""
        from ledger.policies import PHASE_NAMES

        yield from PHASE_NAMES.items()
        yield "next", "the one after the present one"


def complete(command: click.Command) -> None:
    """Let the parameters of a command be completed that stand for an event, a run, a gate or a phase."""
    for param in command.params:
        if type(param.type) is not StringParamType:
            continue
        if (command.name, param.name) in _GATES:
            param.type = Gates()
        elif (command.name, param.name) == ("phase", "name"):
            param.type = Phases()
        elif param.name in _RUNS:
            param.type = Runs()
        elif param.name in _EVENTS:
            param.type = Events()
