"""Errors of going to another state of a run: undo, redo, restore, branches."""

from __future__ import annotations

from ledger.errors import LedgerError


class NothingToUndo(LedgerError):
    """Less has happened since the run's base than is to be undone. Nothing was written."""

    hint = "`ledger log` lists what happened in the run"

    def __init__(self, run: str, asked: int, there: int) -> None:
        self.run, self.asked, self.there = run, asked, there
        what = f"only {there} can be" if there else "nothing was changed since the run's base"
        super().__init__(f"run {run}: {asked} to undo, and {what}")


class NothingToRedo(LedgerError):
    """Less was undone than is to be redone, or something else happened since. Nothing was written."""

    hint = "`ledger apply --again EVENT` takes any patch of the run again; `ledger log` lists them"

    def __init__(self, run: str, asked: int, there: int) -> None:
        self.run, self.asked, self.there = run, asked, there
        what = f"only {there} can be" if there else "nothing was undone since the last change"
        super().__init__(f"run {run}: {asked} to redo, and {what}")


class NotUndoable(LedgerError):
    """An event is no operation that an undo can go back past. Nothing was written."""

    hint = "`ledger log` lists what happened; `ledger restore EVENT` goes to any state"

    def __init__(self, event: str) -> None:
        self.event = event
        super().__init__(f"{event}: it changed no file, was undone already, or lies before the run's base")


class StateUnavailable(LedgerError):
    """The repository has not every object of a state, and they cannot be made again. Nothing was written."""

    def __init__(self, event: str, tree: str, head: str | None) -> None:
        self.event, self.tree, self.head = event, tree, head
        what = head or f"a commit with the tree {tree}"
        self.hint = f"`git fetch REMOTE {what}` brings the base of the run; then ask again"
        super().__init__(f"{event}: the repository has not every object of its tree {tree[:12]}")


class PathInTheWay(LedgerError):
    """A path cannot be restored alone: the candidate has a file where it needs a directory."""

    def __init__(self, event: str, path: str, file: str) -> None:
        self.event, self.path, self.file = event, path, file
        self.hint = f"restore that too: `ledger restore {event} {file}`"
        super().__init__(f"{path}: the candidate has the file {file} there")


class BadBranchName(LedgerError):
    """Git takes no branch of that name. Nothing was written."""

    hint = "choose another one: `git help check-ref-format` has the rules"

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"no name of a branch: {name!r}")


class BranchExists(LedgerError):
    """There is a branch of that name. It is as it was."""

    def __init__(self, name: str, commit: str) -> None:
        self.name, self.commit = name, commit
        self.hint = f"choose another name, or let it go there: `ledger branch --force {name} EVENT`"
        super().__init__(f"branch {name} exists, at {commit[:12]}")


class BranchInUse(LedgerError):
    """A work tree has that branch checked out, or is at work on it. It is as it was."""

    hint = "choose another name; `git worktree list` shows who has which branch"

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"branch {name} is checked out")


class NothingToBranch(LedgerError):
    """The state is the run's base, and that is no commit. Nothing was written."""

    hint = "`ledger log` lists the events; `ledger branch NAME EVENT` takes one that changed a file"

    def __init__(self, event: str) -> None:
        self.event = event
        super().__init__(f"{event}: nothing was changed by then, and the run began without a commit")
