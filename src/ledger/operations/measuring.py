"""Measuring: gates run side by side on one tree, each when those that it needs have passed.

No lock is held meanwhile. What a gate found is handed on as soon as it is known, so that a kill loses
no more than what was still running.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path, PurePath
from threading import Event as Flag
from typing import Literal, NamedTuple

from ledger.gates.execution import Execution, run_step
from ledger.gates.reports import ReportUnreadable, merge_reports, parse_report
from ledger.gates.surroundings import Surroundings
from ledger.gates.toolfiles import configuration_files
from ledger.gates.tools import tool_versions
from ledger.measurements import Report, Verdict
from ledger.policies import Rule, Step
from ledger.secrets.masking import mask_text
from patches.model import Entry

Place = Literal["work-tree", "isolated"]


class Measurement(NamedTuple):
    """What running one gate brought to light; nothing of it is judged."""

    gate: str
    executions: tuple[Execution, ...]
    report: Report
    problems: tuple[str, ...]
    tools: dict[str, str]
    configuration: dict[str, str]


class Site(NamedTuple):
    """Where is measured: the tree, the directory that holds it, and a way to see that it still does."""

    place: Place
    tree: str
    root: Path
    entries: Mapping[bytes, Entry]
    cache_dir: Path
    tree_now: Callable[[], str]
    patches: str
    """The patches that led to the tree, as a range of events."""
    depends: Mapping[str, str]
    """What a result about those patches depends on besides the tree and the tools."""

    def surroundings(self, rule: Rule) -> Surroundings:
        """Return what a gate's commands find around them here."""
        return Surroundings(
            root=self.root,
            cache_dir=self.cache_dir,
            tree_paths=self.entries.keys(),
            env=rule.env,
            outside=rule.outside,
            patches=self.patches,
            # A temporary tree is not met again.
            entries=self.entries if self.place == "work-tree" else {},
        )

    def tools(self, rule: Rule) -> dict[str, str]:
        """Return the versions of the tools that a gate would run here, and what else it depends on."""
        surroundings = self.surroundings(rule)
        found: dict[str, str] = {}
        for step in rule.steps:
            found |= tool_versions(step.command, surroundings)
            if step.about_patches:
                found |= self.depends
        return found

    def configuration(self, rule: Rule) -> dict[str, str]:
        """Return the configuration files of a gate's tools in the tree, and their blobs' oids."""
        found: dict[str, str] = {}
        for step in rule.steps:
            found |= configuration_files(step, self.entries.items())
        return found


