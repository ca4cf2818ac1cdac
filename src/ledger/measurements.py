"""Measurements: what one gate found in one tree, as values that are their own wire form.

A report keeps facts alone. What they mean under a policy is `ledger.gates.judge`'s answer, and may be
another under another policy.

See: ``docs/format.md``, "Reports".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

from msgspec import Struct

TestOutcome: TypeAlias = Literal["passed", "failed", "error", "skipped", "xfailed", "xpassed"]
Severity: TypeAlias = Literal["error", "warning", "note"]
Verdict: TypeAlias = Literal["pass", "fail", "inconclusive"]


class Finding(Struct, frozen=True, omit_defaults=True, gc=False):
    """One thing that a tool complains about.

    ``path`` is relative to the tree's root where the file lies in it; lines and columns count from
    1, 0 where the tool names none.
    """

    rule: str
    path: str = ""
    line: int = 0
    column: int = 0
    message: str = ""
    severity: Severity = "error"


class TestResult(Struct, frozen=True, omit_defaults=True, gc=False):
    """One test's outcome and time in seconds."""

    __test__ = False  # pytest collects classes by this name

    name: str
    outcome: TestOutcome
    duration_s: float = 0.0


class FileCoverage(Struct, frozen=True, omit_defaults=True, gc=False):
    """How much of one file was run: counts of statements and branches."""

    path: str
    statements: int
    covered_statements: int
    branches: int = 0
    covered_branches: int = 0


class Report(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What one step of a gate says, read from its tool's report.

    ``metrics`` are named numbers, of which a policy chooses one; ``examined`` counts what the tool
    looked at, in ``unit`` (files, tests, statements, packages, commands). ``problems`` say why nothing
    can be concluded, whatever the numbers are: an exit code that is no result, dependencies that
    were skipped, an exit code and a report that contradict one another.
    """

    metrics: dict[str, float]
    examined: int
    unit: str
    findings: tuple[Finding, ...] = ()
    tests: tuple[TestResult, ...] = ()
    files: tuple[FileCoverage, ...] = ()
    problems: tuple[str, ...] = ()

    def complaints(self) -> Iterator[str]:
        """Yield what it complains about, each with its place."""
        for found in self.findings:
            column = f":{found.column}" if found.column else ""
            line = f":{found.line}{column}" if found.line else ""
            yield f"{found.path}{line}: {found.rule} {found.message}" if found.path else found.message
        for test in self.tests:
            if test.outcome in ("failed", "error"):
                yield f"{test.outcome}: {test.name}"
