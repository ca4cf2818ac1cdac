"""Marks: what is odd about an error that was found. It is taken all the same, and says so."""

from __future__ import annotations

import re
from typing import Final

TEST_SUITE: Final = "written by a test suite"
TIME_NOT_FILLED_IN: Final = "time not filled in"
STEP_NOT_FILLED_IN: Final = "step not filled in"
NO_CLOSING: Final = "no closing question"
COPY: Final = "a copy"
MASKED: Final = "secrets masked"

_SIGNS: Final = {
    "a temporary directory of pytest": re.compile(r"\bpytest-of-[^/\\\s\"']+[/\\]+pytest-\d+"),
    "a mock object": re.compile(r"\b(?:Magic|Async|NonCallable|NonCallableMagic)Mock\b|\bunittest\.mock\b"),
    "pytest's own variable": re.compile(r"\bPYTEST_CURRENT_TEST\b"),
}
_MADE_UP: Final = re.compile(
    r"""(?:[\w.]*(?:Error|Exception)\s*[:(]\s*)?["']?
    (?:(?:ka)?boom | bang | oops | (?:test|dummy|fake|mock(?:ed)?|simulated|synthetic|expected)[ ]
       (?:error|exception|failure))
    [!.]*["']?\)?""",
    re.VERBOSE | re.IGNORECASE,
)
"""Messages that tests make up, where one is all there is."""


def signs_of_tests(message: str, *others: str) -> str:
    """Return what shows that an error was written by a test suite, "" where nothing does.

    Args:
        message: Its message, which is also compared with those that tests make up.
        others: What else is said of it.
    """
    if _MADE_UP.fullmatch(message.strip()):
        return "a message that tests make up"
    said = "\n".join((message, *others))
    return next((name for name, sign in _SIGNS.items() if sign.search(said)), "")
