"""A tracer that sees every file system call of a command and its children, and lets one of them go wrong.

``strace`` can make a call fail, but only by number within one process, and cannot make a write really
short. This one numbers the calls of all processes that touch one directory, and for one of them: returns an
error without doing it (or after doing it), hands the kernel half of a write, or kills.

See: ptrace(2); ``tests/faults/test_tracer.py`` compares it with strace.
"""

from __future__ import annotations

import ctypes
import errno
import os
import pickle
import platform
import re
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, NoReturn

SUPPORTED = sys.platform == "linux" and platform.machine() == "x86_64"

_TRACEME, _POKEUSER, _SYSCALL, _SETOPTIONS, _SYSCALL_INFO = 0, 6, 24, 0x4200, 0x420E
_OPTIONS = (
    0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x100000
)  # marked stops; fork, vfork, clone, exec; die with the tracer
_RAX, _RDX, _ORIG_RAX = 80, 96, 120  # offsets in struct user of <sys/user.h>
_ENTRY, _EXIT = 1, 2
_WALL = 0x40000000
_AT_FDCWD = -100

# Number, and what each argument names: p a path, d a directory of the path that follows, f a descriptor.
_CALLS = {
    0: ("read", "f"), 1: ("write", "f"), 2: ("open", "p"), 3: ("close", "f"), 4: ("stat", "p"), 5: ("fstat", "f"),
    6: ("lstat", "p"), 8: ("lseek", "f"), 17: ("pread64", "f"), 18: ("pwrite64", "f"), 19: ("readv", "f"),
    20: ("writev", "f"), 21: ("access", "p"), 40: ("sendfile", "ff"), 73: ("flock", "f"), 74: ("fsync", "f"),
    75: ("fdatasync", "f"), 76: ("truncate", "p"), 77: ("ftruncate", "f"), 80: ("chdir", "p"),
    82: ("rename", "pp"), 83: ("mkdir", "p"), 84: ("rmdir", "p"), 85: ("creat", "p"), 86: ("link", "pp"),
    87: ("unlink", "p"), 88: ("symlink", ".p"), 89: ("readlink", "p"), 90: ("chmod", "p"), 91: ("fchmod", "f"),
    137: ("statfs", "p"), 138: ("fstatfs", "f"), 217: ("getdents64", "f"), 235: ("utimes", "p"),
    257: ("openat", "dp"), 258: ("mkdirat", "dp"), 262: ("newfstatat", "dp"), 263: ("unlinkat", "dp"),
    264: ("renameat", "dpdp"), 265: ("linkat", "dpdp"), 266: ("symlinkat", ".dp"), 267: ("readlinkat", "dp"),
    268: ("fchmodat", "dp"), 269: ("faccessat", "dp"), 280: ("utimensat", "dp"), 316: ("renameat2", "dpdp"),
    326: ("copy_file_range", "f.f"), 332: ("statx", "dp"), 437: ("openat2", "dp"), 439: ("faccessat2", "dp"),
}  # fmt: skip
_FLAGS_AT = {"open": 1, "openat": 2}  # which argument holds the flags
CHANGING = frozenset(
    [
        "write",
        "pwrite64",
        "writev",
        "sendfile",
        "copy_file_range",
        "fsync",
        "fdatasync",
        "truncate",
        "ftruncate",
        "rename",
        "renameat",
        "renameat2",
        "mkdir",
        "mkdirat",
        "rmdir",
        "creat",
        "link",
        "linkat",
        "unlink",
        "unlinkat",
        "symlink",
        "symlinkat",
        "chmod",
        "fchmod",
        "fchmodat",
        "utimes",
        "utimensat",
        "flock",
    ]
)
"""What changes a file system, makes a change last, or holds others off; and `open` where it creates or empties."""
FULL = frozenset(
    [
        "write",
        "pwrite64",
        "writev",
        "sendfile",
        "copy_file_range",
        "fsync",
        "fdatasync",
        "ftruncate",
        "truncate",
        "rename",
        "renameat",
        "renameat2",
        "mkdir",
        "mkdirat",
        "creat",
        "link",
        "linkat",
        "symlink",
        "symlinkat",
    ]
)
"""What a full disk can refuse (their manual pages, ENOSPC); and `open` where it creates."""
WRITES = frozenset({"write", "pwrite64"})


class Call(NamedTuple):
    """One call: its name, the path below the watched directory, and whether it changes something there.

    ``pid`` tells the processes of one command apart: 0 is the command itself.
    """

    name: str
    path: str
    changes: bool
    creates: bool
    size_bytes: int
    process: int


