"""Annotations: what a command has recorded as errors, said where a build's log and page show it.

Without `CI` nothing is said beyond what commands say. With it, each question's block goes to standard error.
On GitHub Actions it is an annotation instead, since a line of an error could be a command to the runner,
and the block goes to the job's summary.

See: GitHub's "Workflow commands for GitHub Actions", "Setting an error message" and "Adding a job summary".
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.cli.session import say

if TYPE_CHECKING:
    from ledger.api import Ledger
    from ledger.events import ErrorCaptured

_PLACE = re.compile(r"^(?P<file>[^\s:][^:\n]*):(?P<line>\d+)(?::(?P<column>\d+))?: ", re.MULTILINE)
_FRAME = re.compile(r'^  File "(?P<file>[^"\n]+)", line (?P<line>\d+)', re.MULTILINE)
_FENCE = re.compile(r"^`{3,}", re.MULTILINE)
_NO = ("", "0", "false")


def report_errors(ledger: Ledger) -> None:
    """Say what was recorded through a ledger, and the warnings that go with it."""
    for warning in ledger.warnings:
        say(f"warning: {warning}")
    on_github = os.environ.get("GITHUB_ACTIONS") == "true"
    if not ledger.captured or (not on_github and os.environ.get("CI", "").lower() in _NO):
        return
    from ledger.projections.questions import render_question

    blocks = [render_question(captured, ledger.body) for captured in ledger.captured]
    if not on_github:
        say("\n".join(blocks))
        return
    for captured in ledger.captured:
        message = ledger.body(captured.message).decode("utf-8", "backslashreplace")
        say(annotation(captured, message, soft=_is_soft(ledger, captured)))
    _add_summary(blocks)


def annotation(captured: ErrorCaptured, message: str, *, soft: bool) -> str:
    """Return the workflow command that shows an error, beside the line that it is about if it names one."""
    found = _PLACE.search(message) or _FRAME.search(message)
    properties: dict[str, str] = {}
    if found is not None:
        place = found.groupdict()
        properties = {"file": place["file"], "line": place["line"]}
        if place.get("column"):
            properties["col"] = place["column"]
    properties["title"] = f"{captured.step} ({captured.question})"
    said = ",".join(f"{name}={_escape_property(value)}" for name, value in properties.items())
    return f"::{'warning' if soft else 'error'} {said}::{_escape(message.rstrip())}"


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")


def _is_soft(ledger: Ledger, captured: ErrorCaptured) -> bool:
    """Whether it is about a gate that the policy in force calls soft."""
    from ledger.operations.settling import gate_of

    gate = gate_of(captured)
    policy = ledger.history(f"{captured.run}:{captured.v}").policy if gate else None
    return policy is not None and gate in policy.gates and policy.gates[gate].mode == "soft"


def _add_summary(blocks: list[str]) -> None:
    name = os.environ.get("GITHUB_STEP_SUMMARY", "")
    if not name:
        return
    text = "\n".join(blocks)
    fence = "`" * max([3, *(len(run) + 1 for run in _FENCE.findall(text))])
    try:
        with Path(name).open("a", encoding="utf-8", errors="backslashreplace") as summary:
            summary.write(f"{fence}text\n{text}{fence}\n")
    except OSError as error:
        say(f"warning: the job's summary was not written: {error}")
