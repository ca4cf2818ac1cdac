"""Errors of carrying runs from one ledger to another."""

from __future__ import annotations

from pathlib import Path

from ledger.errors import LedgerError


class InvalidBundle(LedgerError):
    """An export file is not what `ledger export` writes: damaged, or made to do harm. Nothing was written."""

    hint = "export the run again where it is: `ledger export RUN -o FILE`"

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")


class NewerBundle(InvalidBundle):
    """An export file was written in a later format than this version reads. Nothing was written."""

    hint = "upgrade: `pip install --upgrade patch-ledger`"

    def __init__(self, path: Path, found: str, supported: str) -> None:
        self.found, self.supported = found, supported
        super().__init__(path, f"written in format {found!r}; this version reads {supported}")


class BundleTooLarge(InvalidBundle):
    """An export file says that it unpacks to more than is allowed. Nothing was written."""

    def __init__(self, path: Path, size_bytes: int, limit_bytes: int) -> None:
        self.size_bytes, self.limit_bytes = size_bytes, limit_bytes
        self.hint = f"if you trust it: `ledger import runs --limit {-(-size_bytes >> 20)} FILE`"
        super().__init__(path, f"it unpacks to {size_bytes} bytes; {limit_bytes} are allowed")


class DivergedRun(LedgerError):
    """The ledger has another run of this name, or another event at a version of it. Nothing was written."""

    hint = (
        "runs are told apart by name: look at both with `ledger log RUN`, here and where the file comes from"
    )

    def __init__(self, run: str, v: int, here: str, there: str) -> None:
        self.run, self.v, self.here, self.there = run, v, here, there
        super().__init__(
            f"run {run} is another one here: its event {v} is {here[:12]}, in the file {there[:12]}"
        )


class OpenHere(LedgerError):
    """A run to import goes on elsewhere, and is open in this ledger too. Nothing was written."""

    hint = "the file holds all of the run: `ledger -C CLONE import runs FILE` into another clone"

    def __init__(self, run: str, v: int, last_v: int) -> None:
        self.run, self.v, self.last_v = run, v, last_v
        super().__init__(f"run {run} is open here at version {v}; the file goes on to {last_v}, from a copy")


class MissingBase(LedgerError):
    """The Git objects that a run begins from are not in this repository. Nothing was written."""

    def __init__(self, run: str, commit: str | None, tree: str) -> None:
        self.run, self.commit, self.tree = run, commit, tree
        self.hint = f"`git fetch --all`; or that one: `git fetch origin {commit or tree}`"
        of = f" (commit {commit})" if commit else ""
        super().__init__(f"run {run}: its base tree {tree}{of} is not whole in this repository")


class FileInTheWay(LedgerError):
    """A file to write exists. It was left as it is."""

    hint = "name another file, or replace it: `ledger export RUN --force -o FILE`"

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path}: exists already")


class ReportInTheWay(LedgerError):
    """A file lies where a report is to be written, or the place is no place for one. It was left as it is."""

    hint = "name another file, or replace it: `ledger report --force -o FILE`"

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")


class LeftOver(LedgerError):
    """Not all of some old error files can be read as errors, and that was asked for. Nothing was written.

    ``rest`` names each stretch that is left over: file, lines and why.
    """

    hint = "mend the files, or take the rest without: `ledger import errors FILE`, which lists them too"

    def __init__(self, rest: tuple[str, ...]) -> None:
        self.rest = rest
        stretches = "1 stretch is" if len(rest) == 1 else f"{len(rest)} stretches are"
        super().__init__("\n  ".join((f"{stretches} left over", *rest)))
