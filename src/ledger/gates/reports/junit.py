"""JUnit: tests, as pytest and many others write them.

Read element by element: what pytest says with a skipped element's type and message is in no library's model,
and a library would parse the XML itself, bombs included.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING

from ledger.gates.reports.source import Source
from ledger.measurements import Finding, Report, TestOutcome, TestResult

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_ROOTS = {"testsuites", "testsuite"}
_MESSAGE_SIZE = 2000
_PLACE = re.compile(r"^([^\s:][^:\n]*):(\d{1,9}): \S", re.MULTILINE)

# What ruff and ty write in this format where they have nothing to say, even where they found no file.
_NO_TEST = "No errors found"


def parse_junit(source: Source) -> Report:
    """Return the report of a test run.

    Metrics: ``passed``, ``failed``, ``errors``, ``skipped``, ``xfailed``, and ``broken``, which is failed
    and errors together. Skipped tests are not examined, nor are those that are
    expected to fail and were not run for that reason. A test that passes although it is expected to fail
    is a failure where that is strict; else JUnit shows it as any other that passed.
    """
    root = source.xml()
    if root.tag not in _ROOTS:
        raise source.refuse(f"the root element is <{root.tag}>, not <testsuites>")
    tests, findings, nameless = _read_cases(source, root)
    counts = Counter(test.outcome for test in tests)
    metrics = {name: float(counts[name]) for name in ("passed", "failed", "skipped", "xfailed")}
    metrics["errors"] = float(counts["error"])
    metrics["broken"] = metrics["failed"] + metrics["errors"]
    problems: list[str] = []
    if nameless:
        problems.append("a test without a name or a result: the run was interrupted in it")
    if not metrics["broken"] and (told := _told_broken(root)):
        problems.append(f"the report counts {told} broken tests, but none of those that it names is")
    return Report(
        metrics=metrics,
        examined=len(tests) - counts["skipped"],
        unit="tests",
        findings=tuple(findings),
        tests=tuple(tests),
        problems=tuple(problems),
    )


def _read_cases(source: Source, root: Element) -> tuple[list[TestResult], list[Finding], int]:
    """Return the tests, what is wrong with them, and how many have no name."""
    tests: dict[str, TestResult] = {}
    findings: list[Finding] = []
    nameless = 0
    for number, case in enumerate(root.iter("testcase")):
        name = case.get("name")
        if not name:
            nameless += 1
        elif name != _NO_TEST:
            result = _result(case, name)
            # pytest writes a test twice that failed and whose teardown failed as well; others may have
            # two tests of one name.
            again = result.name in tests and result.outcome != "error"
            tests[f"{result.name}\0{number}" if again else result.name] = result
            if result.outcome in {"failed", "error"}:
                findings.append(_finding(source, case, result))
    return list(tests.values()), findings, nameless


def _result(case: Element, name: str) -> TestResult:
    group = case.get("classname")
    name = f"{group}::{name}" if group else name
    return TestResult(name=name, outcome=_outcome(case), duration_s=_duration(case.get("time", "")))


def _outcome(case: Element) -> TestOutcome:
    if case.find("error") is not None:
        return "error"
    if case.find("failure") is not None:
        return "failed"
    skipped = case.findall("skipped")
    if not skipped:
        return "passed"
    # pytest folds tests that are expected to fail into the skipped ones; `xfail(run=False)` never ran.
    expected = any(
        each.get("type") == "pytest.xfail" and not each.get("message", "").startswith("[NOTRUN]")
        for each in skipped
    )
    return "xfailed" if expected else "skipped"


def _duration(text: str) -> float:
    """Return a duration in seconds; some write thousands with a comma, and what is no number is 0."""
    try:
        seconds = float(text.replace(",", ""))
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) else 0.0


def _finding(source: Source, case: Element, result: TestResult) -> Finding:
    """Return what is wrong with a test, and where: pytest's last line says in which line it failed."""
    failures = [*case.findall("failure"), *case.findall("error")]
    texts = [text for each in failures if (text := (each.text or "").strip())]
    message = next((message for each in failures if (message := each.get("message"))), "")
    places: list[tuple[str, str]] = [place for text in texts for place in _PLACE.findall(text)]
    path, line = places[-1] if places else (case.get("file", ""), "0")
    return Finding(
        rule="xpassed" if "[XPASS(strict)]" in message else result.outcome,
        path=source.relative(path),
        line=int(line),
        message=f"{result.name}: {message or ' '.join(texts[:1])}"[:_MESSAGE_SIZE],
    )


def _told_broken(root: Element) -> int:
    """Return how many broken tests the suites count that name tests or have no suite within."""
    told = 0
    for suite in [root, *root.iter("testsuite")]:
        counts = [suite.get(name, "") for name in ("failures", "errors")]
        told = max(told, sum(int(count) for count in counts if count.isdecimal() and len(count) < 10))
    return told
