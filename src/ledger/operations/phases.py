"""Phases: where a run is on its way from preparation to the final checks."""

from __future__ import annotations

from ledger.errors import PhaseForbids, UnknownName
from ledger.events import PhaseEntered
from ledger.operations.runs import ensure_written
from ledger.policies import PHASES
from ledger.workspace import Workspace

NEXT = "next"


def enter(workspace: Workspace, phase: str, *, note: str = "", run: str = "") -> PhaseEntered:
    """Enter a phase; any order is allowed unless the policy says otherwise, and recorded.

    Args:
        workspace: Where.
        phase: ``P1`` to ``P6`` (lower case will do), or ``next``: the one after the present one.
        note: Why.
        run: The run that must be open; by default the open one, or a new one.

    Raises:
        UnknownName: There is no such phase, or none after ``P6``.
        PhaseForbids: The policy does not let the run go back.
        NoRun: ``run`` is not open in this work tree.
    """
    with workspace.locked():
        log = workspace.resume(run) or workspace.begin("run")
        workspace.check_head(log)
        present = log.head.phase
        wanted = _after(present) if phase == NEXT else phase.upper()
        if wanted not in PHASES:
            raise UnknownName("phase", phase, (*PHASES, NEXT))
        if log.head.phases.order and wanted < present:
            raise PhaseForbids(log.head.run, present, (), wanted)
        ensure_written(workspace, log)
        (entered,) = log.append(PhaseEntered(**log.identity(), phase=wanted, note=log.write_note(note)))
        assert isinstance(entered, PhaseEntered)
        return entered


def _after(phase: str) -> str:
    if phase == PHASES[-1]:
        raise UnknownName("phase", f"the one after {phase}", PHASES)
    return PHASES[PHASES.index(phase) + 1] if phase else PHASES[0]
