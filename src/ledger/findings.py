"""Findings: what a check of a ledger found, one line each."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

Outcome: TypeAlias = Literal["ok", "damaged", "failed", "warning", "unproved"]
"""``failed`` is a check that the caller asked for and that does not hold, with nothing damaged."""


class Finding(Struct, frozen=True):
    """One thing that was checked: its outcome, what it is, and what was found."""

    outcome: Outcome
    subject: str
    message: str
