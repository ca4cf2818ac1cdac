"""Exit codes: which of them are results of a tool, and which only look like one."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import NamedTuple

from ledger.measurements import Report

_SHELL_CODES = {126: "the command cannot be executed", 127: "the command was not found"}


class ExitCodes(NamedTuple):
    """What the exit codes of ``tool`` mean.

    Args:
        tool: The name for people.
        clean: Codes that promise nothing of the report: it decides. A tool that exits with 0 although it
            found something is believed where it says what it found.
        findings: Codes that promise findings: a report without one contradicts them.
        partial: Codes of a tool that gave up, which are results only where its report says over what.
        meanings: What other codes stand for.
    """

    tool: str
    clean: tuple[int, ...] = (0,)
    findings: tuple[int, ...] = (1,)
    partial: tuple[int, ...] = ()
    meanings: Mapping[int, str] = {}

    def is_result(self, exit_code: int) -> bool:
        """Tell whether a report is expected with ``exit_code``."""
        return exit_code in self.clean or exit_code in self.findings

    def explain(self, exit_code: int) -> str:
        """Return why ``exit_code`` is no result of the tool."""
        if exit_code < 0:
            return f"{self.tool} was killed by {_signal_name(-exit_code)}"
        meaning = self.meanings.get(exit_code) or _SHELL_CODES.get(exit_code)
        return f"exit code {exit_code} is no result of {self.tool}" + (f" ({meaning})" if meaning else "")

    def problems(self, exit_code: int, *, found: bool) -> tuple[str, ...]:
        """Return why nothing can be concluded from a report that came with this exit code.

        Args:
            exit_code: The tool's.
            found: Whether the report shows a finding.
        """
        if exit_code in self.clean or (found and exit_code in self.findings + self.partial):
            return ()
        if exit_code in self.findings:
            return (f"exit code {exit_code}, but the report of {self.tool} shows no finding",)
        return (self.explain(exit_code),)


def judge_exit(exit_code: int, allowed: tuple[int, ...]) -> Report:
    """Return the report of a command that leaves nothing but its exit code: ``failed`` is 0 or 1."""
    codes = ExitCodes("the command")
    if exit_code < 0 or (exit_code in _SHELL_CODES and exit_code not in allowed):
        return Report(metrics={}, examined=0, unit="commands", problems=(codes.explain(exit_code),))
    return Report(metrics={"failed": float(exit_code not in allowed)}, examined=1, unit="commands")


def _signal_name(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"
