"""What a writing operation did, for the caller to show."""

from __future__ import annotations

from msgspec import Struct

from ledger.run import RunLog
from patches.model import FileChange
from patches.touches import LeftAlone


class Applied(Struct, frozen=True):
    """What a writing command did.

    ``event`` is the reference of the event ("" where none was needed), ``tree`` the candidate
    tree after it, ``files`` what happened to each path. ``left_alone`` names paths that somebody
    edited meanwhile: they keep that edit, which is drift now.
    """

    event: str
    tree: str
    files: tuple[FileChange, ...] = ()
    left_alone: tuple[LeftAlone, ...] = ()
    already: bool = False
    started: str = ""
    """Name of the run that this command started, "" where it was open already."""
    configures: tuple[str, ...] = ()
    """Paths among ``files`` that configure the gates themselves."""
    secrets: tuple[str, ...] = ()
    """Kinds and places of secrets that it adds, and that were allowed."""
    normalised: tuple[str, ...] = ()
    """What was done to the given bytes before they could be read as a patch."""
    conflicts: tuple[str, ...] = ()
    """Files that a merge left in conflict, with their marked lines: no gate measures them."""
    warnings: tuple[str, ...] = ()
    """What else of it a person should look at: what may be a secret, whitespace errors."""
    back: str = ""
    """The command that takes it back, where it is one of going there: undo, redo, restore."""


def unchanged(log: RunLog) -> Applied:
    """Return that the candidate has it already; names the event that made it so, if there is one."""
    event = f"{log.head.run}:{log.head.tree_v}" if log.written else ""
    return Applied(event, log.head.tree, already=True)