class Fault(NamedTuple):
    """What happens to the ``nth`` call of a name at a place (`place_of`), from 0.

    ``EIO`` or ``ENOSPC``: it is not done. ``EIO-done``: it is, and says that it is not. ``full``: it and all
    later calls that need room give ENOSPC. ``short``: half of a write. ``kill-before``, ``kill-after``.
    """

    name: str
    place: str
    nth: int
    what: str


def place_of(call: Call) -> str:
    """Return what kind of place a call touches; random names in it are left out, for they change each time."""
    parts = re.sub(r"\b[0-9a-f]{2}\b|[0-9a-f]{8,}|\d+", "…", call.path).split("/")
    return "/".join(parts[:3]) if parts[0] == ".git" else parts[0]


class Traced(NamedTuple):
    """How the command ended (negative: by a signal), what it said, its calls, and what an observer saw."""

    status: int
    out: str
    err: str
    calls: list[Call]
    seen: list[object]
    struck: bool


def trace(
    command: Callable[[], NoReturn],
    root: Path,
    fault: Fault | None = None,
    observe: Callable[[], object] | None = None,
) -> Traced:
    """Run a command in a fork and return once it and all of its children have ended.

    Args:
        command: Runs in the fork, standard output and error going to files; never returns.
        root: Calls that name something below it are numbered from 0.
        fault: What goes wrong; None runs it as it is.
        observe: Asked before and after each change, while the command stands still.
    """
    receive, send = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Threads of the runner do not matter.
        pid = os.fork()
    if pid == 0:
        # A process of its own: it waits for whatever child comes next, and those must all be the command's.
        os.close(receive)
        _report(send, lambda: _Tracer(os.fspath(root.resolve()), fault, observe).run(command))
    os.close(send)
    with os.fdopen(receive, "rb") as file:
        data = file.read()
    os.waitpid(pid, 0)
    result, error = pickle.loads(data)
    assert error == "", error
    return result


def _report(send: int, run: Callable[[], Traced]) -> NoReturn:
    try:
        try:
            result = run(), ""
        except Exception:  # noqa: BLE001 - told to whoever waits, who raises it
            result = None, traceback.format_exc()
        with os.fdopen(send, "wb") as file:
            pickle.dump(result, file)
    finally:
        os._exit(0)


