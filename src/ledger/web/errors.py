"""Errors of the page."""

from __future__ import annotations

from ledger.errors import LedgerError


class WebMissing(LedgerError):
    """What serves the page is not installed. Nothing was started."""

    hint = 'install it: `pip install "patch-ledger[web]"`'

    def __init__(self, missing: str) -> None:
        self.missing = missing
        super().__init__(f"the page needs {missing}, which is not installed")
