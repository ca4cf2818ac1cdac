"""Status: where a work tree and its open run stand, read without a lock."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from ledger.configurations import configuration_of
from ledger.drift import Drift, list_drift
from ledger.gates.configuration import Configuration
from ledger.gates.documents import InvalidConfiguration
from ledger.gates.settings import Storage
from ledger.gates.weakening import Change, list_changes, list_weakenings
from ledger.heads import RunHead
from ledger.history import History, StateAt
from ledger.operations.conflicts import conflict_notes
from ledger.operations.exporting import list_unexported
from ledger.operations.notes import notes_on
from ledger.operations.syncing import behind
from ledger.repository import Head, Repository
from ledger.sharing import configured_url, without_password
from ledger.store.mounts import network_filesystem
from ledger.store.usage import Usage, measure_usage
from ledger.workspace import Workspace


class Status(Struct, frozen=True):
    """What a person or agent needs to know before the next step.

    ``run`` is the head of the open run, None where none is open. ``drift`` names the paths that
    differ between the candidate (HEAD's tree without a run) and the work tree; ``head_commit`` is
    HEAD now, and ``head_moved`` says that the run does not explain it. ``pending`` says that a crash
    left the work tree behind the log. ``accepted`` is the accepted state, None where nothing was
    accepted yet; ``notes`` what has to be said beside every verdict; ``tickets`` the gates that have an
    open one, ``questions`` the events of errors that nobody answered. ``configuration`` says how the
    configuration differs from the policy in force, or why it cannot be read ("" where it is the policy).
    ``usage`` is what the ledger takes of the disk, and ``storage`` from where on that is worth a warning;
    ``unexported`` are finished runs that exist nowhere else; ``network`` is the type of the network file
    system that the ledger lies on, "" where it is local or the system does not say. ``shared`` is the
    shared store's URL, "" where none is set, and ``unsent`` how many events it is behind, as far as is known.
    """

    run: RunHead | None
    candidate: str
    head_commit: str | None
    drift: tuple[Drift, ...]
    pending: bool
    accepted: StateAt | None = None
    notes: tuple[str, ...] = ()
    tickets: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    configuration: str = ""
    head_moved: bool = False
    usage: Usage = Usage()
    storage: Storage = Storage()
    unexported: tuple[str, ...] = ()
    network: str = ""
    shared: str = ""
    unsent: int = 0

    @property
    def too_large(self) -> bool:
        """Whether the ledger takes more than the configuration finds good."""
        return self.usage.size_bytes > self.storage.warn_size_mb << 20


def read_status(repository: Repository, workspace: Workspace | None) -> Status:
    """Return where the open run stands and what in the work tree it does not know.

    Args:
        repository: Seen from the work tree in question.
        workspace: Its ledger, None where nothing was recorded yet.
    """
    head = None if workspace is None else workspace.open_run()
    now = repository.head()
    candidate = now.tree if head is None else head.tree
    url = configured_url(repository)
    drift = () if repository.work_dir is None else tuple(list_drift(repository, candidate))
    seen = Status(
        head,
        candidate,
        now.commit,
        drift,
        pending=False,
        usage=measure_usage(repository.ledger_dir),
        storage=_configured(repository).storage,
        unexported=() if workspace is None else list_unexported(workspace.store, workspace.store.heads()),
        network=network_filesystem(repository.common_dir),
        shared=without_password(url) if url else "",
        unsent=behind(workspace.store, url) if url and workspace is not None else 0,
    )
    if workspace is None or head is None:
        return seen
    history = History.of(workspace.run_events(head.run))
    return msgspec.structs.replace(
        seen,
        pending=workspace.pending(),
        accepted=history.accepted if history.is_accepted(history.accepted.tree) else None,
        notes=(*conflict_notes(repository, history), *notes_on(history)),
        tickets=tuple(sorted(history.tickets)),
        questions=tuple(event.reference for event in history.questions.values()),
        configuration=_compare_configuration(repository, history),
        head_moved=has_moved(now, head, history),
    )


def has_moved(now: Head, head: RunHead, history: History) -> bool:
    """Return whether HEAD is at a commit that a run does not explain."""
    return now.commit not in (None, head.commit) and now.tree not in history.trees


def _configured(repository: Repository) -> Configuration:
    """Return what the configuration says; the defaults where it cannot be read, which is said elsewhere."""
    try:
        return configuration_of(repository)
    except InvalidConfiguration:
        return Configuration(profile="", profiles={})


def policy_in_force(repository: Repository, workspace: Workspace | None) -> Configuration:
    """Return the policy in force in the open run; without one, what the configuration says.

    Raises:
        InvalidConfiguration: The configuration cannot be read.
    """
    head = None if workspace is None else workspace.open_run()
    if workspace is not None and head is not None:
        present = History.of(workspace.run_events(head.run)).policy_set
        if present is not None:
            return msgspec.structs.replace(
                _configured(repository),
                profile=present.profile,
                profiles=present.profiles,
                source=present.source,
            )
    return configuration_of(repository)


def compare_policy(
    repository: Repository, workspace: Workspace | None
) -> tuple[tuple[Change, ...], tuple[str, ...]]:
    """Return where the configuration is not the policy in force, and where it asks for less.

    Raises:
        InvalidConfiguration: The configuration cannot be read.
    """
    return _compare(repository, policy_in_force(repository, workspace))


def _compare(repository: Repository, present: Configuration) -> tuple[tuple[Change, ...], tuple[str, ...]]:
    now = configuration_of(repository).profiles.get(present.profile)
    if now is None:
        return (), (f"profile {present.profile} is not in the configuration any more",)
    return list_changes(present.policy, now), list_weakenings(present.policy, now)


def _compare_configuration(repository: Repository, history: History) -> str:
    """Return in words how the configuration differs from the policy in force."""
    present = history.policy_set
    if present is None:
        return ""
    try:
        changes, weakened = _compare(
            repository, Configuration(profile=present.profile, profiles=present.profiles)
        )
    except InvalidConfiguration as error:
        return str(error)
    if not changes and not weakened:
        return ""
    less = f", and asks for less: {'; '.join(weakened)}" if weakened else ""
    return f"the configuration is not the policy in force{less}"
