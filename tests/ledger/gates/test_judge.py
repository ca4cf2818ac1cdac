"""The judge: every branch by table, what must not depend on luck by property, and the same verdict in SQL."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import duckdb
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from policy_lab import NUMBERS, Seen

from ledger.events import GateMeasured
from ledger.gates.judge import judge, show_number
from ledger.policies import Rule, Step
from ledger.stamps import Actor

TESTS = Rule(mode="strict", steps=(Step(command=("pytest",), format="junit"),), metric="broken")
COV = Rule(
    mode="soft",
    steps=(Step(command=("pytest", "--cov"), format="coverage"),),
    metric="combined",
    better="higher",
    threshold=80,
)


def rule(base: Rule, **changes: object) -> Rule:
    return msgspec.structs.replace(base, **changes)


def seen(base: Rule, **facts: object) -> Seen:
    """Return facts that pass, but for what is given."""
    good: dict[str, object] = {"definition": base.definition, "metrics": {base.metric: base.threshold}}
    return Seen(**{**good, **facts})  # pyright: ignore[reportArgumentType]


INCONCLUSIVE = [
    (seen(TESTS, definition="0" * 64), "measured with another command than the policy's"),
    (seen(TESTS, problems=("timed out after 3 s",)), "timed out after 3 s"),
    (
        seen(TESTS, metrics={"passed": 3, "failed": 0}),
        "the report has no metric broken; it has failed, passed",
    ),
    (seen(TESTS, metrics={}), "the report has no metric broken; it has no metrics at all"),
    (seen(TESTS, metrics={"broken": math.nan}), "broken is nan, which is no number to compare"),
    (seen(TESTS, metrics={"broken": -math.inf}), "broken is -inf, which is no number to compare"),
    (seen(TESTS, examined=0), "nothing was examined"),
]
FAIL = [
    (seen(TESTS, metrics={"broken": 2}), TESTS, "broken 2 is above 0"),
    (seen(COV, metrics={"combined": 71.2}), COV, "combined 71.2 is below 80"),
    (seen(COV, metrics={"combined": 80 - 2**-40}), COV, "combined 79.99999999999909 is below 80"),
    (seen(TESTS, examined=12), rule(TESTS, min_examined=50), "12 tests, the policy asks for 50"),
    (seen(TESTS, examined=1), rule(TESTS, min_examined=50), "1 test, the policy asks for 50"),
    (seen(TESTS, baseline={"examined": 101}), TESTS, "100 tests, the accepted state has 101"),
    (
        seen(COV, metrics={"combined": 85.0}, baseline={"combined": 85.5}),
        rule(COV, baseline=True),
        "combined 85 is below 85.5, which the accepted state has",
    ),
    (
        seen(TESTS, metrics={"broken": 3}, baseline={"broken": 2}),
        rule(TESTS, baseline=True, threshold=5),
        "broken 3 is above 2, which the accepted state has",
    ),
]
PASS = [
    (seen(TESTS), TESTS),
    (seen(COV), COV),
    (seen(COV, metrics={"combined": 80.0}, baseline={"combined": 99.0}), COV),
    (seen(COV, metrics={"combined": 99.0}, baseline={"combined": 99.0}), rule(COV, baseline=True)),
    (seen(COV), rule(COV, baseline=True)),
    (seen(TESTS, examined=50), rule(TESTS, min_examined=50)),
    (seen(TESTS, baseline={"examined": 100}), TESTS),
    (seen(TESTS, baseline={"examined": 101}), rule(TESTS, allow_fewer=True)),
    (seen(TESTS, baseline={"examined": 101}, unit="files"), TESTS),
]


@pytest.mark.parametrize(("facts", "reason"), INCONCLUSIVE)
def test_what_could_not_be_measured_is_neither_good_nor_bad(facts: Seen, reason: str) -> None:
    assert judge(facts, TESTS) == ("inconclusive", (reason,))


@pytest.mark.parametrize(("facts", "asked", "reason"), FAIL)
def test_a_failure_says_by_how_much(facts: Seen, asked: Rule, reason: str) -> None:
    assert judge(facts, asked) == ("fail", (reason,))


@pytest.mark.parametrize(("facts", "asked"), PASS)
def test_at_the_threshold_is_good_enough(facts: Seen, asked: Rule) -> None:
    assert judge(facts, asked) == ("pass", ())


def test_every_reason_is_named_but_obstacles_hide_findings() -> None:
    """Numbers of something that was not measured properly are not held against it."""
    asked = rule(TESTS, min_examined=50)
    bad = seen(asked, metrics={"broken": 2}, examined=12, baseline={"examined": 20})
    assert judge(bad, asked).reasons == (
        "broken 2 is above 0",
        "12 tests, the policy asks for 50",
        "12 tests, the accepted state has 20",
    )
    worse = msgspec.structs.replace(bad, problems=("killed by signal 9",), examined=0)
    assert judge(worse, asked) == ("inconclusive", ("killed by signal 9",))


def test_an_event_can_be_judged_again() -> None:
    """What `gate.measured` records is enough, under the policy of then and under another."""
    event = GateMeasured(
        id="", run="r", at_ns=0, actor=Actor(), gate="cov", tree="", state_v=1, definition=COV.definition,
        commands=(), place="isolated", tools={}, configuration={}, exit_codes=(0,), started_at_ns=0,
        duration_ns=1, metrics={"combined": 85.0}, examined=10, unit="statements", problems=(), baseline={},
        baseline_v=0, verdict="pass", reasons=(), report=None, output="", profile="dev",
    )  # fmt: skip
    assert judge(event, COV).verdict == "pass"
    assert judge(event, rule(COV, threshold=90)).verdict == "fail"
    assert judge(event, rule(COV, env=("DATABASE_URL",))).verdict == "inconclusive"


BASELINES = st.dictionaries(st.sampled_from(["broken", "examined"]), NUMBERS)
RULES = st.builds(
    Rule,
    mode=st.just("strict"),
    steps=st.just(TESTS.steps),
    metric=st.just("broken"),
    better=st.sampled_from(["lower", "higher"]),
    threshold=NUMBERS,
    min_examined=st.integers(0, 5),
    baseline=st.booleans(),
    allow_fewer=st.booleans(),
)
FACTS = st.builds(
    Seen,
    definition=st.sampled_from([TESTS.definition] * 7 + ["0" * 64]),
    problems=st.sampled_from([()] * 7 + [("killed",)]),
    metrics=st.dictionaries(st.sampled_from(["broken"] * 7 + ["other"]), st.floats(), min_size=1),
    examined=st.integers(0, 6),
    unit=st.sampled_from(["tests", "files"]),
    baseline=BASELINES,
)
ORDER = {"fail": 0, "pass": 1}


@given(FACTS, RULES)
def test_a_problem_is_never_outweighed(facts: Seen, asked: Rule) -> None:
    troubled = msgspec.structs.replace(facts, problems=(*facts.problems, "modules from outside"))
    assert judge(troubled, asked).verdict == "inconclusive"


@given(FACTS, RULES, NUMBERS)
def test_a_better_number_is_never_judged_worse(facts: Seen, asked: Rule, other: float) -> None:
    value = facts.metrics.get("broken", 0.0)
    if not math.isfinite(value):
        return
    best = min(value, other) if asked.better == "lower" else max(value, other)
    before = judge(msgspec.structs.replace(facts, metrics={"broken": value}), asked).verdict
    after = judge(msgspec.structs.replace(facts, metrics={"broken": best}), asked).verdict
    assert (before == "inconclusive") == (after == "inconclusive")
    assert ORDER.get(after, 0) >= ORDER.get(before, 0)


@given(FACTS, RULES, NUMBERS, st.integers(0, 9))
def test_asking_for_more_never_lets_more_pass(
    facts: Seen, asked: Rule, threshold: float, min_examined: int
) -> None:
    pick = min if asked.better == "lower" else max
    stricter = rule(
        asked,
        threshold=pick(asked.threshold, threshold),
        min_examined=max(asked.min_examined, min_examined),
        baseline=True,
        allow_fewer=False,
    )
    before, after = judge(facts, asked).verdict, judge(facts, stricter).verdict
    assert (before == "inconclusive") == (after == "inconclusive")
    assert ORDER.get(after, 0) <= ORDER.get(before, 0)


VERDICT = """
select case
    when definition <> asked or problems > 0 or value is null or not isfinite(value) or examined <= 0
        then 'inconclusive'
    when case better when 'lower' then value > threshold else value < threshold end
        or examined < min_examined
        or (unit = 'tests' and not allow_fewer and coalesce(examined < base_examined, false))
        or (baseline and coalesce(
            case better when 'lower' then value > base_value else value < base_value end, false))
        then 'fail'
    else 'pass' end
