"""Events of patches: applied, refused, rolled back, and what was checked of their results."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from ledger.applyflags import NO_FLAGS, ApplyFlags
from ledger.events.base import Event
from ledger.filerecords import FileRecord, WirePath

Cause: TypeAlias = Literal["diff", "drift", "mv", "restore", "undo", "rebase"]
"""Why a tree changed."""


class ApplyOptions(Struct, frozen=True):
    """Everything besides the bytes and the base that shaped a result.

    ``engine`` and ``strip`` say how the body ``patch`` is replayed; ``flags`` what whoever handed it over
    asked for, which is left out where that was nothing. Replay needs no flags: what they made of the given
    bytes is the patch.
    """

    engine: int = 1
    strip: int = 1
    flags: ApplyFlags | UnsetType = UNSET

    @property
    def replayable(self) -> bool:
        """Whether this version knows how to replay the patch."""
        return (self.engine, self.strip) == (1, 1)

    @property
    def asked(self) -> ApplyFlags:
        """The flags, also where none was given."""
        return NO_FLAGS if isinstance(self.flags, UnsetType) else self.flags


class PatchApplied(Event, frozen=True, kw_only=True, tag="patch.applied/1"):
    """A patch (body ``patch``) brought the candidate from ``base_tree`` to ``result_tree``.

    ``source`` is the file name it came from, "-" for standard input; ``note`` a body. ``of`` is the
    version of the event whose patch this is, taken again; ``configures`` are those of its paths that
    configure the gates themselves. ``secrets`` says what kinds of secrets it adds and where, which somebody
    allowed. ``conflicts`` are those of its paths that a three-way merge left in conflict, with the markers in
    them. ``given`` is the body with the bytes that were handed over where the patch is not those,
    ``normalised`` what was done to them to read them; ``author``, ``date`` and the body ``message`` are
    those of the mail that it came in. ``undoes`` is the version of the operation that this event takes back,
    perhaps together with those beside it. Each is left out where there is none.
    """

    cause: Cause
    base_tree: str
    result_tree: str
    patch: str
    patch_size_bytes: int
    options: ApplyOptions
    files: tuple[FileRecord, ...]
    source: str = ""
    note: str | None = None
    of: int | None = None
    configures: tuple[WirePath, ...] = ()
    secrets: tuple[str, ...] | UnsetType = UNSET
    conflicts: tuple[WirePath, ...] | UnsetType = UNSET
    given: str | UnsetType = UNSET
    normalised: tuple[str, ...] | UnsetType = UNSET
    author: str | UnsetType = UNSET
    date: str | UnsetType = UNSET
    message: str | UnsetType = UNSET
    undoes: int | UnsetType = UNSET


class PatchRefused(Event, frozen=True, kw_only=True, tag="patch.refused/1"):
    """A patch did not apply to the candidate ``base_tree``; nothing changed.

    ``error`` is the name of the error class, ``reason`` the body that holds its message. ``given`` and
    ``normalised`` are as in `PatchApplied`.
    """

    base_tree: str
    patch: str
    patch_size_bytes: int
    options: ApplyOptions
    error: str
    reason: str
    source: str = ""
    given: str | UnsetType = UNSET
    normalised: tuple[str, ...] | UnsetType = UNSET


class PatchRolledBack(Event, frozen=True, kw_only=True, tag="patch.rolled_back/1"):
    """The states past version ``to_v`` are the candidate's no more; ``patches`` are the versions taken back.

    ``result_tree`` is the tree at ``to_v`` and ``files`` the way there from ``base_tree``. ``measured``
    names the measurements that led to it, ``undoes`` the operation that it takes back, left out where none.
    """

    base_tree: str
    result_tree: str
    to_v: int
    patches: tuple[int, ...]
    files: tuple[FileRecord, ...]
    measured: tuple[int, ...] = ()
    with_drift: bool = False
    undoes: int | UnsetType = UNSET


class CheckFound(Struct, frozen=True, omit_defaults=True):
    """One check of a tree: whether a path that ``glob`` matches must or must not be there, and what is."""

    rule: Literal["must-exist", "must-not-exist"]
    glob: str
    matches: int
    found: tuple[WirePath, ...] = ()
    """The first few that match."""

    @property
    def holds(self) -> bool:
        """Whether the tree is as the check asks."""
        return (self.matches > 0) == (self.rule == "must-exist")


class ChecksVerified(Event, frozen=True, kw_only=True, tag="checks.verified/1"):
    """Checks on ``tree``, the state at ``state_v``; all of them hold where ``outcome`` is pass."""

    tree: str
    state_v: int
    checks: tuple[CheckFound, ...]
    outcome: Literal["pass", "fail"]
