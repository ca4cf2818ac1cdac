"""Questions: errors that were met in a run, each open until it is answered or retired."""

from __future__ import annotations

from ledger.errors import NoQuestion
from ledger.events import ErrorCaptured, QuestionAnswered, QuestionRetired
from ledger.run import RunLog
from ledger.workspace import Workspace


def capture(
    workspace: Workspace, step: str, message: str, *, context: str = "", run: str = ""
) -> ErrorCaptured:
    """Record an error. The same one again, in the same step, joins the question that is open.

    Args:
        workspace: Where.
        step: The step that met it, as in ``3:build``.
        message: What was said.
        context: What was being done, in a few words.
        run: The run that must be open; by default the open one, or a new one.

    Raises:
        NoRun: ``run`` is not open in this work tree.
    """
    with workspace.locked():
        log = workspace.resume(run) or workspace.begin(step)
        said = log.write_text(message.encode())
        asked = workspace.history(log).questions
        same = [event.v for event in asked.values() if (event.step, event.message) == (step, said)]
        event = ErrorCaptured(
            **log.identity(),
            step=step,
            message=said,
            context=log.write_note(context),
            same_as=same[0] if same else None,
        )
        captured = log.append(event)[-1]
        assert isinstance(captured, ErrorCaptured)
        return captured


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


def retire(workspace: Workspace, v: int, *, reason: str = "", run: str = "") -> QuestionRetired:
    """Record that an open question needs no answer any more; arguments and errors as `answer`."""
    with workspace.locked():
        log, asked = _find(workspace, v, run)
        event = QuestionRetired(**log.identity(), error_v=asked, reason=log.write_note(reason))
        (retired,) = log.append(event)
        assert isinstance(retired, QuestionRetired)
        return retired


def _find(workspace: Workspace, v: int, run: str) -> tuple[RunLog, int]:
    log = workspace.require(run)
    history = workspace.history(log)
    asked = history.captured.get(v, v)
    if asked not in history.questions:
        raise NoQuestion(f"{log.head.run}:{v}")
    return log, asked
