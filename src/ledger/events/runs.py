"""Events of a run's course: begun, in which phase, under which policy, led to which commit, ended."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from ledger.events.base import Event
from ledger.filerecords import FileRecord
from ledger.policies import Policy

OF_COMMITS = ":git"
"""``work_tree`` of a run of Git's commits, which belongs to none: no work tree's name has a colon."""


class Continued(Struct, frozen=True):
    """The event that a run goes on from: its run, its version, and its digest, the same everywhere."""

    run: str
    v: int
    digest: str


class RunStarted(Event, frozen=True, kw_only=True, tag="run.started/1"):
    """A run began on ``base_tree``, HEAD's tree at that moment.

    ``listing`` is the body that names every file of the base (``git ls-tree -r -z``), so that
    the log alone rebuilds any state. ``work_tree`` is Git's name of the linked work tree, ""
    for the main one. Where it is `OF_COMMITS`, ``head`` is the commit before the first of them.
    ``continues`` names the event whose state the run goes on from, left out where none; its first patch leads
    there.
    """

    title: str
    work_tree: str
    head: str | None
    branch: str | None
    base_tree: str
    listing: str
    continues: Continued | UnsetType = UNSET


class RunRebased(Event, frozen=True, kw_only=True, tag="run.rebased/1"):
    """The run goes on from the tree of commit ``head``, without the states before.

    ``files`` lead from the candidate ``base_tree`` to ``result_tree``, the new base, whose listing
    is a body. What of the run survives follows in the same append, as patches with cause ``rebase``;
    ``dropped`` are versions whose patches the new base has, or that were left out.
    """

    base_tree: str
    result_tree: str
    head: str
    branch: str | None
    listing: str
    files: tuple[FileRecord, ...]
    dropped: tuple[int, ...] = ()


class RunFinished(Event, frozen=True, kw_only=True, tag="run.finished/1"):
    """A run ended with ``tree`` as its candidate.

    ``final`` says that it was finalized: ``tree`` is accepted, and everything that the policy asks
    for holds on it. ``waived`` is the body that says why something open was passed over.
    """

    tree: str
    final: bool = False
    waived: str | None = None


class CommitSeen(Event, frozen=True, kw_only=True, tag="commit.seen/1"):
    """HEAD is at a commit whose tree is the state at version ``state_v`` of the run.

    In a run of commits it is one of them, and HEAD may be anywhere.

    ``of`` is the version of the patch whose mail gave it its author, date or message.
    """

    commit: str
    tree: str
    state_v: int
    of: int | UnsetType = UNSET


class PhaseEntered(Event, frozen=True, kw_only=True, tag="phase.entered/1"):
    """The run went to a phase (``P1`` … ``P6``); ``note`` is a body."""

    phase: str
    note: str | None = None


class PolicySet(Event, frozen=True, kw_only=True, tag="policy.set/1"):
    """From here on the profile ``profile`` of ``profiles`` decides what is accepted.

    ``source`` names the configuration it came from ("" where there was none: the defaults), and
    ``weakened`` says in words where it asks for less than the policy before; ``reason`` is a body.
    """

    profile: str
    profiles: dict[str, Policy]
    source: str = ""
    weakened: tuple[str, ...] = ()
    reason: str | None = None

    @property
    def policy(self) -> Policy:
        """The profile in force."""
        return self.profiles[self.profile]
