"""The guard: notes which files the modules of a gate's Python processes came from.

Python imports this module at start, because the runner puts its directory first on ``PYTHONPATH``.
It runs in the measured project's interpreter: Python 3.8 and later, nothing heavy imported, no way
to fail that the measured program could notice. Without ``LEDGER_IMPORTS`` it does nothing but
step aside.

``LEDGER_IMPORTS`` names a directory. Its file ``names`` holds the top-level names to look for, one a
line. Each process leaves one file ``<pid>-<moment>.modules`` there when it ends, also through
``os._exit``: forked workers end that way. A record is a module's name, NUL, its file, NUL. ``seen`` says
that some process was watched at all.
"""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 (pathlib is heavy at every start)


def _watch(directory: str) -> None:
    import atexit

    # A relative entry of sys.path is read against where the process started, not where it ends.
    start = os.getcwd()  # noqa: PTH109
    leave = os._exit

    def note() -> None:
        try:  # noqa: SIM105 (contextlib is not loaded at start)
            _write(directory, start)
        except (OSError, RuntimeError, ValueError, TypeError, AttributeError):
            pass  # The measured program's end is not ours to disturb; `seen` without a record says so.

    def note_and_leave(status: int) -> None:
        try:
            note()
        finally:
            leave(status)

    os.close(os.open(os.path.join(directory, "seen"), os.O_WRONLY | os.O_CREAT, 0o600))  # noqa: PTH118
    # Registered before everything else, so it runs last and sees what the others still import.
    atexit.register(note)
    os._exit = note_and_leave


def _write(directory: str, start: str) -> None:
    from time import monotonic_ns

    with open(os.path.join(directory, "names"), "rb") as names:  # noqa: PTH118, PTH123
        wanted = frozenset(names.read().splitlines())
    records: list[str] = []  # Not evaluated in a function: Python 3.8 takes it.
    for name, module in sys.modules.copy().items():
        file = _file_of(module)
        if file and name.partition(".")[0].encode("utf-8", "surrogateescape") in wanted:
            records.append(name + "\0" + os.path.join(start, file) + "\0")  # noqa: PTH118
    if not records:
        return
    path = os.path.join(directory, "%d-%d.modules" % (os.getpid(), monotonic_ns()))  # noqa: PTH118, UP031
    with open(path, "wb") as record:  # noqa: PTH123
        record.write("".join(records).encode("utf-8", "surrogateescape"))


def _file_of(module: object) -> str:
    """Return a module's ``__file__`` without waking it: a lazy one imports itself at the first look."""
    try:
        file = object.__getattribute__(module, "__dict__").get("__file__")
    except (AttributeError, TypeError):
        return ""
    return file if isinstance(file, str) else ""


def _step_aside() -> None:
    """Give the name and the place on ``sys.path`` back to whom they would belong without the guard."""
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _HERE]  # noqa: PTH100
    ours = sys.modules.pop(__name__)
    try:
        # What theirs raises is for the interpreter to report, as it would without us.
        __import__(__name__)
    except ImportError as error:
        if error.name != __name__:
            raise
        # There is no other; the interpreter is about to look this one up.
        sys.modules[__name__] = ours


def _start() -> None:
    directory = os.environ.get("LEDGER_IMPORTS")
    if directory:
        try:  # noqa: SIM105
            _watch(directory)
        except OSError:
            pass  # The directory is gone: this process has outlived its gate.
    _step_aside()


_start()
