"""Executions: one step of a gate run on a tree, and the raw facts it brought back. Nothing is judged here.

See: `ledger.gates.surroundings` for what a command sees, `ledger.gates.processes` for how it ends.
"""

from __future__ import annotations

import os
import re
import signal
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event

from msgspec import Struct

from ledger.gates.imports import describe_outside, made_from_tree, outside_imports, read_loaded
from ledger.gates.processes import Ending, Limits, run_group
from ledger.gates.surroundings import Place, Surroundings
from ledger.policies import Step

OUTPUT_LIMIT_BYTES = 16 << 20
REPORT_LIMIT_BYTES = 256 << 20
_PROGRESS_EVERY_S = 0.1
_MEBIBYTE = 1 << 20
_LINE_END = re.compile(rb"[\r\n]+")


class Execution(Struct, frozen=True, kw_only=True):
    """What one command did.

    Args:
        command: The argument vector as it ran, but that ``{scratch}`` still stands for a directory
            that is gone.
        exit_code: None where the command did not start, or was ended by us; negative for a signal.
        output: Standard output and error together, for people. In its middle bytes may be left out,
            which it then says.
        report: The bytes of the step's report, written by this execution; None where there are none.
        started_at_ns: When, by the clock.
        duration_ns: How long, waiting for the tree to settle not included.
        problems: Why nothing can be concluded, in words.
        unread: Those of the problems that are about the step's own report.
        watched: Whether the guard saw a Python process. Where a Python tool was not watched
            (``python -I``), nothing is known of its imports.
        also: What it left of the further reports that were asked for, by the name that they were asked by.
    """

    command: tuple[str, ...]
    exit_code: int | None
    output: bytes
    report: bytes | None
    started_at_ns: int
    duration_ns: int
    problems: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    watched: bool = False
    also: dict[str, bytes] = {}


class Output:
    """What a command printed, held in bounded memory: the beginning and the end."""

    def __init__(self, limit_bytes: int) -> None:
        self._half = limit_bytes // 2
        self._head = bytearray()
        self._tail = bytearray()
        self.size_bytes = 0

    def add(self, data: bytes) -> None:
        """Take in some bytes."""
        self.size_bytes += len(data)
        room = self._half - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        if len(self._tail) > 2 * self._half:
            del self._tail[: -self._half]

    @property
    def whole(self) -> bool:
        """Whether nothing was left out."""
        return self.size_bytes <= 2 * self._half

    def text(self) -> bytes:
        """Return all of it, or its beginning and end with a line between that says what is missing."""
        if self.whole:
            return bytes(self._head + self._tail)
        tail = self._tail[-self._half :]
        missing = self.size_bytes - len(self._head) - len(tail)
        return b"%b\n[... %d bytes of output left out ...]\n%b" % (self._head, missing, tail)


class Progress:
    """Tells somebody the last whole line of an output, a few times a second at most."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._rest = b""
        self._line: bytes | None = None
        self._next_s = 0.0

    def add(self, data: bytes) -> None:
        """Take in some bytes; with none, only see whether it is time to tell."""
        *lines, rest = _LINE_END.split(self._rest + data)
        # A line without an end is of no use to anybody past some length.
        self._rest = rest[-_MEBIBYTE:]
        self._line = next((line for line in reversed(lines) if line.strip()), self._line)
        now = time.monotonic()
        if self._line is not None and now >= self._next_s:
            line, self._line = self._line, None
            self._next_s = now + _PROGRESS_EVERY_S
            self._tell(line.decode("utf-8", "replace").strip())


class _Listener:
    """Shares a command's output between those who want it."""

    def __init__(self, step: Step, progress: Callable[[str], None] | None) -> None:
        self.output = Output(OUTPUT_LIMIT_BYTES)
        self.report = Output(2 * REPORT_LIMIT_BYTES) if step.report == "-" else None
        self._progress = Progress(progress) if progress else None

    def receive(self, source: str, data: bytes) -> None:
        self.output.add(data)
        if self.report is not None and source == "stdout" and self.report.size_bytes <= REPORT_LIMIT_BYTES:
            self.report.add(data)
        if self._progress:
            self._progress.add(data)


class _ReportFile:
    """A report in a file: fresh only where it is another than before, in identity, time or content."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before = self._read()

    def _read(self) -> tuple[tuple[int, ...], bytes] | str:
        """Return the file's identity and bytes, or why there are none."""
        try:
            # Not blocking: a pipe without a writer would hold us for ever.
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            return (error.strerror or str(error)).lower()
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                return "not a regular file"
            if found.st_size > REPORT_LIMIT_BYTES:
                return f"larger than {REPORT_LIMIT_BYTES // _MEBIBYTE} MiB"
            identity = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
            return identity, file.read(REPORT_LIMIT_BYTES)

    def read_fresh(self, name: str) -> tuple[bytes | None, tuple[str, ...]]:
        """Return what was written since, or the problem."""
        after = self._read()
        if isinstance(after, str):
            return None, (f"the report {name} cannot be read: {after}",)
        if after == self._before:
            return None, (f"the report {name} is an old one: this execution did not write it",)
        return after[1], ()


