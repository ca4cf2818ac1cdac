"""Trends of gates and their drawings."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "query"))
from gatestory import told  # pyright: ignore[reportMissingImports] - its folder is added above

from ledger.query.session import open_session
from ledger.reports.charts import draw_trend
from ledger.reports.trends import Point, Setting, Trend, read_trends
from ledger.stamps import Stamp
from ledger.store.local import LocalStore

pytestmark = pytest.mark.duckdb
SVG = "{http://www.w3.org/2000/svg}"


def drawn(trend: Trend, until_v: int) -> ET.Element:
    return ET.fromstring(
        draw_trend(trend, until_v).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    )


def test_trends_have_every_measurement_and_where_the_policy_changed(store: LocalStore, stamp: Stamp) -> None:
    """Numbers, verdicts and thresholds are those that the story wrote down; what eased a gate is in words."""
    story = told(stamp)
    story.write_to(store)
    cov, tests = read_trends(open_session(store), story.run)
    assert [(p.v, p.value, p.verdict) for p in cov.points] == [(5, 80.0, "pass"), (11, 90.0, "pass")]
    assert (cov.metric, cov.better, cov.settings[0]) == ("combined", "higher", Setting(2, "strict", 50.0, ""))
    assert [s.v for s in cov.settings] == [2, 14]
    assert cov.settings[1].change.startswith("strict → off")
    assert [(p.v, p.value) for p in tests.points] == [
        (4, 0),
        (7, 1),
        (10, 0),
        (13, 2),
        (15, 2),
        (19, 1),
        (20, 0),
    ]
    assert [p.v for p in tests.points if p.flaky] == [19, 20]
    assert tests.settings == (Setting(2, "strict", 0.0, ""), Setting(14, "soft", 0.0, "strict → soft"))


def test_a_drawing_has_a_mark_for_each_measurement_in_its_place(store: LocalStore, stamp: Stamp) -> None:
    """Later is further right and more is further up; a failure has another shape than a pass."""
    points = (
        Point(1, 1.0, "pass", 1, False, ""),
        Point(5, 9.0, "fail", 1, False, "too many"),
        Point(9, None, "inconclusive", 1, True, ""),
    )
    trend = Trend(
        "lint",
        "problems",
        "lower",
        points,
        (Setting(1, "soft", 2.0, ""), Setting(4, "soft", 5.0, "threshold 2 → 5")),
    )
    root = drawn(trend, 9)
    marks = {mark.get("data-v"): mark for mark in root.iter(f"{SVG}g") if mark.get("data-v")}
    assert list(marks) == ["1", "5", "9"]
    (first, last) = (marks[v].find(f"{SVG}circle") for v in ("1", "9"))
    assert first is not None
    assert last is not None
    assert marks["5"].find(f"{SVG}circle") is None
    assert float(first.get("cx", "")) < float(last.get("cx", ""))
    assert float(first.get("cy", "")) > float(last.get("cy", ""))
    thresholds = [line for line in root.iter(f"{SVG}line") if line.get("class") == "threshold"]
    assert [float(line.get("y1", "")) for line in thresholds] == sorted(
        (float(line.get("y1", "")) for line in thresholds), reverse=True
    )
    titles = [title.text for title in root.iter(f"{SVG}title")]
    assert titles == [
        "lint: 1 pass, 1 fail, 1 inconclusive; problems from 1 to 9; lower is better, threshold 5",
        "policy at :4: threshold 2 → 5",
        ":1 pass 1",
        ":5 fail 9: too many",
        ":9 inconclusive, flaky",
    ]


def test_a_drawing_escapes_what_it_says() -> None:
    """Names and reasons are text."""
    evil = "<script>'\"&"
    trend = Trend(evil, evil, "lower", (Point(1, 1.0, evil, 1, False, evil),), (Setting(1, evil, 0.0, evil),))
    root = drawn(trend, 1)
    assert {element.tag for element in root.iter()} <= {
        SVG + tag for tag in ("svg", "title", "line", "g", "path", "polyline", "circle", "text")
    }
    assert all(evil in str(title.text) for title in root.iter(f"{SVG}title"))