class Crew:
    """Gates that run side by side at one site."""

    def __init__(
        self,
        site: Site,
        rules: Mapping[str, Rule],
        conclude: Callable[[Measurement], Verdict],
        progress: Callable[[str, str], None],
        known: Mapping[str, Verdict],
        stop: Flag | None = None,
    ) -> None:
        """Get ready to measure.

        Args:
            site: Where.
            rules: The gates to run, by name.
            conclude: Gets each measurement in the caller's thread, and says what became of it.
            progress: Gets a gate's name and the last line that it printed, from any thread.
            known: The verdicts of gates that are not run, as they were measured before.
            stop: Ends all commands as soon as it is set, from any thread; what they found then is of no use.
        """
        self._site = site
        self._rules = dict(rules)
        self._conclude = conclude
        self._progress = progress
        self._stop = Flag() if stop is None else stop
        self._verdicts: dict[str, Verdict] = dict(known)
        self._left_reports: dict[str, tuple[Execution, dict[str, bytes]]] = {}
        self.not_run: dict[str, str] = {}
        """Gates that did not run, each with the gate it needs that did not pass."""

    def measure(self) -> None:
        """Run every gate and hand on what each found, in the order in which they end.

        Whatever ends this early, an interrupt or an error, ends all commands with their process groups.
        """
        waiting = dict(self._rules)
        running: dict[Future[Measurement], str] = {}
        with ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 2)) as pool:
            try:
                while waiting or running:
                    for name in self._ready(waiting):
                        rule = waiting.pop(name)
                        running[pool.submit(self._measure_gate, name, rule)] = name
                    if not running:
                        break
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        name = running.pop(future)
                        self._verdicts[name] = self._conclude(future.result())
            finally:
                self._stop.set()

    def _ready(self, waiting: dict[str, Rule]) -> list[str]:
        """Return the gates that may start; one whose need did not pass is taken out of ``waiting``."""
        ready: list[str] = []
        for name, rule in list(waiting.items()):
            needs = [need for need in rule.needs if need in self._rules or need in self._verdicts]
            failed = next(
                (n for n in needs if n in self.not_run or self._verdicts.get(n, "pass") != "pass"), None
            )
            if failed is not None:
                self.not_run[name] = failed
                del waiting[name]
            elif all(need in self._verdicts for need in (*needs, *self._feeder(rule))):
                ready.append(name)
        return ready

    def _feeder(self, rule: Rule) -> tuple[str, ...]:
        fed = rule.fed_by in self._rules and rule.fed_by not in self.not_run
        return (rule.fed_by,) if fed else ()

    def _measure_gate(self, name: str, rule: Rule) -> Measurement:
        fed = self._fed(rule)
        own = fed is None
        if fed is None:
            fed = [self._run(name, rule, step) for step in rule.steps]
        executions = tuple(execution for execution, _ in fed)
        problems: list[str] = []
        reports: list[Report] = []
        for (execution, data), step in zip(fed, rule.steps, strict=True):
            problems += [each for each in execution.problems if own or each not in execution.unread]
            if execution.exit_code is not None:
                if _is_pytest(execution.command) and not execution.watched:
                    problems.append("no Python process was watched: what it imported is not known")
                reports += self._parse(step, execution, data, problems)
        if self._site.tree_now() != self._site.tree:
            self._site.surroundings(rule).distrust_bytecode()
            problems.append("the tree was changed while it was measured")
        report = merge_reports(reports) if reports else Report(metrics={}, examined=0, unit="")
        configuration = self._site.configuration(rule)
        # What a tool's exit code means says more than that its report is missing.
        everything = tuple(dict.fromkeys((*report.problems, *problems)))
        return Measurement(name, executions, report, everything, self._site.tools(rule), configuration)

    def _parse(
        self, step: Step, execution: Execution, data: bytes | None, problems: list[str]
    ) -> list[Report]:
        assert execution.exit_code is not None
        try:
            return [
                parse_report(
                    step.format,
                    data,
                    exit_code=execution.exit_code,
                    root=self._site.root,
                    exit_codes=step.exit_codes,
                    output=execution.output,
                )
            ]
        except ReportUnreadable as error:
            problems.append(str(error))
            return []

    def _run(self, name: str, rule: Rule, step: Step) -> tuple[Execution, bytes | None]:
        """Run one step, keeping what it leaves for the gates that it feeds."""
        also = [
            other.steps[0].report
            for other in self._rules.values()
            if other.fed_by == name and len(other.steps) == 1
        ]
        execution = run_step(
            step,
            self._site.surroundings(rule),
            timeout_s=rule.timeout_s,
            stop=self._stop,
            progress=lambda line: self._progress(name, mask_text(line)),
            also=also,
        )
        self._left_reports[name] = (execution, execution.also)
        return execution, execution.report

    def _fed(self, rule: Rule) -> list[tuple[Execution, bytes | None]] | None:
        """Return what another gate's execution left for this one, None where it left nothing."""
        if rule.fed_by not in self._left_reports or len(rule.steps) != 1:
            return None
        execution, left = self._left_reports[rule.fed_by]
        data = left.get(rule.steps[0].report)
        return None if data is None else [(execution, data)]


def _is_pytest(command: Sequence[str]) -> bool:
    return any(PurePath(word).name in ("pytest", "py.test") for word in command)
