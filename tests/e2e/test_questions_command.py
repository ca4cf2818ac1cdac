"""`ledger error`, `questions`, `answer` and `retire` on the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from shell import Shell


def test_an_error_is_asked_and_answered(shell: Shell) -> None:
    """From a pipe and from words; the list has each with its state, and JSON has the whole message."""
    first = shell("error", "--step", "3:build", "-", data=b"line one\nline two\xff\n").out.strip()
    joined = shell("error", "--step", "3:build", "-", data=b"line one\nline two\xff\n")
    assert f"it joins {first}" in joined.err
    second = shell("error", "--step", "4:prune", "--context", "x", "no", "such", "file").out.strip()
    assert shell("answer", first, "the", "cache").code == 0
    table = shell("questions")
    assert "line one …" in table.out
    assert "2 questions" in table.err
    listed = json.loads(shell("questions", "--format", "json").out)
    assert [(row["event"], row["state"], row["errors"]) for row in listed] == [
        (first, "answered", 2),
        (second, "open", 1),
    ]
    assert listed[0]["message"] == "line one\nline two\\xff\n"
    assert second in shell("status").out
    assert shell("retire", second, "-m", "gone").code == 0
    assert json.loads(shell("questions", "--open", "--format", "json").out) == []
    assert "the cache" in shell("show", "@-1").out
    assert "3:build, again as 3" in shell("log").out


def test_what_is_refused(shell: Shell) -> None:
    """No words, no step, and what is no open question."""
    shell("error", "--step", "1:prep", "-").refuses(2, "MESSAGE is empty")
    shell("error", "words").refuses(2, "--step")
    event = shell("error", "--step", "1:prep", "words").out.strip()
    shell("answer", event, "-").refuses(2, "TEXT is empty")
    shell("answer", event.replace(":3", ":1"), "x").refuses(
        3, "no open question", "`ledger questions --open`"
    )
