"""Runs: begun on HEAD's tree, and finished."""

from __future__ import annotations

from contextlib import suppress

from ledger.errors import Busy, RunOpen
from ledger.events import RunFinished
from ledger.heads import RunHead
from ledger.operations.finalization import check_final
from ledger.operations.outcome import Applied
from ledger.projections.refs import RunRef
from ledger.run import RunLog
from ledger.workspace import Workspace

FINAL_PHASE = "P6"


def start(workspace: Workspace, title: str, name: str = "", profile: str = "") -> RunHead:
    """Start a run on HEAD's tree.

    Args:
        workspace: Where.
        title: What it is about.
        name: Its name; by default made from the title.
        profile: The profile of the policy; by default what the configuration says.

    Raises:
        RunOpen: One is open in this work tree. Nothing was written.
        RunName: The name is taken, or none.
        InvalidConfiguration: The policy's configuration cannot be read.
        UnknownName: There is no such profile.
    """
    with workspace.locked():
        if head := workspace.open_run():
            raise RunOpen(head.run)
        log = workspace.begin(title, name, profile)
        ensure_written(workspace, log)
        return log.head


def ensure_written(workspace: Workspace, log: RunLog) -> None:
    """Append a new run's first events by themselves, and make its ref."""
    if not log.written:
        RunRef(workspace.repository, log.head.run).project(log.append())


def finish(workspace: Workspace, *, run: str = "", waive: str = "", abandon: bool = False) -> Applied:
    """Finish the open run. In phase P6 that finalizes it, where nothing is missing.

    Then segments of the log that have grown full are sealed: seconds for each 64 MiB, and no step of the
    run. Where that cannot be done now they wait, which `ledger status` says.

    Args:
        workspace: Where.
        run: The run that must be open; by default the open one.
        waive: Why open tickets may stay open.
        abandon: End it in P6 too without finalizing it.

    Raises:
        NoRun: None is open.
        NotFinal: In phase P6, something is missing. The run stays open; what its checks found is recorded.
        DamagedLedger: A segment that was to be sealed is damaged. The run is finished.
    """
    with workspace.locked():
        log = workspace.require(run)
        final = log.head.phase == FINAL_PHASE and not abandon
        if final:
            check_final(workspace, log, waived=bool(waive))
        workspace.project_accepted(log)
        waived = log.write_note(waive)
        (event,) = log.append(RunFinished(**log.identity(), tree=log.head.tree, final=final, waived=waived))
        workspace.restore_finished_refs()
    with suppress(Busy, OSError):
        workspace.store.seal_closed()
    return Applied(event.reference, log.head.tree)