def run_step(
    step: Step,
    surroundings: Surroundings,
    *,
    timeout_s: float,
    stop: Event,
    progress: Callable[[str], None] | None = None,
    also: Sequence[str] = (),
) -> Execution:
    """Run one step's command on the tree, to its end or its timeout, and return what it left.

    The tree is as before, but for what the command itself was told to write there. Whatever happens, no
    process of the command's group outlives this call; a KeyboardInterrupt passes through.

    Args:
        step: The command, and where its report is.
        surroundings: The tree, and what the command sees.
        timeout_s: How long it may take.
        stop: Ends it as soon as it is set, from any thread.
        progress: Gets the last whole line of output, about ten times a second at most; in this thread.
        also: Further reports that it may leave, written as `Step.report` is.
    """
    command = expand_command(step, surroundings)
    with surroundings.place() as place:
        surroundings.forget_bytecode()
        if any(Path(word).name in _SECOND_GRAINED for word in command):
            _settle(surroundings, stop)
        started_at_ns, started_ns = time.time_ns(), time.monotonic_ns()
        listener = _Listener(step, progress)
        file = (
            None if step.report == "-" else _ReportFile(_report_path(step.report, surroundings.root, place))
        )
        others = {
            name: _ReportFile(_report_path(name, surroundings.root, place)) for name in also if name != "-"
        }
        ending = _start(command, surroundings, place, Limits(timeout_s, stop), listener)
        duration_ns = time.monotonic_ns() - started_ns
        if isinstance(ending, str):
            report, problems, unread = None, (ending,), ()
        else:
            report, unread = file.read_fresh(step.report) if file else _printed(listener)
            problems = (*_describe_ending(ending, timeout_s), *unread)
            problems += _outside_problems(surroundings, place, started_at_ns)
        return Execution(
            command=command,
            exit_code=None if isinstance(ending, str) else ending.returncode,
            output=listener.output.text(),
            report=report,
            started_at_ns=started_at_ns,
            duration_ns=duration_ns,
            problems=problems,
            unread=unread,
            watched=(place.imports / "seen").exists(),
            also={
                name: data
                for name, other in others.items()
                if (data := other.read_fresh(name)[0]) is not None
            },
        )


def expand_command(step: Step, surroundings: Surroundings) -> tuple[str, ...]:
    """Return a step's command with ``{paths}`` (those that are there, or ``.``) and ``{range}`` replaced."""
    present = [path for path in step.paths if (surroundings.root / path).exists()] or ["."]
    meanings = {"{paths}": present, "{range}": [surroundings.patches]}
    return tuple(each for word in step.command for each in meanings.get(word, [word]))


def _report_path(report: str, root: Path, place: Place) -> Path:
    return root / report.replace("{scratch}", str(place.scratch))


def _start(
    command: Sequence[str], surroundings: Surroundings, place: Place, limits: Limits, listener: _Listener
) -> Ending | str:
    """Run a command; return how it ended, or why it did not start."""
    program = surroundings.find_program(command[0])
    if program is None:
        return surroundings.explain_missing(command[0])
    try:
        return run_group(
            [word.replace("{scratch}", str(place.scratch)) for word in command],
            program=program,
            cwd=surroundings.root,
            environment=surroundings.environment(place),
            limits=limits,
            receive=listener.receive,
            separate=listener.report is not None,
        )
    except FileNotFoundError:
        interpreter = _interpreter(program) or "what it needs to run"
        return f"{command[0]}: {program} was found, but not {interpreter}: install it again"
    except OSError as error:
        return f"{command[0]}: {program} could not be started: {error.strerror}"


def _interpreter(program: Path) -> str:
    with program.open("rb") as file:
        line = file.readline(256)
    return os.fsdecode(line[2:].strip()) if line.startswith(b"#!") else ""


def _printed(listener: _Listener) -> tuple[bytes | None, tuple[str, ...]]:
    """Return the report on standard output, or the problem; it is never cut in silence."""
    report = listener.report
    if report is None:
        return None, ()
    if report.size_bytes > REPORT_LIMIT_BYTES:
        return None, (f"the report is larger than {REPORT_LIMIT_BYTES // _MEBIBYTE} MiB",)
    return report.text(), ()


def _describe_ending(ending: Ending, timeout_s: float) -> tuple[str, ...]:
    if ending.cause == "timeout":
        return (f"timed out after {timeout_s:g} s",)
    if ending.cause == "stop":
        return ("stopped before it ended",)
    if ending.returncode is not None and ending.returncode < 0:
        number = -ending.returncode
        named = {each.value: f" ({each.name})" for each in signal.Signals}.get(number, "")
        return (f"killed by signal {number}{named}",)
    return ()


def _outside_problems(surroundings: Surroundings, place: Place, since_ns: int) -> tuple[str, ...]:
    root, provided = surroundings.root, surroundings.provided
    outside = outside_imports(read_loaded(place.imports), root, provided, surroundings.outside)
    foreign = [module for module in outside if not made_from_tree(module, root, provided, since_ns)]
    return tuple(describe_outside(foreign))


# These take a file for unchanged where its size and the second of its change are as they were.
_SECOND_GRAINED = frozenset({"mypy", "dmypy"})


def _settle(surroundings: Surroundings, stop: Event) -> None:
    """Wait until the second is over in which the tree was last changed.

    A state recorded within that second could be mistaken for the next one that is written in it.
    """
    newest_s = 0
    for path in surroundings.tree_paths:
        try:
            newest_s = max(newest_s, int((surroundings.root / os.fsdecode(path)).lstat().st_mtime))
        except OSError:
            continue  # The tool will say what it misses.
    wait_s = newest_s + 1 - time.time()
    if 0 < wait_s <= 1:
        stop.wait(wait_s)
