"""A run of two gates whose every event the test has written, and questions about it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from chronicle import Chronicle, rule
from questions import ask

from ledger.events import body_digest
from ledger.measurements import FileCoverage, Report, TestResult
from ledger.policies import Policy
from ledger.query.session import open_session
from ledger.stamps import Stamp
from ledger.store.local import LocalStore

TICK_S = 0.001
"""What the clock advances from event to event."""

Ask = Callable[[str], list[dict[str, Any]]]

TESTS = {mode: rule(mode, "pytest", metric="broken") for mode in ("strict", "soft")}
COV = {
    mode: rule(mode, "cov", metric="combined", better="higher", threshold=50.0) for mode in ("strict", "soft")
}
PROFILES = {
    "dev": Policy(gates={"tests": TESTS["soft"], "cov": COV["soft"]}),
    "release": Policy(gates={"tests": TESTS["strict"], "cov": COV["strict"]}),
}
LOWERED = {
    **PROFILES,
    "dev": Policy(gates={"tests": TESTS["soft"], "cov": rule("off", "cov", reason="slow")}),
}


class Story(Chronicle):
    """A chronicle that knows the two gates and keeps what their reports list."""

    def body(self, data: bytes) -> str:
        self.bodies[body_digest(data)] = data
        return body_digest(data)

    def apply(self, text: str, source: str, **fields: Any) -> int:
        """Let ``a`` hold ``text``; patches of one source are the same patch."""
        patch = self.body(source.encode())
        return self.patch({**self.files, "a": text}, source=source, patch=patch, **fields)

    def test(self, *results: tuple[str, str, float], verdict: str = "") -> int:
        """Record a run of tests: names, outcomes and seconds."""
        tests = tuple(TestResult(name, outcome, took_s) for name, outcome, took_s in results)  # type: ignore[arg-type]
        broken = sum(outcome in ("failed", "error") for _, outcome, _ in results)
        return self.measure(
            "tests",
            TESTS["strict"],
            metrics={"broken": float(broken)},
            examined=len(results),
            unit="tests",
            report=self.body(msgspec.json.encode(Report(metrics={}, examined=0, unit="", tests=tests))),
            verdict=verdict or ("fail" if broken else "pass"),
            reasons=(f"broken {broken} is above 0",) if broken else (),
        )

    def cover(self, percent: float, *files: FileCoverage) -> int:
        """Record a measurement of coverage."""
        report = Report(metrics={}, examined=0, unit="", files=files)
        return self.measure(
            "cov",
            COV["strict"],
            metrics={"combined": percent},
            unit="statements",
            report=self.body(msgspec.json.encode(report)),
        )


def passing(seconds: float = 1.0) -> Sequence[tuple[str, str, float]]:
    return (("test_a", "passed", seconds), ("test_b", "passed", 0.25), ("test_c", "skipped", 0.0))


def told(stamp: Stamp) -> Story:
    """Return one open run, "port": accepted, broken and rolled back, taken again, flaky, then eased.

    1 start · 2 release · 3 phase P3 · 4 tests pass · 5 cov 80 % · 6 one.diff · 7 test_a fails · 8 back to 1 ·
    9 one.diff again · 10 tests pass · 11 cov 90 %: accepted · 12 two.diff · 13 two tests fail · 14 dev, eased ·
    15 tests fail · 16 ticket · 17 phase P4 · 18 conf.diff · 19 test_a fails · 20 it passes: flaky · 21 ticket closed
    """
    story = Story(stamp, {"a": "0", "b": "0"})
    story.set_policy(PROFILES, "release")
    story.enter_phase("P3")
    story.test(*passing())
    story.cover(80.0, FileCoverage("a.py", 10, 7), FileCoverage("b.py", 10, 9))
    story.apply("1", "one.diff")
    failed = story.test(("test_a", "failed", 1.5), ("test_b", "passed", 0.25))
    story.roll_back(1, [failed])
    story.apply("1, better", "one.diff", of=6)
    story.test(*passing(2.0))
    story.cover(90.0, FileCoverage("a.py", 10, 10), FileCoverage("b.py", 10, 8))
    story.apply("2", "two.diff")
    story.test(("test_a", "error", 2.5), ("test_b", "failed", 0.5))
    story.set_policy(LOWERED, "dev", weakened=("tests: strict → soft", "cov: skipped: slow"))
    failed = story.test(("test_a", "failed", 2.5), ("test_b", "failed", 0.5))
    ticket = story.open_ticket("tests", failed)
    story.enter_phase("P4")
    story.apply("3", "conf.diff", configures=("conftest.py",))
    story.test(("test_a", "failed", 3.0), ("test_b", "passed", 0.75))
    passed = story.test(*passing(4.0))
    story.close_ticket("tests", ticket, passed)
    assert story.v == 21
    return story


def ask_at(story: Story, store: LocalStore, name: str, until_v: int | None = None) -> list[dict[str, Any]]:
    story.write_to(store, until_v=until_v)
    return ask(open_session(store), name)


def columns(rows: list[dict[str, Any]], names: str) -> list[tuple[Any, ...]]:
    """Return some columns of rows."""
    return [tuple(row[name] for name in names.split()) for row in rows]