class _Info(ctypes.Structure):
    """``struct ptrace_syscall_info``: of an entry the number and six arguments, of an exit the result."""

    _fields_ = [
        ("op", ctypes.c_uint8),
        ("pad", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("ip", ctypes.c_uint64),
        ("sp", ctypes.c_uint64),
        ("words", ctypes.c_uint64 * 8),
    ]


class _Tracer:
    def __init__(self, root: str, fault: Fault | None, observe: Callable[[], object] | None) -> None:
        self._root, self._fault, self._observe = root, fault, observe
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        self._libc.ptrace.restype = ctypes.c_long
        self._calls: list[Call] = []
        self._seen: list[object] = []
        self._processes: dict[int, int] = {}
        self._inside: dict[int, Call] = {}
        self._result: dict[int, int] = {}
        self._met = 0
        self._struck = False

    def run(self, command: Callable[[], NoReturn]) -> Traced:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            main = os.fork()
            if main == 0:
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                # The runner's own lead elsewhere.
                sys.stdout, sys.stderr = (os.fdopen(fd, "w", encoding="utf-8") for fd in (1, 2))
                self._ptrace(_TRACEME, 0)
                os.kill(os.getpid(), signal.SIGSTOP)
                command()
            os.waitpid(main, _WALL)
            self._ptrace(_SETOPTIONS, main, 0, _OPTIONS)
            self._processes[main] = 0
            self._go_on(main, 0)
            status = self._loop(main)
            texts: list[str] = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode("utf-8", "replace"))
        return Traced(status, texts[0], texts[1], self._calls, self._seen, self._struck)

    def _loop(self, main: int) -> int:
        ended = 0
        while True:
            try:
                pid, status = os.waitpid(-1, _WALL)
            except ChildProcessError:
                return ended
            if not os.WIFSTOPPED(status):
                if pid == main:
                    ended = os.waitstatus_to_exitcode(status)
                continue
            self._processes.setdefault(pid, len(self._processes))
            number = os.WSTOPSIG(status)
            forwarded = 0
            if number == signal.SIGTRAP | 0x80:
                self._stop(pid)
            elif status >> 16 == 0 and number != signal.SIGSTOP:
                forwarded = number
            self._go_on(pid, forwarded)

    def _stop(self, pid: int) -> None:
        info = _Info()
        if self._ptrace(_SYSCALL_INFO, pid, ctypes.sizeof(info), ctypes.addressof(info)) < 0:
            return  # Killed meanwhile.
        if info.op == _ENTRY:
            call = self._enter(pid, info.words[0], [ctypes.c_int64(word).value for word in info.words[1:7]])
            if call is not None:
                self._inside[pid] = call
                self._fail_on_entry(pid, call)
                self._calls.append(call)
                self._look(call)
        elif info.op == _EXIT and (call := self._inside.pop(pid, None)) is not None:
            self._fail_on_exit(pid)
            self._look(call)

    def _look(self, call: Call) -> None:
        if self._observe is not None and call.changes:
            self._seen.append(self._observe())

    # Which call it is

    def _enter(self, pid: int, number: int, arguments: list[int]) -> Call | None:
        if number not in _CALLS:
            return None
        name, shape = _CALLS[number]
        for path in self._named(pid, shape, arguments):
            if path == self._root or path.startswith(self._root + "/"):
                flags = arguments[_FLAGS_AT[name]] if name in _FLAGS_AT else 0
                creates = bool(flags & os.O_CREAT)
                changes = name in CHANGING or bool(flags & (os.O_CREAT | os.O_TRUNC))
                size = arguments[2] if name in WRITES else 0
                inside = path[len(self._root) + 1 :]
                return Call(name, inside, changes, creates, size, self._processes[pid])
        return None

    def _named(self, pid: int, shape: str, arguments: list[int]) -> list[str]:
        named: list[str] = []
        directory = _AT_FDCWD
        for kind, argument in zip(shape, arguments, strict=False):
            if kind == "d":
                directory = ctypes.c_int32(argument).value
            elif kind == "f":
                named.append(self._descriptor(pid, ctypes.c_int32(argument).value))
            elif kind == "p":
                path = self._text(pid, argument)
                if not path.startswith("/"):
                    path = f"{self._descriptor(pid, directory)}/{path}"
                named.append(os.path.normpath(path))
                directory = _AT_FDCWD
        return named

    @staticmethod
    def _descriptor(pid: int, fd: int) -> str:
        try:
            return str(Path(f"/proc/{pid}", "cwd" if fd == _AT_FDCWD else f"fd/{fd}").readlink())
        except OSError:
            return ""

    @staticmethod
    def _text(pid: int, address: int) -> str:
        try:
            with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
                memory.seek(address)
                # Up to the end of the page: what lies behind it may not be there.
                data = memory.read(4096 - address % 4096)
                if b"\0" not in data:
                    data += memory.read(4096)
        except (OSError, ValueError, OverflowError):
            return ""
        return os.fsdecode(data.partition(b"\0")[0])

    # What goes wrong

    def _due(self, call: Call) -> str:
        """Return what happens to a call, "" for nothing."""
        fault = self._fault
        if fault is None:
            return ""
        if self._struck:
            return "ENOSPC" if fault.what == "full" and (call.name in FULL or call.creates) else ""
        if (call.name, place_of(call)) != (fault.name, fault.place):
            return ""
        self._met += 1
        self._struck = self._met > fault.nth
        return fault.what.replace("full", "ENOSPC") if self._struck else ""

    def _fail_on_entry(self, pid: int, call: Call) -> None:
        what = self._due(call)
        if what == "kill-before":
            os.kill(pid, signal.SIGKILL)
        elif what == "short":
            self._ptrace(_POKEUSER, pid, _RDX, call.size_bytes // 2)
        elif what:
            self._result[pid] = 0
            if not what.startswith("kill"):
                self._result[pid] = -getattr(errno, what.removesuffix("-done"))
                if not what.endswith("-done") and call.name != "close":
                    # No such call: the kernel does nothing. A close that fails closes all the same.
                    self._ptrace(_POKEUSER, pid, _ORIG_RAX, -1)

    def _fail_on_exit(self, pid: int) -> None:
        result = self._result.pop(pid, None)
        if result == 0:
            os.kill(pid, signal.SIGKILL)
        elif result is not None:
            self._ptrace(_POKEUSER, pid, _RAX, result)

    def _go_on(self, pid: int, number: int) -> None:
        self._ptrace(_SYSCALL, pid, 0, number)

    def _ptrace(self, request: int, pid: int, address: int = 0, data: int = 0) -> int:
        return self._libc.ptrace(request, pid, address, data & (2**64 - 1))
