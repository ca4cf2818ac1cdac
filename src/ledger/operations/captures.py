"""Captures: errors on their way into the log, each a question of its own or joined to an open one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

from msgspec import UNSET, Struct

from ledger.errors import DroppedBody, InvalidStep
from ledger.events import ErrorCaptured, ErrorCause, Event, QuestionAnswered, QuestionRetired
from ledger.fingerprints import fingerprint
from ledger.history import History
from ledger.run import RunLog
from ledger.secrets.masking import mask_text

State: TypeAlias = Literal["open", "answered", "retired"]

_STEP = re.compile(r"\d+(?:\.\d+)*:\S.*")


class Capture(Struct, frozen=True, kw_only=True):
    """An error that was met, as `ledger.events.ErrorCaptured` records it.

    ``state`` and ``answer`` are what became of its question: of old files they are known when it is asked.
    For a retired one ``answer`` is the reason.
    """

    step: str
    message: str
    context: str = ""
    cause: ErrorCause = "person"
    source_v: int = 0
    command: tuple[str, ...] = ()
    exit_code: int | None = None
    output: bytes = b""
    asked_at: str = ""
    origin: str = ""
    marks: tuple[str, ...] = ()
    state: State = "open"
    answer: str | None = None


def check_step(step: str) -> str:
    """Return a step as it is written.

    Raises:
        InvalidStep: It is no ``NUMBER:DESCRIPTION``. Nothing was written.
    """
    if not _STEP.fullmatch(step) or not step.isprintable():
        raise InvalidStep(step)
    return step


def step_in(log: RunLog, what: str) -> str:
    """Return the step of what the ledger itself does: the present phase's digit, 0 before the first."""
    return f"{log.head.phase[1:] or '0'}:{what}"


class Captures:
    """Errors that become events of one append to a run. The caller holds the run's lock.

    What is read of the run's bodies is read once, and only for steps that meet an error again.
    """

    def __init__(self, log: RunLog, history: History) -> None:
        self._log = log
        self._history = history
        self._known: dict[str, dict[str, int]] = {}
        self._bodies: dict[str, str] = {}
        self._closings: dict[int, list[Capture]] = {}

    def take(self, capture: Capture, at_v: int) -> ErrorCaptured:
        """Return the event of an error, which joins the open question that is the same error.

        Args:
            capture: The error.
            at_v: The version that the event will have.
        """
        step, message = mask_text(capture.step), mask_text(capture.message)
        known = self._known_in(_place(capture.cause, step))
        identity = _identity(capture.cause, message)
        asked = known.get(identity, 0)
        joins = bool(asked) and asked not in self._history.closed
        if not joins:
            known[identity] = at_v
        if capture.state != "open":
            self._closings.setdefault(asked if joins else at_v, []).append(capture)
        return ErrorCaptured(
            **self._log.identity(),
            step=step,
            message=self._write(message),
            context=self._write(capture.context) if capture.context else None,
            same_as=asked if joins else None,
            after=asked if asked and not joins else UNSET,
            cause=UNSET if capture.cause == "person" else capture.cause,
            source_v=capture.source_v or UNSET,
            command=tuple(map(mask_text, capture.command)) or UNSET,
            exit_code=UNSET if capture.exit_code is None else capture.exit_code,
            output=self._log.write_text(capture.output) if capture.output else UNSET,
            asked_at=mask_text(capture.asked_at) or UNSET,
            origin=mask_text(capture.origin) or UNSET,
            marks=tuple(map(mask_text, capture.marks)) or UNSET,
        )

    def take_all(self, captures: Sequence[Capture], at_v: int) -> list[Event]:
        """Return the events of errors in their order, then what became of their questions."""
        taken: list[Event] = [self.take(capture, v) for v, capture in enumerate(captures, start=at_v)]
        return taken + [self._close(v, closed) for v, closed in self._closings.items()]

    def _close(self, v: int, captures: Sequence[Capture]) -> Event:
        """Return the end of a question, with everything that was answered to it."""
        said = "\n\n".join(dict.fromkeys(each.answer for each in captures if each.answer))
        if any(each.state == "answered" for each in captures):
            return QuestionAnswered(**self._log.identity(), error_v=v, answer=self._write(said))
        reason = self._write(said) if said else None
        return QuestionRetired(**self._log.identity(), error_v=v, reason=reason)

    def _known_in(self, place: str) -> dict[str, int]:
        """Return the last question of each error that was met in a place, open or closed."""
        if place not in self._known:
            known: dict[str, int] = {}
            for v, event in self._history.errors.items():
                if event.same_as is None and _place(event.met_by, event.step) == place:
                    try:
                        message = self._log.read_body(event.message).decode("utf-8", "backslashreplace")
                    except DroppedBody:
                        continue  # Nobody can tell any more what it was.
                    known[_identity(event.met_by, message)] = v
            self._known[place] = known
        return self._known[place]

    def _write(self, text: str) -> str:
        if text not in self._bodies:
            self._bodies[text] = self._log.write_text(text.encode("utf-8", "backslashreplace"))
        return self._bodies[text]


def _place(cause: ErrorCause, step: str) -> str:
    """Return where an error was met: for what the ledger does itself the phase makes no difference."""
    return step.partition(":")[2] if cause in ("gate", "patch", "crash") else step


def _identity(cause: ErrorCause, message: str) -> str:
    """Return what tells errors of one place apart: of a gate its verdict, whatever it finds."""
    return message.partition("\n")[0] if cause == "gate" else fingerprint(message)
