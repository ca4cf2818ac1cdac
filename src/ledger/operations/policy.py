"""The policy in force: compared with the configuration, accepted, or changed by leaving gates out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ledger.configurations import choose_profile, configuration_of
from ledger.errors import UnknownName
from ledger.events import PolicySet
from ledger.gates.configuration import skip_gates
from ledger.gates.weakening import list_weakenings
from ledger.history import History
from ledger.operations.runs import ensure_written
from ledger.policies import Policy
from ledger.run import RunLog
from ledger.secrets.masking import mask_text
from ledger.workspace import Workspace


def accept(workspace: Workspace, *, profile: str = "", reason: str = "", run: str = "") -> PolicySet | None:
    """Let the configuration as it is now be the policy in force; None where it is that already.

    Args:
        workspace: Where.
        profile: The profile; by default the one in force, or the configuration's where that is gone.
        reason: Why, for the record.
        run: The run that must be open; by default the open one, or a new one.

    Raises:
        InvalidConfiguration: It cannot be read. Nothing was written.
        UnknownName: There is no such profile.
    """
    with workspace.locked():
        log = workspace.resume(run)
        if log is None:
            log = workspace.begin("policy", profile=profile)
            ensure_written(workspace, log)
            set_, *_ = (e for e in workspace.run_events(log.head.run) if isinstance(e, PolicySet))
            return set_
        configuration = configuration_of(workspace.repository)
        kept = log.head.profile if log.head.profile in configuration.profiles else ""
        name = choose_profile(configuration, profile or kept)
        return set_policy(workspace, log, configuration.profiles, name, configuration.source, reason=reason)


def switch(workspace: Workspace, log: RunLog, history: History, profile: str) -> None:
    """Let another profile of the recorded policy be the one in force.

    Raises:
        UnknownName: The policy has no such profile.
    """
    present = history.policy_set
    if present is None or profile == present.profile:
        return
    if profile not in present.profiles:
        raise UnknownName("profile", profile, sorted(present.profiles))
    set_policy(workspace, log, present.profiles, profile, present.source)


def skip(workspace: Workspace, log: RunLog, history: History, names: Sequence[str], reason: str) -> None:
    """Leave gates out from here on; recorded, and shown wherever a verdict is.

    Raises:
        UnknownName: There is no such gate.
    """
    present = history.policy_set
    assert present is not None, "a run begins with its policy"
    for name in names:
        if name not in present.policy.gates:
            raise UnknownName("gate", name, sorted(present.policy.gates))
    changed = {**present.profiles, present.profile: skip_gates(present.policy, names, mask_text(reason))}
    set_policy(workspace, log, changed, present.profile, present.source, reason=reason)


def set_policy(
    workspace: Workspace,
    log: RunLog,
    profiles: Mapping[str, Policy],
    profile: str,
    source: str,
    *,
    reason: str = "",
) -> PolicySet | None:
    """Append a policy, and where it asks for less than the one before; None where nothing changes."""
    present = workspace.history(log).policy_set
    if present is not None and (present.profile, present.profiles) == (profile, profiles):
        return None
    before = None if present is None else present.policy
    (event,) = log.append(
        PolicySet(
            **log.identity(),
            profile=profile,
            profiles=dict(profiles),
            source=source,
            weakened=list_weakenings(before, profiles[profile]),
            reason=log.write_note(reason),
        )
    )
    assert isinstance(event, PolicySet)
    # A policy that asks for less may accept what was measured before.
    workspace.project_accepted(log)
    return event
