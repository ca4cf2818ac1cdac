"""What can be wrong with a report."""

from __future__ import annotations

from ledger.errors import LedgerError


class ReportUnreadable(LedgerError):
    """A step left bytes that are not a report of its format. Nothing was written."""

    hint = "run the step's command by hand; `ledger policy show` says which report each gate reads"

    def __init__(self, format: str, reason: str) -> None:  # noqa: A002
        self.format, self.reason = format, reason
        super().__init__(f"the report is not {format}: {reason}")
