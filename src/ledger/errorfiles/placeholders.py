"""Placeholders: what a script or a person was to fill in, and did not."""

from __future__ import annotations

import re

from ledger.errorfiles.typography import fold

_FORMS = re.compile(
    r"""
      \$\w+ | \$\{[^{}]*\} | \$\([^()]*\)   # of a shell: $ts, ${ts}, $(date -u)
    | \{\{?[^{}]*\}?\}                       # of a format string: {ts}, {{timestamp}}
    | <[A-Za-z][\w -]*>                      # <timestamp>
    | %[A-Za-z](?:[-T:.,/ ]*%[A-Za-z])*Z?    # %Y-%m-%dT%H:%M:%SZ
    | `date\b[^`]*`
    """,
    re.VERBOSE,
)
_NAMES = re.compile(
    r"(?:step|step[_ ](?:number|no|id|name|desc|description)|error|error[_ ]message|message|context"
    r"|brief[_ ]context|timestamp|date|time)",
    re.IGNORECASE,
)


def is_placeholder(text: str) -> bool:
    """Return whether a text is nothing but placeholders: ``[ERROR_MESSAGE]``, ``{step}:{desc}``, ``$ts``."""
    plain = fold(text).strip(" .`*_[]")
    if not plain:
        return False
    rest = _FORMS.sub("", fold(text))
    parts = [part.strip(" .`*_[]()") for part in rest.split(":")]
    left = [part for part in parts if part]
    if not left:
        return rest != fold(text)
    # A bare word is one only where it is written as one: `[STEP_NUMBER:STEP_DESCRIPTION]`.
    shouted = plain == plain.upper() and "_" in plain
    return (shouted or "[" in text) and all(_NAMES.fullmatch(part) for part in left)


def find_placeholder(text: str) -> str:
    """Return the first placeholder in a text, "" where there is none."""
    found = _FORMS.search(fold(text))
    return found[0] if found else ""
