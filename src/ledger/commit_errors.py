"""Errors of taking Git's commits in as a run."""

from __future__ import annotations

from ledger.errors import LedgerError


class NoSuchCommit(LedgerError):
    """Git knows no commit of this name, or a range has none. Nothing was written."""

    hint = "`git log --oneline --first-parent A..B` lists the commits of a range"

    def __init__(self, revision: str, reason: str) -> None:
        self.revision, self.reason = revision, reason
        super().__init__(f"{revision}: {reason}")


class ShallowHistory(LedgerError):
    """The commits before one are not in this repository, as a clone left them out. Nothing was written."""

    hint = "fetch them: `git fetch --unshallow`; or begin later: `ledger import git A..B`"

    def __init__(self, commit: str) -> None:
        self.commit = commit
        super().__init__(f"the history is cut off before commit {commit[:12]}")


class UnreachableTree(LedgerError):
    """A patch does not lead to the tree of a commit, which old tools encoded in another way."""

    hint = "`git fsck` tells what is odd about it; begin after that commit: `ledger import git A..B`"

    def __init__(self, commit: str, tree: str, got: str) -> None:
        self.commit, self.tree, self.got = commit, tree, got
        super().__init__(f"commit {commit[:12]} has tree {tree}, its difference leads to {got}")
