"""Steps: a command run for a step, its streams passed on, and the error that it ends with recorded."""

from __future__ import annotations

import math
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event as Flag

from msgspec import Struct

from ledger.events import ErrorCaptured, QuestionAnswered
from ledger.fingerprints import strip_colours
from ledger.gates.processes import Limits, run_group
from ledger.operations.captures import Capture, check_step
from ledger.operations.questions import capture
from ledger.secrets.masking import mask_text
from ledger.workspace import Workspace

TIMED_OUT = 124
CANNOT_RUN = 126
NOT_FOUND = 127
_SIGNAL = 128

_KEPT_BYTES = 64 * 1024
_MESSAGE_LINES = 10

Receive = Callable[[str, bytes], None]


class Stepped(Struct, frozen=True, kw_only=True):
    """How a step's command ended: its exit code, the error that was recorded, the questions it answered."""

    exit_code: int
    captured: ErrorCaptured | None = None
    answered: tuple[QuestionAnswered, ...] = ()


class Tail:
    """The end of what came in; what was before it is counted, not kept."""

    def __init__(self, size_bytes: int = _KEPT_BYTES) -> None:
        self._size_bytes = size_bytes
        self._kept = bytearray()
        self.left_out = 0

    def add(self, data: bytes) -> None:
        """Take in some more."""
        self._kept += data
        over = len(self._kept) - self._size_bytes
        if over > 0:
            self.left_out += over
            del self._kept[:over]

    @property
    def data(self) -> bytes:
        """The end, from the beginning of a line where something was left out."""
        if not self.left_out:
            return bytes(self._kept)
        cut = self._kept.find(b"\n") + 1
        return b"[%d bytes left out]\n%b" % (self.left_out + cut, bytes(self._kept[cut:]))

    @property
    def lines(self) -> list[str]:
        """The last lines that say something, without colours, each as its last carriage return left it."""
        text = strip_colours(self._kept.decode("utf-8", "backslashreplace"))
        lines = [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n")]
        return [line for line in lines if line.strip()][-_MESSAGE_LINES:]


class _Run:
    """One run of a command: what it printed, and how it ended in words."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.output, self.errors = Tail(), Tail()
        self.ending = ""

    def take(self, stream: str, data: bytes) -> None:
        if stream == "tick":
            return
        self.output.add(data)
        if stream == "stderr":
            self.errors.add(data)
        self._receive(stream, data)

    def run(self, command: Sequence[str], timeout_s: float | None) -> int:
        """Run a command to its end and return its exit code, as a shell gives it."""
        name = command[0]
        program = shutil.which(name)
        if program is None:
            found = os.sep in name and Path(name).exists()
            self.ending = f"{name} cannot be run: {'not executable' if found else 'not found'}"
            return CANNOT_RUN if found else NOT_FOUND
        try:
            ending = run_group(
                command,
                program=Path(program),
                cwd=Path.cwd(),
                environment=os.environ,
                limits=Limits(timeout_s or math.inf, Flag()),
                receive=self.take,
                separate=True,
                foreground=True,
            )
        except OSError as error:
            if error.filename is None and error.errno is None:
                raise
            self.ending = f"{name} cannot be run: {error.strerror}"
            return CANNOT_RUN
        if ending.returncode is None:
            self.ending = f"{name} was ended after {timeout_s:g} s"
            return TIMED_OUT
        if ending.returncode < 0:
            self.ending = f"{name} was ended by {signal.Signals(-ending.returncode).name}"
            return _SIGNAL - ending.returncode
        self.ending = f"{name} exited with {ending.returncode}"
        return ending.returncode

    @property
    def message(self) -> str:
        """What went wrong: the end of what was said of it, and how it ended."""
        return "\n".join([*(self.errors.lines or self.output.lines), self.ending])


def run_step(
    workspace: Workspace,
    step: str,
    command: Sequence[str],
    receive: Receive,
    *,
    context: str = "",
    timeout_s: float | None = None,
) -> Stepped:
    """Run a command for a step. Where it does not succeed its error is recorded; a success answers that.

    The command has a session of its own: what it leaves running ends with it, and SIGINT, SIGTERM and SIGHUP
    are passed on to it. A command that a person interrupts met no error. No lock is held while it runs.

    Args:
        workspace: Where.
        step: As in ``3:build``.
        command: The argument vector.
        receive: Gets ``stdout`` or ``stderr`` and some bytes, as they come.
        context: What is being done; by default the command.
        timeout_s: When to end it, in seconds.

    Raises:
        InvalidStep: The step is none. Nothing was run.
        AlreadyDone, IdTaken: As `Workspace.locked`, before anything is run.
    """
    check_step(step)
    if workspace.request is not None:
        with workspace.locked():
            pass
    run = _Run(receive)
    exit_code = run.run(command, timeout_s)
    if exit_code == 0:
        return Stepped(exit_code=0, answered=_answer(workspace, step, command))
    if exit_code == _SIGNAL + signal.SIGINT:
        return Stepped(exit_code=exit_code)
    captured = Capture(
        step=step,
        message=run.message,
        context=context or " ".join(command),
        cause="step",
        command=tuple(command),
        exit_code=exit_code,
        output=run.output.data,
    )
    return Stepped(exit_code=exit_code, captured=capture(workspace, captured))


def _answer(workspace: Workspace, step: str, command: Sequence[str]) -> tuple[QuestionAnswered, ...]:
    """Answer the open questions of a command of a step: it has succeeded."""
    with workspace.locked():
        log = workspace.resume()
        if log is None:
            return ()
        same = (mask_text(step), tuple(map(mask_text, command)))
        asked = [
            question.v
            for question in workspace.history(log).questions.values()
            if question.met_by == "step" and (question.step, question.command) == same
        ]
        if not asked:
            return ()
        said = log.write_text(f"{command[0]} succeeded, on tree {log.head.tree}".encode())
        answers = [QuestionAnswered(**log.identity(), error_v=v, answer=said) for v in asked]
        return tuple(event for event in log.append(*answers) if isinstance(event, QuestionAnswered))