from (select
    $definition::varchar as definition, $asked::varchar as asked, $problems::integer as problems,
    $value::double as value, $examined::bigint as examined, $unit::varchar as unit,
    $better::varchar as better, $threshold::double as threshold, $min_examined::bigint as min_examined,
    $baseline::boolean as baseline, $allow_fewer::boolean as allow_fewer,
    $base_examined::double as base_examined, $base_value::double as base_value)
"""


@given(FACTS, RULES)
def test_one_sql_expression_gives_the_same_verdict(facts: Seen, asked: Rule) -> None:
    """DuckDB, which orders NaN above everything, still agrees: no comparison sees one."""
    parameters = {
        "definition": facts.definition,
        "asked": asked.definition,
        "problems": len(facts.problems),
        "value": facts.metrics.get("broken"),
        "examined": facts.examined,
        "unit": facts.unit,
        "better": asked.better,
        "threshold": asked.threshold,
        "min_examined": asked.min_examined,
        "baseline": asked.baseline,
        "allow_fewer": asked.allow_fewer,
        "base_examined": facts.baseline.get("examined"),
        "base_value": facts.baseline.get("broken"),
    }
    row = duckdb.execute(VERDICT, parameters).fetchone()
    assert row == (judge(facts, asked).verdict,)


@given(st.floats())
def test_numbers_that_differ_are_shown_differently(number: float) -> None:
    """So no message ever says that 80 is below 80."""
    assert float(show_number(number)) == number or math.isnan(number)
