"""Questions: errors that were met in a run, each open until it is answered or retired."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.configurations import configuration_of
from ledger.errors import NoQuestion, NoQuestionsFile, NoWorkTree
from ledger.events import ErrorCaptured, QuestionAnswered, QuestionRetired
from ledger.operations.captures import Capture, Captures, check_step, step_in
from ledger.projections.questions import QuestionsFile
from ledger.projections.refs import RunRef
from ledger.run import RunLog
from ledger.workspace import Workspace

__all__ = ["Capture", "answer", "capture", "capture_all", "capture_crash", "retire", "write_file"]


def capture(workspace: Workspace, captured: Capture, *, run: str = "") -> ErrorCaptured:
    """Record an error. The same one again, in the same step, joins the question that is open.

    Args:
        workspace: Where.
        captured: The error.
        run: The run that must be open; by default the open one, or a new one.

    Raises:
        InvalidStep: Its step is no number with a description. Nothing was written.
        NoRun: ``run`` is not open in this work tree.
    """
    check_step(captured.step)
    return capture_all(workspace, [captured], title=captured.step, run=run)[0]


def capture_all(
    workspace: Workspace, captures: Sequence[Capture], *, title: str, run: str = ""
) -> tuple[ErrorCaptured, ...]:
    """Record errors in their order as one group, with what became of their questions: all of them or none.

    Those that are the same join one question, each with an event of its own. A step may be anything here:
    old files have what they have.

    Args:
        workspace: Where.
        captures: The errors, at least one.
        title: What a new run is about.
        run: The run that must be open; by default the open one, or a new one.

    Raises:
        NoRun: ``run`` is not open in this work tree. Nothing was written.
    """
    with workspace.locked():
        log = workspace.resume(run) or workspace.begin(title)
        taken = Captures(log, workspace.history(log)).take_all(captures, log.head.v + 1)
        begins = not log.written
        appended = log.append(*taken)
        if begins:
            RunRef(workspace.repository, log.head.run).project(appended)
        return tuple(event for event in appended if isinstance(event, ErrorCaptured))


def capture_crash(workspace: Workspace, command: str, message: str, trace: str) -> ErrorCaptured | None:
    """Record that a command of ours broke down; None where no run is open in this work tree.

    Args:
        workspace: Where.
        command: The command's name.
        message: The error.
        trace: Its traceback.

    Raises:
        Busy, UnsyncedLog: As for every writing command. Nothing was recorded.
    """
    with workspace.locked():
        log = workspace.resume()
        if log is None:
            return None
        captured = Capture(
            step=step_in(log, f"ledger {command}".rstrip()),
            message=message,
            context="an internal error of ledger",
            cause="crash",
            output=trace.encode("utf-8", "backslashreplace"),
        )
        event = Captures(log, workspace.history(log)).take(captured, log.head.v + 1)
        (appended,) = log.append(event)
        assert isinstance(appended, ErrorCaptured)
        return appended


def write_file(workspace: Workspace, *, force: bool = False) -> tuple[str, bool]:
    """Write the questions file as the log says it is, also where it is part of the candidate.

    Args:
        workspace: Where.
        force: Write over a file that is somebody else's.

    Returns:
        Its path from the work tree's top, and whether anything had to be written.

    Raises:
        NoWorkTree: The repository is bare.
        NoQuestionsFile: The configuration wants none.
        QuestionsInTheWay, UnsafePath: As `ledger.projections.questions.QuestionsFile.write`.
    """
    name = configuration_of(workspace.repository).questions.file
    if workspace.repository.work_dir is None:
        raise NoWorkTree(workspace.repository.git_dir)
    if not name:
        raise NoQuestionsFile
    with workspace.locked():
        return name, QuestionsFile(workspace.repository, workspace.store).write(name, force=force)


def answer(workspace: Workspace, v: int, text: str, *, run: str = "") -> QuestionAnswered:
    """Record the answer to an open question.

    Args:
        workspace: Where.
        v: The version of its error's event, or of one that joined it.
        text: The answer.
        run: The run that must be open; by default the open one.

    Raises:
        NoQuestion: No question of this version is open. Nothing was written.
        NoRun: No run is open.
    """
    with workspace.locked():
        log, asked = _find(workspace, v, run)
        event = QuestionAnswered(**log.identity(), error_v=asked, answer=log.write_text(text.encode()))
        (answered,) = log.append(event)
        assert isinstance(answered, QuestionAnswered)
        return answered


def retire(
    workspace: Workspace, asked: Sequence[tuple[str, int]], *, reason: str = ""
) -> tuple[QuestionRetired, ...]:
    """Record that open questions need no answer any more, all of them or none.

    Args:
        workspace: Where.
        asked: Run and version of each one's error, or of one that joined it; at least one.
        reason: Why.

    Raises:
        NoQuestion, NoRun: As `answer`.
    """
    with workspace.locked():
        found = [_find(workspace, v, run) for run, v in asked]
        log = found[0][0]
        why = log.write_note(reason)
        versions = dict.fromkeys(v for _, v in found)
        events = [QuestionRetired(**log.identity(), error_v=v, reason=why) for v in versions]
        return tuple(event for event in log.append(*events) if isinstance(event, QuestionRetired))


def _find(workspace: Workspace, v: int, run: str) -> tuple[RunLog, int]:
    log = workspace.require(run)
    history = workspace.history(log)
    asked = history.captured.get(v, v)
    if asked not in history.questions:
        raise NoQuestion(f"{log.head.run}:{v}")
    return log, asked
