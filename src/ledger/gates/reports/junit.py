"""JUnit: tests, as pytest and many others write them, through junitparser's model of the format.

The bytes pass the guard of `Source.xml` first, and junitparser is given the elements that came out of it:
left to itself it would expand entities, and read with another parser wherever lxml happens to be installed.

`FORMATS` imports this module when the first such report is read, and junitparser with it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, cast

from junitparser import Attr, Error, Failure, JUnitXml, JUnitXmlError, TestCase, TestSuite

from ledger.gates.reports.source import Source
from ledger.measurements import Finding, Report, TestOutcome, TestResult

_MESSAGE_SIZE = 2000
_PLACE = re.compile(r"^([^\s:][^:\n]*):(\d{1,9}): \S", re.MULTILINE)

# What ruff and ty write in this format where they have nothing to say, even where they found no file.
_NO_TEST = "No errors found"

_Node = Any
"""A node of junitparser's: the library says nothing of its types."""


class _Case(TestCase):
    """A test, with the file that some tools name."""

    file = Attr()


class _Suite(TestSuite):
    """A suite with the counts that the report states, as text.

    The library counts by itself where a report says nothing, and raises where it says no number.
    """

    failures = Attr()
    errors = Attr()


class _Document(JUnitXml):
    """All suites, and the counts as in `_Suite`."""

    failures = Attr()
    errors = Attr()


def parse_junit(source: Source) -> Report:
    """Return the report of a test run.

    Metrics: ``passed``, ``failed``, ``errors``, ``skipped``, ``xfailed``, and ``broken``, which is failed
    and errors together. Skipped tests are not examined, nor are those that are
    expected to fail and were not run for that reason. A test that passes although it is expected to fail
    is a failure where that is strict; else JUnit shows it as any other that passed.

    Raises:
        ReportUnreadable: The bytes are no XML, declare a document type of their own, or are another document.
    """
    root = source.xml()
    written = sum(1 for _ in root.iter("testcase"))
    try:
        suites = list(_walk(_Document.fromroot(cast("Any", root))))
    except JUnitXmlError as error:
        raise source.refuse(f"the root element is <{root.tag}>, not <testsuites>") from error
    cases: list[_Node] = [case for suite in suites for case in suite.iterchildren(_Case)]
    tests, findings = _read_cases(source, cases)
    counts = Counter(test.outcome for test in tests)
    metrics = {name: float(counts[name]) for name in ("passed", "failed", "skipped", "xfailed")}
    metrics["errors"] = float(counts["error"])
    metrics["broken"] = metrics["failed"] + metrics["errors"]
    problems: list[str] = []
    if not all(case.name for case in cases):
        problems.append("a test without a name or a result: the run was interrupted in it")
    if hidden := written - len(cases):
        problems.append(f"tests stand outside of every suite, where the format has none: {hidden}")
    if not metrics["broken"] and (told := _told_broken(suites)):
        problems.append(f"the report counts {told} broken tests, but none of those that it names is")
    return Report(
        metrics=metrics,
        examined=len(tests) - counts["skipped"],
        unit="tests",
        findings=tuple(findings),
        tests=tuple(tests),
        problems=tuple(problems),
    )


def _walk(document: _Node) -> Iterator[_Node]:
    """Yield a document and every suite in it, in its order; the library's own iteration recurses."""
    waiting = [document]
    while waiting:
        suite = waiting.pop()
        yield suite
        waiting.extend(reversed(list(suite.iterchildren(_Suite))))


def _read_cases(source: Source, cases: Sequence[_Node]) -> tuple[list[TestResult], list[Finding]]:
    """Return the tests that have a name, and what is wrong with them."""
    tests: dict[str, TestResult] = {}
    findings: list[Finding] = []
    for number, case in enumerate(cases):
        if not case.name or case.name == _NO_TEST:
            continue
        ends: list[_Node] = case.result
        result = _result(case, ends)
        # pytest writes a test twice that failed and whose teardown failed as well; others may have
        # two tests of one name.
        again = result.name in tests and result.outcome != "error"
        tests[f"{result.name}\0{number}" if again else result.name] = result
        if result.outcome in {"failed", "error"}:
            findings.append(_finding(source, case, ends, result))
    return list(tests.values()), findings


def _result(case: _Node, ends: Sequence[_Node]) -> TestResult:
    name = f"{case.classname}::{case.name}" if case.classname else case.name
    return TestResult(name=name, outcome=_outcome(ends), duration_s=_duration(case))


def _of_kind(ends: Sequence[_Node], kind: type) -> list[_Node]:
    return [each for each in ends if isinstance(each, kind)]


def _outcome(ends: Sequence[_Node]) -> TestOutcome:
    """Return the worst of the ends that a test's case lists."""
    if _of_kind(ends, Error):
        return "error"
    if _of_kind(ends, Failure):
        return "failed"
    if not ends:
        return "passed"
    # pytest folds tests that are expected to fail into the skipped ones; `xfail(run=False)` never ran.
    expected = any(
        each.type == "pytest.xfail" and not (each.message or "").startswith("[NOTRUN]") for each in ends
    )
    return "xfailed" if expected else "skipped"


def _duration(case: _Node) -> float:
    """Return a duration in seconds; what is no number is 0."""
    try:
        seconds: float = case.time or 0.0
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) else 0.0


def _finding(source: Source, case: _Node, ends: Sequence[_Node], result: TestResult) -> Finding:
    """Return what is wrong with a test, and where: pytest's last line says in which line it failed."""
    failures = [*_of_kind(ends, Failure), *_of_kind(ends, Error)]
    texts: list[str] = [text for each in failures if (text := (each.text or "").strip())]
    message: str = next((each.message for each in failures if each.message), "")
    places: list[tuple[str, str]] = [place for text in texts for place in _PLACE.findall(text)]
    path, line = places[-1] if places else (case.file or "", "0")
    return Finding(
        rule="xpassed" if "[XPASS(strict)]" in message else result.outcome,
        path=source.relative(path),
        line=int(line),
        message=f"{result.name}: {message or ' '.join(texts[:1])}"[:_MESSAGE_SIZE],
    )


def _told_broken(suites: Sequence[_Node]) -> int:
    """Return how many broken tests the suites count that name tests or have no suite within."""
    told = 0
    for suite in suites:
        counts: list[str] = [suite.failures or "", suite.errors or ""]
        told = max(told, sum(int(count) for count in counts if count.isdecimal() and len(count) < 10))
    return told
