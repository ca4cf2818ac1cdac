"""What a person sees: every view in a real browser, by keyboard too, on a phone too, and of hostile content."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from samples import HOSTILE

from ledger import Ledger

pytestmark = pytest.mark.needs("chromium")

Watch = Callable[..., Any]


def report_of(root: Path, reference: str = "@", **options: Any) -> str:
    """Write a report beside a repository and return its address."""
    target = root.parent / f"{reference.strip('@') or 'latest'}-{len(options)}.html"
    with Ledger.open(root) as ledger:
        ledger.write_report(target, reference, force=True, **options)
    return target.as_uri()


def open_report(watch: Watch, address: str, **options: int) -> Any:
    """Open a report and wait for what its script shows."""
    watched = watch(address, **options)
    watched.page.locator("#page").wait_for()
    return watched


# ── the report ───────────────────────────────────────────────────────────────────────────────────


def test_report_shows_every_file_as_it_was_and_who_wrote_it(sample: Any, watch: Watch) -> None:
    """At every event each file that a patch touched has the lines of Git, and their events by `git blame`."""
    root = sample("all")
    page = open_report(watch, report_of(root)).page
    with Ledger.open(root) as ledger:
        run, last = ledger.resolve()
        for v in range(1, last + 1):
            page.evaluate("v => report.go(v - 1)", v)
            state = ledger.state(f"{run}:{v}")
            shown = page.evaluate("[...report.run.files.keys()].sort()")
            assert shown == sorted(path.decode() for path in state.files)
            for path in ("src/app.py", "docs/notes.txt", "README.md", "src/data.py", "docs/log.txt"):
                if path.encode() not in state.files:
                    continue
                got = page.evaluate("path => report.run.content(report.run.files.get(path))", path)
                blamed = ledger.blame(path.encode(), f"{run}:{v}")
                assert "why" not in got or path not in page.evaluate("Object.keys(report.run.data.contents)")
                assert "".join(line["text"] for line in got).encode() == ledger.cat(
                    path.encode(), f"{run}:{v}"
                )
                assert [line["v"] for line in got] == [line.event.v for line in blamed]


def test_report_moves_by_keyboard_and_its_address_brings_it_back(sample: Any, watch: Watch) -> None:
    """One slider moves standing, files, panes and the mark in each trend; the address has the event."""
    address = report_of(sample("all"))
    watched = open_report(watch, address)
    page = watched.page
    page.locator("#slider").focus()
    page.keyboard.press("Home")
    assert page.locator("#reference").inner_text() == "port-2kf9:1"
    assert page.locator("#touched li").inner_text() == "no file was changed yet"
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    assert page.locator("#reference").inner_text() == "port-2kf9:9"
    assert page.url.endswith("#at=9")
    assert page.locator("#touched li").count() == 1
    assert "+def mean(total, count):  # TODO: fractions, TODO: names" in page.locator(
        "#pane tr.added"
    ).inner_text().replace("\t", "")
    mark = "document.querySelector('svg.trend .now').getAttribute('x1')"
    before = page.evaluate(mark)
    page.keyboard.press("End")
    assert page.evaluate(mark) != before
    again = open_report(watch, f"{address}#at=9").page
    assert again.locator("#reference").inner_text() == "port-2kf9:9"
    assert again.locator("#standing").inner_text().startswith("Phase\nP3")
    watched.assert_harmless()


def test_report_says_how_each_gate_stands(sample: Any, watch: Watch) -> None:
    """A verdict of another tree is stale, a soft failure is told from a strict one, by sign and word."""
    page = open_report(watch, report_of(sample("all"))).page
    with Ledger.open(sample("all")) as ledger:
        events = list(ledger.events("port-2kf9"))
    rolled_back = next(event.v for event in events if event.kind.startswith("patch.rolled_back"))
    page.evaluate("v => report.go(v - 2)", rolled_back)
    said = page.locator("#gates").inner_text().replace("\n", " ")
    assert "✗tests fails, strict broken 1" in said
    assert "!lint fails, soft failed 1" in said
    assert "?audit inconclusive" in said
    page.evaluate("v => report.go(v - 1)", rolled_back)
    assert page.locator("#gates .stale").count() == 3


def test_report_of_what_was_accepted_ends_there(sample: Any, watch: Watch) -> None:
    """The difference to the accepted state is empty at it, and Git's elsewhere."""
    page = open_report(watch, report_of(sample("all"))).page
    page.locator("#to-accepted").click()
    assert page.locator("#pane").inner_text() == "Nothing: the candidate is what was accepted."
    page.evaluate("report.go(25)")
    with Ledger.open(sample("all")) as ledger:
        accepted = ledger.history("port-2kf9:26").accepted.v
        patch = ledger.diff(f"port-2kf9:{accepted}", "port-2kf9:26").decode()
    for mark, kind in (("+", "added"), ("-", "removed")):
        shown = page.locator(f"#pane tr.{kind} td.code").evaluate_all(
            "cells => cells.map(cell => cell.textContent)"
        )
        wanted = [
            line[1:] for line in patch.split("\n") if line[:1] == mark and line[:3] not in ("+++", "---")
        ]
        assert sorted(shown) == sorted(wanted)


def test_report_leaves_out_what_does_not_fit_and_says_so(sample: Any, watch: Watch) -> None:
    """Without room there are no patches and contents; the rest still works, and each gap says why."""
    page = open_report(watch, report_of(sample("all"), limit_bytes=0)).page
    page.evaluate("report.go(8)")
    assert "Not in this report: over the limit of the whole report." in page.locator("#pane").inner_text()
    assert "9 patches of files: over the limit" in page.locator("footer").inner_text()
    page.evaluate("report.open('src/app.py')")
    assert "Not in this report" in page.locator("#pane").inner_text()


def test_report_of_a_hostile_run_is_text(sample: Any, watch: Watch) -> None:
    """Names, patches, notes and errors full of markup are shown as they are, in every pane, and run nothing."""
    watched = open_report(watch, report_of(sample("evil")))
    page = watched.page
    assert page.locator("h1").inner_text() == HOSTILE
    for index in range(page.evaluate("report.run.data.events.length")):
        page.evaluate("index => report.go(index)", index)
        for view in ("event", "accepted", "file"):
            page.locator(f"#to-{view}").click()
    for path in page.evaluate("[...report.run.files.keys()]"):
        page.evaluate("path => report.open(path)", path)
    page.evaluate("report.go(3), report.show('event')")
    text = page.locator("#pane").inner_text()
    assert HOSTILE in text
    assert "</script><script>window.__pwned=1</script>" in text
    assert "right ⟨202e⟩ to left⟨0007⟩^M" in text
    watched.assert_harmless()


@pytest.mark.parametrize("width", [1280, 390])
def test_report_can_be_used_by_all(width: int, sample: Any, watch: Watch, picture: Any) -> None:
    """On a desktop and a phone it fits, and axe-core finds no serious fault in any pane."""
    watched = open_report(watch, report_of(sample("all")), width=width, height=844 if width == 390 else 900)
    page = watched.page
    page.evaluate("report.go(25)")
    picture(page, f"report-{'phone' if width == 390 else 'desktop'}")
    for act in ("report.show('event')", "report.show('accepted')", "report.open('src/app.py')"):
        page.evaluate(act)
        watched.assert_fits()
        watched.assert_accessible()
    watched.assert_harmless()
