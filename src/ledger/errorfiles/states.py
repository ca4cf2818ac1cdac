"""States: what people's words for it say of a question: open, answered, or retired."""

from __future__ import annotations

import re
from typing import Final

from ledger.errorfiles.model import State
from ledger.errorfiles.typography import fold

_OPEN: Final = re.compile(
    r"\b(?:open|pending|defer(?:red)?|blocked|unresolved|in progress|partial(?:ly)?|to ?do|action required"
    r"|not (?:\w+ )?(?:resolved|fixed|done|answered)|investigat\w+|unanswered|active|outstanding)\b|⚠|❌",
    re.IGNORECASE,
)
_RETIRED: Final = re.compile(
    r"\b(?:retired|obsolete|superseded|wo(?:n't|nt|uld not) ?fix|dropped|not applicable|n/a|rejected|invalid"
    r"|duplicate|removed|withdrawn)\b",
    re.IGNORECASE,
)
_ANSWERED: Final = re.compile(
    r"\b(?:resolved|resolution|answered|fixed|done|closed|completed?|implemented|mitigated|solved|documented"
    r"|true)\b|✅|☑|✔",
    re.IGNORECASE,
)
_NOT_YET: Final = re.compile(
    r"(?:tbd|tba|to be (?:done|determined)|pending|none(?: yet)?|n/?a|todo|unknown|open|[-?.…]*)",
    re.IGNORECASE,
)


def read_state(status: str, still_valid: str = "") -> State:
    """Return the state that a status says; whether it is still valid, where somebody kept that, decides."""
    status, still_valid = fold(status), fold(still_valid).strip("*_`. ").lower()
    closed: State = "retired" if _RETIRED.search(status) else "answered"
    if still_valid:
        return closed if re.match(r"(?:no|false|retired|resolved)\b", still_valid) else "open"
    if _OPEN.search(status):
        return "open"
    return closed if _RETIRED.search(status) or _ANSWERED.search(status) else "open"


def says_nothing(answer: str) -> bool:
    """Return whether an answer is a blank that somebody was to fill in."""
    return _NOT_YET.fullmatch(fold(answer).strip(" *_`()")) is not None
