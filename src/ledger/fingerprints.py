"""Fingerprints: an error's message without what changes from one time to the next.

Two messages with one fingerprint are the same error, met twice. Put aside are colours, times and durations,
addresses, random names of temporary directories, process numbers, and the lines that a traceback's frames
stand at. Everything else counts: other names, numbers, paths and lines of a file are another error.
"""

from __future__ import annotations

import re

# What a terminal is told (ECMA-48, "Control sequences"; titles end in BEL or ST).
_COLOURS = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\].*?(?:\x07|\x1b\\))")
_ASIDE = (
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"(?<![\d:.])\d\d:\d\d:\d\d(?:[.,]\d+)?\b"), "<time>"),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "<uuid>"),
    (re.compile(r"\b0x[0-9a-fA-F]{4,}\b"), "<address>"),
    (re.compile(r"(?:/private)?/(?:var/)?tmp/(?:pytest-of-\w+/pytest-\d+|[^/\s'\":,)\]]+)"), "<tmp>"),
    (re.compile(r"/var/folders/[^/\s]+/[^/\s]+/T/[^/\s'\":,)\]]+"), "<tmp>"),
    (re.compile(r"\bpytest-of-\w+/pytest-\d+\b"), "<tmp>"),
    (re.compile(r"(?<=\", line )\d+(?=, in )"), "<line>"),
    (re.compile(r"\b(pid|process|PID)([ =:]+)\d+\b"), r"\1\2<pid>"),
    (
        re.compile(
            r"(?<![\w.])\d+(?:\.\d+)?\s?(?:ns|us|µs|ms|s|secs?|seconds?|mins?|minutes?)\b"
            r"(?!\s*(?:timeout|limit))"
        ),
        "<duration>",
    ),
)


def strip_colours(text: str) -> str:
    """Return a text without what a terminal would obey."""
    return _COLOURS.sub("", text)


def fingerprint(message: str) -> str:
    """Return what identifies an error: its message without what changes, blank line ends, and blank lines."""
    message = strip_colours(message)
    for changing, name in _ASIDE:
        message = changing.sub(name, message)
    return "\n".join(line.rstrip() for line in message.splitlines() if line.strip())
