"""Importing errors: what people's old error files hold, into the ledger, and nothing of it twice.

A row is told by its file, its step, its words and its time: lines may move, and a file that goes on
growing is imported again and again. What stands in a file n times is here n times.
"""

from __future__ import annotations

import os
from collections import defaultdict, deque
from collections.abc import Container, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct, UnsetType, structs

from ingestion import read_text
from ledger.errorfiles import ErrorFile, FoundError, Piece, marks, parse_error_file
from ledger.events import AnyEvent, ErrorCaptured, Event, QuestionAnswered, QuestionRetired, body_digest
from ledger.history import History
from ledger.operations.captures import Capture, Captures
from ledger.repository import Repository
from ledger.run import RunLog
from ledger.secrets.masking import mask_text
from ledger.transfer_errors import LeftOver
from ledger.workspace import Workspace

TITLE = "import errors"
"""What a run is about that an import starts."""

Fate: TypeAlias = Literal["new", "asked", "joined", "known", "settled", "template", "left"]
_Key: TypeAlias = tuple[str, str, str, str | None, str]


class ReadFile(NamedTuple):
    """An old file that was read: where it lies, the encoding that it is in, and what it holds."""

    origin: str
    encoding: str
    found: ErrorFile


class Planned(NamedTuple):
    """A piece of a file, with the event that its error has already, None where it has none."""

    file: ReadFile
    piece: Piece
    known: ErrorCaptured | None

    @property
    def is_new(self) -> bool:
        """Whether it is an error that is not here yet."""
        return self.piece.error is not None and self.known is None


class Row(Struct, frozen=True, kw_only=True):
    """What became of a stretch of a file.

    ``fate``: its error asked a question, or joined one; it is ``new``, where nothing was written; ``known``
    from an import before, or that and ``settled``, since the file now says what became of it; or it is a
    template, or left over, and ``why`` says the reason, ``text`` the words. ``event`` and ``question`` are
    references, "" where there is none.
    """

    origin: str
    lines: str
    fate: Fate
    error: FoundError | None = None
    why: str = ""
    text: str = ""
    event: str = ""
    question: str = ""


class Imported(Struct, frozen=True):
    """What became of the files: their rows in order, and the run that was started for them, if one was."""

    files: tuple[ReadFile, ...]
    rows: tuple[Row, ...]
    started: str = ""


def read_files(repository: Repository, paths: Sequence[Path]) -> tuple[ReadFile, ...]:
    """Read old files and parse them.

    Args:
        repository: The one to whose top paths in it are told from.
        paths: The files; one that is named twice is read once.

    Raises:
        IngestionError: One cannot be read, or is no text.
    """
    files: dict[str, ReadFile] = {}
    for path in paths:
        origin = _origin(repository, path)
        if origin not in files:
            text, encoding = read_text(path)
            found = parse_error_file(text, origin)
            files[origin] = ReadFile(origin, encoding, ErrorFile(origin, text, map(_masked, found.pieces)))
    return tuple(files.values())


def _masked(piece: Piece) -> Piece:
    """Return a piece whose error has no secrets in it.

    A file is masked part by part: a key without an end takes the rest of its message with it, and no more.
    """
    error = piece.error
    if error is None:
        return piece
    said = {
        name: getattr(error, name) for name in ("step", "message", "context", "asked_at", "answer", "status")
    }
    together = "\n".join(said.values())
    if mask_text(together) == together:
        return piece
    masked = structs.replace(error, **{name: mask_text(text) for name, text in said.items()})
    return structs.replace(piece, error=structs.replace(masked, marks=(*masked.marks, marks.MASKED)))


def _origin(repository: Repository, path: Path) -> str:
    """Return what an event calls a file: its path from the repository's top, or all of it."""
    place = Path(os.path.realpath(path))
    top = repository.work_dir
    if top is not None and place.is_relative_to(real := Path(os.path.realpath(top))):
        place = place.relative_to(real)
    return os.fsencode(place.as_posix()).decode("utf-8", "backslashreplace")


def plan_import(files: Sequence[ReadFile], events: Iterable[AnyEvent]) -> list[Planned]:
    """Return the pieces of files in order, each with the event that its error has in the ledger already.

    Args:
        files: What was read.
        events: All events of the ledger.
    """
    imported = defaultdict[_Key, deque[ErrorCaptured]](deque)
    own: dict[tuple[str, str, str], ErrorCaptured] = {}
    for event in events:
        if isinstance(event, ErrorCaptured):
            own.setdefault((event.step, event.message, _moment(event.at_ns)), event)
            if not isinstance(event.origin, UnsetType):
                asked_at = "" if isinstance(event.asked_at, UnsetType) else event.asked_at
                file = event.origin.rpartition(":")[0]
                imported[file, event.step, event.message, event.context, asked_at].append(event)
    planned: list[Planned] = []
    for file in files:
        for piece in file.found.pieces:
            known: ErrorCaptured | None = None
            if piece.error is not None:
                key = _key(file.origin, piece.error)
                same = imported.get(key)
                # The ledger's own questions file is an old error file too.
                known = same.popleft() if same else own.get((key[1], key[2], key[4]))
            planned.append(Planned(file, piece, known))
    return planned


