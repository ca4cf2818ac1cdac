"""Crashes: a command of ours that breaks down is an error of the run that is open."""

from __future__ import annotations

import traceback
from pathlib import Path


def record_crash(error: Exception, directory: str, command: str) -> None:
    """Record an internal error in the open run of a work tree; without one there is nothing to record it in.

    ``error`` stays what the command ends with: what becomes of recording it is said as a note of it.

    Args:
        error: What nobody expected.
        directory: Where the command was run.
        command: Its name.
    """
    from ledger.api import Ledger
    from ledger.cli.annotations import report_errors

    try:
        # Opened anew: what the broken command has in memory may be what broke it.
        with Ledger.open(Path(directory)) as ledger:
            captured = ledger.capture_crash(command, repr(error), "".join(traceback.format_exception(error)))
            report_errors(ledger)
            if captured is not None:
                error.add_note(f"recorded as {captured.reference}, with the traceback")
    except Exception as second:  # noqa: BLE001 - whatever it is, it must not take the first one's place
        error.add_note(f"could not be recorded in the run: {type(second).__name__}: {second}")
