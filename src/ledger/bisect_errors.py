"""Errors of a bisection: an end of the line is not what it has to be."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.errors import LedgerError


class WrongEnd(LedgerError):
    """The gate fails on the state that shall be good, or passes on the one that shall be bad.

    What was measured is recorded, nothing else was done.
    """

    def __init__(self, gate: str, state: str, measured: str, *, good: bool) -> None:
        self.gate, self.state, self.measured, self.good = gate, state, measured, good
        what, does = ("good", "fails") if good else ("bad", "passes")
        where = f" ({measured})" if measured else ""
        super().__init__(f"{state}: gate {gate} {does} on it{where}, so it is not the {what} end")
        wanted, command = "passes" if good else "fails", f"ledger bisect --gate {gate} --{what} EVENT"
        self.hint = f"name a state on which it {wanted}: `{command}`"


class UnmeasurableEnd(LedgerError):
    """Nothing can be concluded of an end of the line: it is flaky, or could not be measured.

    What was measured is recorded, nothing else was done.
    """

    def __init__(self, gate: str, state: str, outcome: str, reasons: Sequence[str]) -> None:
        self.gate, self.state, self.outcome, self.reasons = gate, state, outcome, tuple(reasons)
        self.hint = f"name another end: `ledger bisect --gate {gate} --good EVENT --bad EVENT`"
        why = f": {'; '.join(reasons)}" if reasons else ""
        super().__init__(f"{state}: gate {gate} is {outcome} on it{why}")
