"""Series: patches gated one by one, so that one bad patch takes none of the others with it."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from ledger.errors import LedgerError, NotCandidate, UnresolvedConflicts
from ledger.events import PatchApplied
from ledger.operations.gating import GateOptions, Progress, check_names, gate
from ledger.operations.outcome import Applied
from ledger.operations.patching import apply_again
from ledger.operations.rollback import roll_back
from ledger.operations.verdicts import Gated
from ledger.workspace import Workspace
from patches.errors import MissingObject, PatchError, show_path


class Trial(Struct, frozen=True, kw_only=True):
    """One patch of a series: where it came from, what applying it did, and what its gates came to.

    ``refused`` says why it does not apply any more, and then there is neither ``applied`` nor ``gated``; or
    why no gate could measure it: the conflicts that it came with are unresolved.
    """

    of: str
    applied: Applied | None = None
    gated: Gated | None = None
    refused: str = ""

    @property
    def in_conflict(self) -> bool:
        """Whether it is applied, and unresolved conflicts kept the gates from it."""
        return self.applied is not None and self.gated is None


def gate_each(workspace: Workspace, options: GateOptions, progress: Progress) -> list[Trial]:
    """Measure every patch past the accepted state by itself, on what survives of those before it.

    All of them are rolled back in one event; then each is taken again as a new event, and measured. A
    strict failure rolls that one back. A patch that does not apply without one that was rejected is
    refused, and one with unresolved conflicts is measured together with those that resolve them. Where
    this is killed, what was not taken again stays in the log: `ledger apply --again`.

    Raises:
        NoRun: No run is open.
        NotCandidate: The work tree is not the candidate. Nothing was done.
        DriftInTheWay: Edits made by hand are among them, and ``with_drift`` was not asked for.
        UnknownName: There is no such gate or profile. Nothing was done.
        PhaseForbids: The policy takes no patches in the run's phase. Nothing was done.
    """
    from ledger.drift import list_drift

    with workspace.locked():
        log = workspace.require(options.run)
        workspace.check_head(log)
        # Whatever would stop a patch from being taken again has to stop this before they are taken away.
        workspace.check_phase(log)
        history = workspace.history(log)
        check_names(history, options)
        patches = [history.patches[at.v] for at in history.unaccepted]
        drift = list_drift(workspace.repository, log.head.tree)
        if drift:
            raise NotCandidate(log.head.run, log.head.tree, [show_path(each.path) for each in drift])
        if len(patches) > 1:
            roll_back(workspace, log, history, history.accepted, with_drift=options.with_drift)
    if len(patches) <= 1:
        of = patches[0].reference if patches else f"{log.head.run}:{log.head.state_v}"
        return [Trial(of=of, gated=gate(workspace, options, progress))]
    trials: list[Trial] = []
    for done, patch in enumerate(patches):
        try:
            trials.append(_try(workspace, patch, options, progress))
        except (LedgerError, PatchError) as error:
            left = " ".join(f"--again {each.reference}" for each in patches[done + 1 :])
            if left:
                error.add_note(f"not taken again yet: `ledger apply {left}`")
            raise
        # A changed policy counts from the first one on.
        options = msgspec.structs.replace(options, profile="", skip=())
    return trials


def _try(workspace: Workspace, patch: PatchApplied, options: GateOptions, progress: Progress) -> Trial:
    try:
        # It is in the log already: stopping here would leave the series half taken away.
        applied = apply_again(workspace, patch, allow_secrets=True)
    except MissingObject:
        raise
    except PatchError as error:
        return Trial(of=patch.reference, refused=str(error))
    try:
        return Trial(of=patch.reference, applied=applied, gated=gate(workspace, options, progress))
    except UnresolvedConflicts as error:
        return Trial(of=patch.reference, applied=applied, refused=str(error))
