"""Process groups: a command run in its own session, followed to its end, none of it left behind.

See: ``setsid(2)``, ``killpg(3)``; what leaves the session by itself (a daemon of its own) is not followed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from threading import Event
from types import FrameType
from typing import IO, Literal, NamedTuple, TypeAlias, cast

Cause: TypeAlias = Literal["exit", "timeout", "stop"]

_TICK_S = 0.05
_GRACE_S = 2.0
_KILL_S = 1.0
_DRAIN_S = 0.5
_CHUNK = 1 << 16
_RELAYED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ending(NamedTuple):
    """How a command ended: by itself, with what (negative: a signal's number), or by us."""

    cause: Cause
    returncode: int | None


class Limits(NamedTuple):
    """When a command is ended: after ``timeout_s``, or as soon as ``stop`` is set."""

    timeout_s: float
    stop: Event


def run_group(
    command: Sequence[str],
    *,
    program: Path,
    cwd: Path,
    environment: Mapping[str, str],
    limits: Limits,
    receive: Callable[[str, bytes], None],
    separate: bool = False,
    foreground: bool = False,
) -> Ending:
    """Run a command without a shell in a session of its own, and leave no process of its group behind.

    However this returns or raises (a KeyboardInterrupt too), the group is gone by then: SIGTERM, a
    short grace, SIGKILL. A child in the background ends with the command, and does not hold it up
    by keeping its output open.

    Args:
        command: The argument vector; its first word is only what the program sees as its name.
        program: The file to execute.
        cwd: Where it runs.
        environment: All that it sees.
        limits: When to end it.
        receive: Gets ``stdout`` or ``stderr`` and some bytes, as they come; ``tick`` and none in between.
        separate: Whether standard error has a pipe of its own. In one pipe the order is exact.
        foreground: Whether it has our standard input, and the signals that would end us instead; only the
            main thread may ask for those.

    Raises:
        OSError: The program could not be started. Nothing ran.
    """
    process = subprocess.Popen(
        command,
        executable=program,
        cwd=cwd,
        env=environment,
        stdin=None if foreground else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if separate else subprocess.STDOUT,
        start_new_session=True,
    )
    with process, DefaultSelector() as selector, _relaying(process.pid, _RELAYED if foreground else ()):
        try:
            for name, pipe in (("stdout", process.stdout), ("stderr", process.stderr)):
                if pipe is not None:
                    os.set_blocking(pipe.fileno(), False)
                    selector.register(pipe, EVENT_READ, name)
            cause = _follow(process, selector, limits, receive)
        finally:
            end_group(process)
        _drain(selector, receive)
    return Ending(cause, process.returncode if cause == "exit" else None)


@contextmanager
def _relaying(group: int, signals: Sequence[signal.Signals]) -> Generator[None]:
    """Pass signals on to a group instead of obeying them."""

    def relay(number: int, _: FrameType | None) -> None:
        _send(group, number)

    before = {number: signal.signal(number, relay) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _follow(
    process: subprocess.Popen[bytes],
    selector: DefaultSelector,
    limits: Limits,
    receive: Callable[[str, bytes], None],
) -> Cause:
    deadline = time.monotonic() + limits.timeout_s
    while True:
        if limits.stop.is_set():
            return "stop"
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return "timeout"
        if not _wait(process, selector, min(left_s, _TICK_S), receive):
            return "exit"
        receive("tick", b"")


def _wait(
    process: subprocess.Popen[bytes],
    selector: DefaultSelector,
    timeout_s: float,
    receive: Callable[[str, bytes], None],
) -> bool:
    """Take in output for a moment; return whether the command still runs."""
    if selector.get_map():
        _read(selector, timeout_s, receive)
        return process.poll() is None
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return True
    return False


def _read(selector: DefaultSelector, timeout_s: float, receive: Callable[[str, bytes], None]) -> bool:
    """Read what is there within a time from each pipe once; return whether anything was."""
    ready = selector.select(timeout_s)
    for key, _ in ready:
        pipe = cast("IO[bytes]", key.fileobj)
        data = os.read(pipe.fileno(), _CHUNK)
        if data:
            receive(cast("str", key.data), data)
        else:
            selector.unregister(pipe)
    return bool(ready)


def _drain(selector: DefaultSelector, receive: Callable[[str, bytes], None]) -> None:
    """Take in what the ended group left in its pipes, without waiting for who still holds them open."""
    deadline = time.monotonic() + _DRAIN_S
    while selector.get_map() and time.monotonic() < deadline and _read(selector, 0, receive):
        pass


def end_group(process: subprocess.Popen[bytes], grace_s: float = _GRACE_S) -> None:
    """End the group that ``process`` leads, and reap it: SIGTERM, a grace, SIGKILL.

    An interrupt within the grace cuts it short; nothing is left running even then.
    """
    group = process.pid
    if not _send(group, signal.SIGTERM):
        process.wait()
        return
    gone = False
    try:
        gone = _await_end(process, grace_s)
    finally:
        # A group that is gone has given its number back: it could be another's by now.
        if not gone:
            _send(group, signal.SIGKILL)
            # The kernel ends them in its own time; what it cannot end (in a device's wait) is not waited for.
            _await_end(process, _KILL_S)
        process.wait()


def _await_end(process: subprocess.Popen[bytes], timeout_s: float) -> bool:
    """Wait for the end of a group; return whether it has come."""
    deadline = time.monotonic() + timeout_s
    pause_s = 0.001
    while not (gone := _is_gone(process)) and time.monotonic() < deadline:
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, _TICK_S)
    return gone


def _is_gone(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is not None and not (_send(process.pid, 0) and _has_running(process.pid))


def _send(group: int, number: int) -> bool:
    """Send a signal to a group; return whether there is one."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        # macOS answers EPERM for a group of which only zombies are left.
        return False
    return True


def _has_running(group: int) -> bool:
    """Whether a member of the group is more than a zombie: in a container nobody may reap those.

    See: ``proc_pid_stat(5)``, fields 3 (state) and 5 (process group).
    """
    entries = list(Path("/proc").glob("[0-9]*/stat"))
    for entry in entries:
        try:
            state, _, found = entry.read_bytes().rpartition(b")")[2].split()[:3]
        except (OSError, ValueError):
            continue  # It ended while we looked.
        if int(found) == group and state not in (b"Z", b"X"):
            return True
    return not entries
