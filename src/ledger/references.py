"""References to events, as `resolve` takes them, and ranges of events.

| reference | names |
|---|---|
| ``<run>:<v>``, ``<v>`` | that version |
| ``@``, ``@-3``, ``<run>`` | the latest event, the third before it, a run's latest |
| ``@{2026-11-20 14:00}``, ``@{2 hours ago}`` | the last event by that time |
| ``green`` | the event whose state is the accepted one |
| ``phase:P3`` | the event by which the run went to P3 |
| ``patch:-1``, ``patch:2`` | the last patch, the second one |
| a commit, a branch, ``HEAD~2`` | the state that the commit is known to have |

All but a commit take ``<run>:`` in front.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from ledger.events import (
    RUN_NAME,
    AnyEvent,
    CommitSeen,
    PatchApplied,
    PhaseEntered,
    RunRebased,
    RunStarted,
)
from ledger.heads import RunHead
from ledger.history import History
from ledger.moments import parse_moment, show_moment
from ledger.reference_errors import AmbiguousReference, UnknownReference

_SEPARATOR = ".."  # in no run name: one dot of it stands between letters or digits
_FORM = re.compile(
    rf"(?:(?!patch:-?[0-9]+$)(?P<run>{RUN_NAME.pattern}):)?"
    r"(?:(?P<version>[0-9]{1,18})|@(?:-(?P<back>[0-9]{1,18}))?|@\{(?P<moment>[^}]*)\}|(?P<green>green)"
    r"|phase:(?P<phase>P[1-6])|patch:(?P<patch>-?[0-9]{1,18}))"
)
_FORMS = (
    "write `<run>:<version>`, a version, `@-3`, `green`, `phase:P3`, `patch:-1`, `@{2 hours ago}` or a commit"
)


class EventRange(NamedTuple):
    """The events of a run past version ``after_v`` up to ``until_v``, as ``RUN:A..B`` names them."""

    run: str
    after_v: int
    until_v: int

    def __str__(self) -> str:
        """Return the reference."""
        return f"{self.run}:{self.after_v}..{self.until_v}"


class References:
    """What references mean in one ledger at one time."""

    def __init__(
        self,
        heads: Mapping[str, RunHead],
        current: str | None,
        events: Callable[[str], Iterator[AnyEvent]],
        find_commit: Callable[[str], str | None],
        clock: Callable[[], int],
    ) -> None:
        """Take what references are looked up in.

        Args:
            heads: The head of every run.
            current: The run that short forms mean, None where there is none.
            events: Gives a run's events in order; asked only for what versions alone do not answer.
            find_commit: Gives the full id of the commit that a text names in Git, None where it names none.
            clock: Gives the present in nanoseconds since 1970, which ``@{2 hours ago}`` counts from.
        """
        self._heads, self._current = heads, current
        self._events, self._find_commit = events, find_commit
        self._clock = clock

    def resolve(self, reference: str) -> tuple[str, int]:
        """Return the run and version that a reference names.

        Raises:
            UnknownReference: It is no reference, or there is no such event.
            AmbiguousReference: It names several.
        """
        form = _FORM.fullmatch(reference)
        if form is None:
            return self._resolve_name(reference)
        word = "green" if form["green"] else "patch" if form["patch"] else ""
        if word and not form["run"] and word in self._heads and word != self._current:
            raise AmbiguousReference(reference, [f"{self._current}:{reference}", f"{word}:@"])
        run = form["run"] or self._current
        if not run:
            raise UnknownReference(reference, "there is no current run; write `<run>:<version>`")
        head = self._head(reference, run)
        if form["version"]:
            v = int(form["version"])
        elif form["moment"] is not None:
            v = self._at_moment(reference, run, form["moment"])
        elif form["green"]:
            v = History.of(self._events(run)).accepted.v
        elif form["phase"]:
            v = self._of_phase(reference, run, form["phase"])
        elif form["patch"]:
            v = self._of_patch(reference, run, int(form["patch"]))
        else:
            v = head.v - int(form["back"] or 0)
        if not 1 <= v <= head.v:
            raise UnknownReference(reference, f"run {run} has the versions 1 to {head.v}")
        return run, v

    def resolve_range(self, text: str) -> EventRange:
        """Return the events that a range names.

        Args:
            text: ``A..B``: what came after A up to B, as Git's ranges, where A may be 0 or left out for the
                run's beginning, B for its latest event, and B is of A's run; a reference, for that event
                alone; a run's name for all of it; "" for all of the current run.

        Raises:
            UnknownReference: It is no range, or the run has no such event.
            AmbiguousReference: An end of it names several events.
        """
        if _SEPARATOR not in text:
            run, v = self.resolve(text or "@")
            return EventRange(run, 0 if not text or text == run else v - 1, v)
        first, _, last = text.partition(_SEPARATOR)
        named, separator, start = first.rpartition(":")
        if start in {"", "0"}:
            run, after_v = self.resolve(f"{named}:@" if separator else "@")[0], 0
        else:
            run, after_v = self.resolve(first)
        other, until_v = self._resolve_in(run, last or "@")
        if other != run:
            raise UnknownReference(text, f"it begins in run {run} and ends in {other}")
        if until_v < after_v:
            raise UnknownReference(text, "it ends before it begins")
        return EventRange(run, after_v, until_v)

    def _resolve_in(self, run: str, reference: str) -> tuple[str, int]:
        """Resolve a reference whose short form means ``run``."""
        form = _FORM.fullmatch(reference)
        return self.resolve(f"{run}:{reference}" if form is not None and not form["run"] else reference)

    def _head(self, reference: str, run: str) -> RunHead:
        head = self._heads.get(run)
        if head is None:
            raise UnknownReference(reference, f"there is no run {run}")
        if head.retired:
            raise UnknownReference(reference, f"run {run} was retired by {head.retired}; its events are gone")
        return head

    def _resolve_name(self, name: str) -> tuple[str, int]:
        """Resolve what is a run's name, a commit, or nothing."""
        if name in self._heads:
            return name, self._head(name, name).v
        commit = self._find_commit(name)
        if commit is not None:
            return self._of_commit(name, commit)
        if RUN_NAME.fullmatch(name):
            raise UnknownReference(name, f"there is no run {name}, and no such commit; {_FORMS}")
        raise UnknownReference(name, f"not a reference; {_FORMS}")

    def _at_moment(self, reference: str, run: str, moment: str) -> int:
        at_ns = parse_moment(moment, self._clock())
        if at_ns is None:
            raise UnknownReference(
                reference, "not a time; write `@{2026-11-20 14:00}`, `@{2026-11-20}` or `@{2 hours ago}`"
            )
        found, first = 0, ""
        for event in self._events(run):
            first = first or show_moment(event.at_ns)
            if event.at_ns <= at_ns:
                found = event.v
        if not found:
            raise UnknownReference(reference, f"run {run} began later, at {first}")
        return found

    def _of_phase(self, reference: str, run: str, phase: str) -> int:
        entered = [event for event in self._events(run) if isinstance(event, PhaseEntered)]
        found = [event.reference for event in entered if event.phase == phase]
        if not found:
            raise UnknownReference(reference, f"run {run} was never in phase {phase}")
        if len(found) > 1:
            raise AmbiguousReference(reference, found)
        return int(found[0].rpartition(":")[2])

    def _of_patch(self, reference: str, run: str, number: int) -> int:
        patches = [event.v for event in self._events(run) if isinstance(event, PatchApplied)]
        if not 1 <= abs(number) <= len(patches):
            raise UnknownReference(
                reference, f"run {run} has {len(patches)} patches: patch:1, or patch:-1 from the end"
            )
        return patches[number - 1 if number > 0 else number]

    def _of_commit(self, reference: str, commit: str) -> tuple[str, int]:
        """Return the state that a commit is known to have: in the current run, or in the only one."""
        found = {
            run: states
            for run, head in self._heads.items()
            if head.base_tree and not head.retired and (states := _states_of(commit, self._events(run)))
        }
        if not found:
            raise UnknownReference(reference, f"no run began from commit {commit[:12]}, or has seen it")
        if self._current in found:
            found = {self._current: found[self._current]}
        (run, states), *others = found.items()
        if others or len(states) > 1:
            raise AmbiguousReference(
                reference, [f"{run}:{v}" for run, versions in found.items() for v in versions]
            )
        return run, states[0]


def _states_of(commit: str, events: Iterator[AnyEvent]) -> list[int]:
    """Return the versions whose state a commit is known to have, each once."""
    found: list[int] = []
    for event in events:
        match event:
            case RunStarted() | RunRebased() if event.head == commit:
                found.append(event.v)
            case CommitSeen() if event.commit == commit:
                found.append(event.state_v)
            case _:
                pass
    return list(dict.fromkeys(found))
