"""What a person sees: every view in a real browser, by keyboard too, on a phone too, and of hostile content."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from samples import HOSTILE

from ledger import Ledger
from ledger.events import TreeEvent

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
    """After every change each file that a patch touched has the lines of Git, and their events by `git blame`."""
    root = sample("all")
    page = open_report(watch, report_of(root)).page
    with Ledger.open(root) as ledger:
        run, last = ledger.resolve()
        changed = [event.v for event in ledger.events() if isinstance(event, TreeEvent)]
        for v in (*changed, changed[-1] - 1, last):
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
    said = page.locator("#gates").inner_text().replace("\n", " ")
    assert "✓tests passes" in said, "the state that it came back to was measured before"


def test_report_has_the_verdicts_that_sql_has(sample: Any, watch: Watch) -> None:
    """At every event: also where a rollback came back to a tree that was measured before."""
    page = open_report(watch, report_of(sample("all"))).page
    shown = page.evaluate(
        """() => report.run.facts.map(({ gates, tree }) => Object.fromEntries(
             [...gates.values()].map((gate) => [gate.name, [gate.verdict, gate.tree !== tree]])))"""
    )
    asked = "select gate, verdict, stale from gate_status_at($run, $v) where verdict is not null"
    with Ledger.open(sample("all")) as ledger:
        for v, gates in enumerate(shown, 1):
            rows = ledger.sql(asked, {"run": "port-2kf9", "v": v}).fetchall()
            assert gates == {gate: [verdict, stale] for gate, verdict, stale in rows}, v


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
    """On a desktop by day and a phone by night it fits, and axe-core finds no serious fault in any pane."""
    watched = open_report(watch, report_of(sample("all")), width=width, height=844 if width == 390 else 900)
    page = watched.page
    page.evaluate("report.go(25)")
    picture(page, f"report-{'phone' if width == 390 else 'desktop'}")
    for act in ("report.show('event')", "report.show('accepted')", "report.open('src/app.py')"):
        page.evaluate(act)
        watched.assert_fits()
        watched.assert_accessible("dark" if width == 390 else "light")
    watched.assert_harmless()


# ── the page ─────────────────────────────────────────────────────────────────────────────────────


def open_view(watch: Watch, address: str, path: str = "/", **options: int) -> Any:
    """Open a view of a served ledger: the token goes into a cookie, and out of the address."""
    watched = watch(address, **options)
    base = address.partition("/?")[0]
    assert watched.page.url == f"{base}/"
    if path != "/":
        watched.page.goto(base + path)
    return watched


VIEWS = {
    "runs": "/",
    "run": "/runs/port-2kf9?at=26",
    "gates": "/gates",
    "ask": "/ask?query=churn",
}


def wait_for(watched: Any, view: str) -> None:
    if view == "run":
        watched.page.locator("#page").wait_for()
    if view == "ask":
        watched.page.locator("button.main").click()
        watched.page.locator("#answer").wait_for()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("view", VIEWS)
def test_view_can_be_used_by_all(view: str, width: int, served: Any, watch: Watch, picture: Any) -> None:
    """On a desktop and a phone it fits, axe-core finds no serious fault by day or night, nothing goes out."""
    watched = open_view(watch, served("all"), VIEWS[view], width=width, height=844 if width == 390 else 900)
    wait_for(watched, view)
    picture(watched.page, f"{view}-{'phone' if width == 390 else 'desktop'}")
    watched.assert_fits()
    watched.assert_accessible()
    watched.assert_harmless()


def test_runs_are_found_by_words_and_state(served: Any, watch: Watch) -> None:
    """What a run is about narrows the list down; its link leads to the slider."""
    page = open_view(watch, served("all")).page
    page.get_by_label("Search").fill("EXACT")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?words=EXACT*")
    assert page.locator(".runs > li").count() == 1
    assert page.locator(".runs > li .chip").all_inner_texts() == [
        "?audit inconclusive",
        "✓lint passes",
        "✓tests passes",
    ]
    page.get_by_label("finished").check()
    page.get_by_role("button", name="Filter").click()
    assert page.get_by_text("No run is like that.").is_visible()
    page.get_by_role("link", name="Runs").click()
    page.get_by_role("link", name="Port the statistics").click()
    page.locator("#page").wait_for()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#reference").inner_text() == "port-2kf9:57"
    assert page.url.endswith("/runs/port-2kf9?at=57")
    page.reload()
    page.locator("#page").wait_for()
    assert page.locator("#reference").inner_text() == "port-2kf9:57"


def test_a_new_event_shows_by_itself(served: Any, sample: Any, watch: Watch) -> None:
    """Whoever looks at the end goes on with it, whoever looks back stays; the list of runs counts it too."""
    watched = open_view(watch, served("live"), "/runs/evil-6666")
    page = watched.page
    page.locator("#page").wait_for()
    listed = open_view(watch, served("live")).page
    with Ledger.open(sample("live")) as ledger:
        last = ledger.resolve()[1]
        assert page.locator("#reference").inner_text() == f"evil-6666:{last}"
        ledger.enter_phase("P4")
        page.get_by_text(f"evil-6666:{last + 1}", exact=True).wait_for()
        page.locator("#slider").focus()
        page.keyboard.press("Home")
        ledger.enter_phase("P5")
    page.get_by_text(f"evil-6666 · {last + 2} events").wait_for()
    assert page.locator("#reference").inner_text() == "evil-6666:1"
    listed.get_by_text("P5").wait_for()
    watched.assert_harmless()


def test_gates_show_what_was_measured(served: Any, sample: Any, watch: Watch) -> None:
    """There is a mark for each measurement, a threshold for each policy, and what is flaky is named."""
    page = open_view(watch, served("all"), "/gates").page
    with Ledger.open(sample("all")) as ledger:
        measured = [event for event in ledger.events("port-2kf9") if event.kind.startswith("gate.measured")]
    assert page.locator("svg .mark").count() == len(measured)
    assert page.locator("figure", has_text="tests").locator(".threshold").count() == 2
    assert page.locator("figure", has_text="tests").locator(".policy").count() == 1
    row = page.get_by_role("row").filter(has_text="test_spread").filter(has_text="flaky")
    assert row.locator("td").all_inner_texts()[3:] == ["2", "1", "50 % flaky"]


def test_ask_answers_as_the_command_that_it_offers(
    served: Any, sample: Any, watch: Watch, sealed_commands: Any
) -> None:
    """The command, run in a shell, has the same rows."""
    page = open_view(watch, served("all"), "/ask?query=churn").page
    page.locator("[name='param.run']").fill("port-2kf9")
    page.locator("button.main").click()
    page.locator("#answer").wait_for()
    command = page.locator("#command").inner_text()
    assert command == "ledger query churn --param run=port-2kf9"
    shown = [row.split("\t")[:3] for row in page.locator(".answer tbody").inner_text().split("\n")]
    run = command.replace("ledger", f"{sys.executable} -m ledger.cli", 1) + " --format csv"
    printed = subprocess.run(
        run, shell=True, cwd=sample("all"), env=sealed_commands, capture_output=True, check=True
    )
    assert shown == [line.split(",")[:3] for line in printed.stdout.decode().splitlines()[1:]]
    assert page.locator(".bars .bar").count() == len(shown)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("from nothing", "Table with name nothing does not exist"),
        ("from read_text('/etc/passwd')", "disabled"),
        ("copy (select 1) to '/tmp/x.csv'", "disabled"),
        ("set memory_limit = '100GB'", "locked"),
        ("", "no statement"),
    ],
)
def test_ask_says_what_the_command_line_says(sql: str, said: str, served: Any, watch: Watch) -> None:
    """Mistakes, and what would leave the ledger or never end, are answered with the error and its hint."""
    page = open_view(watch, served("all"), "/ask").page
    page.locator("#sql").fill(sql)
    page.locator("#sql").press("Control+Enter")
    page.locator(".error").wait_for()
    assert said in page.locator(".error").inner_text()
    assert page.locator("#sql").input_value() == sql


def test_what_sql_makes_is_gone_with_the_answer(served: Any, watch: Watch) -> None:
    """A view that a question dropped is there for the next one, and for the other views."""
    page = open_view(watch, served("all"), "/ask").page
    for sql in ("drop view gates; select 1 as one", "select count(*) as n from gates"):
        page.locator("#sql").fill(sql)
        page.locator("button.main").click()
        page.locator(".answer").wait_for()
        assert page.locator(".error").count() == 0
    assert page.locator(".answer td").inner_text() == "21"
    page.get_by_role("link", name="Gates").click()
    assert page.locator("figure").count() == 3


def test_hostile_content_is_text_in_every_view(served: Any, watch: Watch) -> None:
    """Markup in names, titles, patches, errors and answers is shown as it is, and runs nothing."""
    watched = open_view(watch, served("evil"))
    page = watched.page
    assert page.locator("h2 a").inner_text() == HOSTILE
    page.locator("h2 a").click()
    page.locator("#page").wait_for()
    assert page.locator("#run-title").inner_text() == HOSTILE
    for _ in range(page.evaluate("report.index")):
        page.keyboard.press("ArrowLeft")
        for view in ("accepted", "file", "event"):
            page.locator(f"#to-{view}").click()
        page.locator("h1").click()
    page.get_by_role("link", name="Gates", exact=True).click()
    assert page.locator("figure").count() == 2
    assert (
        "<svg onload=window.__pwned=1>"
        in page.locator("figure", has_text="gone").locator("title").all_text_contents()[1]
    )
    page.get_by_role("link", name="Ask").click()
    for sql in (
        "from patch_files",
        "from runs",
        f"select '{HOSTILE}' as x, 1 as n union all select x'00ff'::varchar, 2",
    ):
        page.locator("#sql").fill(sql)
        page.locator("button.main").click()
        page.locator(".answer").wait_for()
    assert HOSTILE in page.locator(".answer").inner_text()
    watched.assert_fits()
    watched.assert_harmless()
