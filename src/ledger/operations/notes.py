"""Notes: what has to be said beside every verdict of a run."""

from __future__ import annotations

from ledger.filerecords import parse_path
from ledger.history import History
from patches.errors import show_path

_LINE_SIZE = 160


def notes_on(history: History) -> tuple[str, ...]:
    """Return where the policy came to ask for less, and which live patches configure the gates themselves."""
    weakened = [
        f"the policy asks for less since {each.event}: {one_line(each.what)}" for each in history.weakened
    ]
    touched = [
        f"{patch.reference} touches the gates' own configuration: "
        + ", ".join(show_path(parse_path(path)) for path in patch.configures)
        for patch in history.configured
    ]
    return (*weakened, *touched)


def one_line(text: str) -> str:
    """Return a text without line ends, cut where it is long; the event has all of it."""
    joined = " ".join(text.split())
    return joined if len(joined) <= _LINE_SIZE else f"{joined[:_LINE_SIZE]} …"