def _moment(at_ns: int) -> str:
    """Return a time as the questions file has it."""
    return datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _key(origin: str, error: FoundError) -> _Key:
    """Return what an error's event will say of it."""
    context = _digest(error.context) if error.context else None
    return mask_text(origin), error.step, _digest(error.message), context, error.asked_at


def _digest(text: str) -> str:
    """Return the name of the body that a text without secrets becomes."""
    return body_digest(text.encode("utf-8", "backslashreplace"))


def import_errors(workspace: Workspace, files: tuple[ReadFile, ...]) -> Imported:
    """Record the errors of old files that are not here yet, in the open run or a new one: all or none.

    Where one is here and its file says now what became of it, its question is closed, if the open run has it.

    Args:
        workspace: Where.
        files: What was read.
    """
    with workspace.locked():
        planned = plan_import(files, (frame.event for frame in workspace.store.frames()))
        log = workspace.resume()
        started = log is None
        if log is None:
            if not any(each.is_new for each in planned):
                return Imported(files, show_plan(planned))
            log = workspace.begin(TITLE)
        history = workspace.history(log)
        captures = [_capture(each) for each in planned if each.is_new]
        taken = Captures(log, history).take_all(captures, log.head.v + 1)
        settled = _settle(log, history, planned, taken)
        appended = log.append(*taken, *settled.values()) if taken or settled else ()
        if started:
            workspace.resume()  # The ref of a run that began here is brought up to it.
    asked = [event for event in appended if isinstance(event, ErrorCaptured)]
    return Imported(files, show_plan(planned, asked, settled), log.head.run if started else "")


def _settle(
    log: RunLog, history: History, planned: Iterable[Planned], taken: Iterable[Event]
) -> dict[int, Event]:
    """Return what closes the open questions of errors that were imported before, by version.

    Their files say now what became of them. What ``taken`` closes is left out.
    """
    closed = {event.error_v for event in taken if isinstance(event, QuestionAnswered | QuestionRetired)}
    settled: dict[int, Event] = {}
    for each in planned:
        error, known = each.piece.error, each.known
        if error is None or known is None or error.state == "open" or known.run != log.head.run:
            continue
        v = history.captured.get(known.v, known.v)
        if v in history.questions and v not in closed and v not in settled:
            settled[v] = (
                QuestionAnswered(**log.identity(), error_v=v, answer=log.write_text(error.answer.encode()))
                if error.state == "answered"
                else QuestionRetired(**log.identity(), error_v=v, reason=log.write_note(error.answer))
            )
    return settled


def refuse_rest(files: Sequence[ReadFile]) -> None:
    """Refuse files of which something is left over.

    Raises:
        LeftOver: Something is.
    """
    rest = [
        f"{file.origin}:{file.found.lines_of(piece)}: {piece.why}"
        for file in files
        for piece in file.found.of_kind("left")
    ]
    if rest:
        raise LeftOver(tuple(rest))


def show_plan(
    planned: Iterable[Planned], asked: Iterable[ErrorCaptured] | None = None, settled: Container[int] = ()
) -> tuple[Row, ...]:
    """Return the rows of a report.

    Args:
        planned: The pieces of the files.
        asked: The events of those that were new, in order; None where nothing was written.
        settled: The versions of the questions that were closed besides.
    """
    events = None if asked is None else iter(asked)
    return tuple(_row(each, events, settled) for each in planned if each.piece.kind != "frame")


def _row(each: Planned, events: Iterator[ErrorCaptured] | None, settled: Container[int]) -> Row:
    file, piece, known = each
    row = Row(origin=file.origin, lines=file.found.lines_of(piece), fate="new", error=piece.error)
    if piece.error is None:
        text = mask_text(file.found.text[piece.start : piece.end])
        fate: Fate = "template" if piece.kind == "template" else "left"
        return structs.replace(row, fate=fate, why=piece.why, text=text)
    event = known if known is not None else next(events) if events else None
    if event is None:
        return row
    fate = "joined" if event.same_as else "asked"
    if known is not None:
        fate = "settled" if (known.same_as or known.v) in settled else "known"
    return structs.replace(row, fate=fate, event=event.reference, question=event.question)


def _capture(each: Planned) -> Capture:
    error = each.piece.error
    assert error is not None
    return Capture(
        step=error.step,
        message=error.message,
        context=error.context,
        cause="import",
        asked_at=error.asked_at,
        origin=f"{each.file.origin}:{each.file.found.line_of(each.piece.start)}",
        marks=error.marks,
        state=error.state,
        answer=error.answer or None,
    )
