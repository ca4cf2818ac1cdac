"""Crashes: a command of ours that breaks down is an error of the run that is open."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from pathlib import Path


def raise_recorded(error: Exception, directory: Path, command: str) -> NoReturn:
    """Record an internal error in the open run of a work tree, if there is one, and raise it again.

    What becomes of recording it is said as a note of it: nothing takes its place. Called while it is handled.

    Args:
        error: What nobody expected.
        directory: Where the command was run.
        command: Its name.

    Raises:
        Exception: ``error``.
    """
    from ledger.api import Ledger
    from ledger.cli.annotations import report_errors

    try:
        # Opened anew: what the broken command has in memory may be what broke it.
        with Ledger.open(directory) as ledger:
            trace = "".join(traceback.format_exception(error))
            captured = ledger.capture_crash(command, repr(error), trace)
            report_errors(ledger)
            if captured is not None:
                error.add_note(f"recorded as {captured.reference}, with the traceback")
    finally:
        second = sys.exception()
        if second is not error:
            error.add_note(f"could not be recorded in the run: {type(second).__name__}: {second}")
        raise error
