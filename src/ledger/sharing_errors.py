"""Errors of using a shared ledger: where it is, what goes up, what comes down, what Git carries."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.errors import LedgerError


class NoSharedStore(LedgerError):
    """No shared store is configured. Nothing was sent."""

    hint = "`ledger store postgresql://HOST/DATABASE` sets it, or LEDGER_STORE"

    def __init__(self) -> None:
        super().__init__("no shared store is configured for this repository")


class BadStoreUrl(LedgerError):
    """A URL names no PostgreSQL database. Nothing was written."""

    hint = "write it as libpq does: `ledger store postgresql://HOST/DATABASE`"

    def __init__(self, url: str, reason: str) -> None:
        self.url, self.reason = url, reason
        super().__init__(f"{url}: {reason}")


class PasswordInUrl(BadStoreUrl):
    """A URL has a password in it, which would be kept where others read it. Nothing was written.

    ``url`` is the one without it.
    """

    hint = (
        "leave it out, and put it where libpq looks: ~/.pgpass (PGPASSFILE), PGPASSWORD, or a service file; "
        "then `ledger store URL`"
    )

    def __init__(self, url: str) -> None:
        super().__init__(url, "it had a password in it, which is not kept")


class SetElsewhere(LedgerError):
    """The shared store is set outside this repository's own configuration. Nothing was changed."""

    hint = "`git config --show-origin --get-all ledger.store` shows where; LEDGER_STORE=none turns it off"

    def __init__(self) -> None:
        super().__init__("the shared store is not set in this repository's configuration")


class DivergedHome(LedgerError):
    """The shared store has another event of this ledger at a version. Nothing of that run was sent.

    A copy of the ledger's directory has gone on by itself, and one of the two was sent before.
    """

    hint = "`ledger show EVENT` shows the one here; carry the run elsewhere with `ledger export RUN -o FILE`"

    def __init__(self, home: str, run: str, v: int, here: str, there: str) -> None:
        self.home, self.run, self.v, self.here, self.there = home, run, v, here, there
        super().__init__(
            f"run {run} of ledger {home[:12]} has diverged: its event {v} is {here} here, "
            f"{there} in the shared store; the ledger was copied, and both went on"
        )


class NoSharedRun(LedgerError):
    """The shared store has no such run."""

    hint = "`ledger pull --list` lists what there is"

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"{name}: the shared store has no such run of another ledger")


class AmbiguousRun(LedgerError):
    """Several ledgers have a run of a name. Nothing was taken in."""

    def __init__(self, name: str, candidates: Sequence[str]) -> None:
        self.name, self.candidates = name, tuple(candidates)
        self.hint = f"say whose: `ledger pull {self.candidates[0]}`"
        super().__init__(f"{name}: several ledgers have it: {', '.join(candidates)}")


class UnprovenRun(LedgerError):
    """What the shared store has of a run is not what a ledger sends. Nothing of it was taken in."""

    hint = (
        "`ledger verify` where the run's home is, and `ledger export RUN -o FILE` there carries it as a file"
    )

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(f"{name}: in the shared store, {reason}")


class BaseElsewhere(LedgerError):
    """The Git objects that a run of the shared store begins from are not here. Nothing of it was taken in."""

    hint = "`ledger sync git` brings them, once it was run at the run's home; or `git fetch --all`"

    def __init__(self, run: str, commit: str | None, tree: str) -> None:
        self.run, self.commit, self.tree = run, commit, tree
        of = f" (commit {commit})" if commit else ""
        super().__init__(f"run {run}: its base tree {tree}{of} is not whole in this repository")


class ArchivedRun(LedgerError):
    """The events of a run were moved from the shared store to an archive. Nothing of it was taken in."""

    hint = "`ledger export RUN -o FILE` at its home carries it; `ledger sql --shared --archive DIR` asks it"

    def __init__(self, name: str, archive: str) -> None:
        self.name, self.archive = name, archive
        super().__init__(f"{name}: its events were moved from the shared store to {archive}")


class NotHere(LedgerError):
    """A run to go on with is not in this ledger. Nothing was written."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.hint = f"bring it first: `ledger pull {run}`, or `ledger import runs FILE`"
        super().__init__(f"there is no run {run} in this ledger")


class StateElsewhere(LedgerError):
    """The repository has not the objects of a state to go on from. Nothing was written."""

    hint = "`ledger sync git` brings them, once it was run at the run's home; then ask again"

    def __init__(self, event: str, tree: str) -> None:
        self.event, self.tree = event, tree
        super().__init__(f"{event}: the repository has not every object of its tree {tree[:12]}")


class ElsewhereAtHead(LedgerError):
    """HEAD has another tree than the run to go on with rests on. Nothing was written."""

    def __init__(self, run: str, tree: str, commit: str) -> None:
        self.run, self.tree, self.commit = run, tree, commit
        self.hint = f"go there: `git switch --detach {commit}`"
        super().__init__(
            f"run {run} rests on tree {tree[:12]}, and HEAD has another one: "
            "to go on here would take back what HEAD has"
        )


class NoRemote(LedgerError):
    """There is no such Git remote."""

    hint = "`git remote -v` lists them, `git remote add origin URL` adds one"

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"{name}: no remote of this repository" if name else "this repository has no remote")


class RefsRefused(LedgerError):
    """A remote kept refs as they were: they are another ledger's, or it takes none. The others moved."""

    hint = "`git ls-remote REMOTE 'refs/ledger/*'` shows them; a run of another name has refs of its own"

    def __init__(self, remote: str, refused: Sequence[tuple[str, str]]) -> None:
        self.remote, self.refused = remote, tuple(refused)
        super().__init__("\n  ".join((f"{remote} kept", *(f"{ref}: {why}" for ref, why in refused))))
