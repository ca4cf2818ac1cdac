"""The timeline of a run: which of its operations can be undone, and which undone ones taken again.

An *operation* is what changed the candidate in one go: a patch, a move, recorded edits, a restore, a
rollback. Undoing takes back the newest, redoing takes again the newest that was undone, as in an editor; any
other operation forgets what could be redone. Both are operations too, whose events name what they take back,
so that the timeline is a function of the log.

See: ``docs/format.md``, "The timeline".
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec import UnsetType

from ledger.events import PatchApplied, PatchRolledBack, TreeEvent


class Operation(NamedTuple):
    """One change of the live states; ``v`` is the version of its first event.

    It either ``added`` so many states to their end, or ``removed`` these from there.
    """

    v: int
    added: int = 0
    removed: tuple[int, ...] = ()

    @property
    def versions(self) -> range:
        """The versions of its events."""
        return range(self.v, self.v + max(self.added, 1))


class Timeline:
    """The operations of one run that can be undone and redone, the next one last."""

    def __init__(self) -> None:
        self.undoable: list[Operation] = []
        self.redoable: list[Operation] = []
        self._line = self.undoable
        """Where the last operation went."""
        self._undoes: int | None = None
        """What that takes back: events that take back the same belong to it."""

    def take(self, event: TreeEvent) -> None:
        """Take the next event that changes the tree."""
        match event:
            case PatchApplied():
                self._take(Operation(event.v, added=1), event.undoes)
            case PatchRolledBack():
                self._take(Operation(event.v, removed=event.patches), event.undoes)
            case _:
                # From another base nothing leads back.
                self.undoable.clear()
                self.redoable.clear()
                self._undoes = None

    def _take(self, operation: Operation, undoes: int | UnsetType) -> None:
        target = None if isinstance(undoes, UnsetType) else undoes
        if target is not None and target == self._undoes:
            self._line[-1] = self._line[-1]._replace(added=self._line[-1].added + operation.added)
            return
        self._undoes = target
        if _is_next(self.undoable, target):
            self.undoable.pop()
            self._line = self.redoable
        else:
            if _is_next(self.redoable, target):
                self.redoable.pop()
            else:
                self.redoable.clear()
            self._line = self.undoable
        self._line.append(operation)


def _is_next(line: list[Operation], v: int | None) -> bool:
    return bool(line) and line[-1].v == v
