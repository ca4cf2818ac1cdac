"""Events of errors that were met, and of what became of their questions."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import UNSET, UnsetType

from ledger.events.base import Event

ErrorCause: TypeAlias = Literal["person", "step", "gate", "patch", "crash", "import"]
"""Who met an error: whoever recorded it, or what recorded it by itself."""


class ErrorCaptured(Event, frozen=True, kw_only=True, tag="error.captured/1"):
    """Step ``step`` (as in ``3:build``) met an error: a question, open until it is answered or retired.

    ``message`` and ``context`` are bodies. ``same_as`` is the version of the open question that this joins,
    ``after`` that of a closed one whose error this is again. ``source_v`` is the version of the measurement
    or refusal it is about; ``command`` what was run, ``exit_code`` how it ended, ``output`` a body with the
    end of what it printed, or with a traceback. Of what was imported, ``asked_at`` is the time as it was
    found, ``origin`` file and line, and ``marks`` says what is odd about it. Each is left out where there is
    none.
    """

    step: str
    message: str
    context: str | None = None
    same_as: int | None = None
    after: int | UnsetType = UNSET
    cause: ErrorCause | UnsetType = UNSET
    source_v: int | UnsetType = UNSET
    command: tuple[str, ...] | UnsetType = UNSET
    exit_code: int | UnsetType = UNSET
    output: str | UnsetType = UNSET
    asked_at: str | UnsetType = UNSET
    origin: str | UnsetType = UNSET
    marks: tuple[str, ...] | UnsetType = UNSET

    @property
    def question(self) -> str:
        """The reference of the question that it asks or joins."""
        return f"{self.run}:{self.same_as or self.v}"

    @property
    def met_by(self) -> ErrorCause:
        """Who met it: a person where the event does not say."""
        return "person" if isinstance(self.cause, UnsetType) else self.cause


class QuestionAnswered(Event, frozen=True, kw_only=True, tag="question.answered/1"):
    """The question of the error at ``error_v`` has an answer, a body."""

    error_v: int
    answer: str


class QuestionRetired(Event, frozen=True, kw_only=True, tag="question.retired/1"):
    """The question of the error at ``error_v`` needs no answer any more; ``reason`` is a body."""

    error_v: int
    reason: str | None = None
