"""What two messages have in common when they are the same error."""

from __future__ import annotations

import pytest

from ledger.fingerprints import fingerprint

SAME = {
    "colours": ("\x1b[1;31merror\x1b[0m: no such file", "error: no such file"),
    "a title": ("\x1b]0;make\x07error: no", "error: no"),
    "durations": ("2 failed in 0.12s", "2 failed in 12.5s"),
    "milliseconds": ("took 15 ms", "took 9 ms"),
    "dates": ("2026-01-02T03:04:05Z refused", "2026-11-28 21:00:00,123 refused"),
    "clocks": ("[03:04:05] refused", "[23:59:59.9] refused"),
    "addresses": ("<Foo object at 0x7f31aabbccdd>", "<Foo object at 0x55d0c0ffee00>"),
    "temporary names": ("open /tmp/pip-abc12/setup.py", "open /tmp/pip-zz9/setup.py"),
    "pytest's directories": ("in pytest-of-me/pytest-3/a", "in pytest-of-me/pytest-41/a"),
    "random ids": (
        "job 01234567-89ab-cdef-0123-456789abcdef died",
        "job ffffffff-89ab-cdef-0123-456789abcdef died",
    ),
    "processes": ("pid 41 was killed", "pid 7 was killed"),
    "frames": ('  File "a.py", line 3, in f\nKeyError', '  File "a.py", line 8, in f\nKeyError'),
    "line ends": ("one\r\n\r\ntwo  \n", "one\ntwo"),
}
OTHER = {
    "names": ("no module named a", "no module named b"),
    "numbers": ("3 failed", "4 failed"),
    "lines of a file": ("a.py:3: unused import", "a.py:9: unused import"),
    "paths": ("/etc/a: no such file", "/etc/b: no such file"),
    "files below a temporary directory": ("/tmp/x1/a.c: error", "/tmp/x1/b.c: error"),
    "versions": ("needs Python 3.11", "needs Python 3.12"),
    "exit codes": ("sh exited with 1", "sh exited with 2"),
    "a short hexadecimal constant": ("opcode 0x1f", "opcode 0x2f"),
}


@pytest.mark.parametrize("what", SAME)
def test_what_changes_from_time_to_time_is_put_aside(what: str) -> None:
    """The same error, met twice."""
    first, second = SAME[what]
    assert fingerprint(first) == fingerprint(second)


@pytest.mark.parametrize("what", OTHER)
def test_other_errors_stay_others(what: str) -> None:
    """Whatever could be another error is one."""
    first, second = OTHER[what]
    assert fingerprint(first) != fingerprint(second)
