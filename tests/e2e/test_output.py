"""What the real command prints: data on stdout in formats that parse, talk on stderr, and how it ends."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from shell import FIX, LEDGER, MISMATCH, Shell


@pytest.mark.parametrize(
    "words",
    [
        ("log",),
        ("state",),
        ("replay",),
        ("verify",),
        ("run", "list"),
        ("sql", "from events"),
        ("show",),
        ("status",),
    ],
    ids=lambda words: words[0],
)
def test_formats_parse_and_agree(started: Shell, words: tuple[str, ...]) -> None:
    """Data on stdout in every format, the same rows in each; talk on stderr alone."""
    rows = json.loads(started(*words, "--json").out)
    assert json.loads(started(*words, "--format", "json").out) == rows
    rows = rows if isinstance(rows, list) else [rows]
    lines = started(*words, "--format", "jsonl").out.splitlines()
    assert [json.loads(line) for line in lines] == rows
    table = list(csv.DictReader(io.StringIO(started(*words, "--format", "csv").out)))
    names = [[name for name in row if name != "schema"] for row in rows]
    assert [list(row) for row in table] == names
    markdown = started(*words, "--format", "markdown").out.splitlines()
    assert len(markdown) == len(rows) + 2
    cells = {len(re.findall(r"(?<!\\)\|", line)) for line in markdown}
    assert cells == {len(names[0]) + 1}


def test_stdout_has_the_event_alone(shell: Shell) -> None:
    """A script gets the reference, people the rest."""
    for done in (
        shell("run", "start", "t", "--name", "t"),
        shell("apply", shell.file(FIX)),
        shell("run", "finish"),
    ):
        assert re.fullmatch(r"t:\d\n", done.out)
        assert done.err


def test_names_do_not_reach_the_terminal_raw(shell: Shell) -> None:
    """Control characters in paths, titles and notes are shown, not obeyed."""
    (shell.root / "evil\x1b[2J\n.txt").write_bytes(b"x\n")
    shell("run", "start", "title\x1b]0;x\x07\nsecond", "--name", "t")
    shell("record", "-m", "note\x1b[31m")
    for words in (("log",), ("show",), ("state",), ("status",), ("run", "list"), ("sql", "from patch_files")):
        done = shell(*words)
        assert done.code == 0
        assert "\x1b" not in done.out + done.err, words


def test_a_reader_that_goes_away(started: Shell) -> None:
    """`ledger log | head -1`: no message, no traceback."""
    for number in range(4):
        started("apply", started.file(MISMATCH.replace("deux", str(number))))
    for command in ("log --json", "sql 'select * from range(200000)' --format csv", "state"):
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", f"'{LEDGER}' {command} | head -1"],
            cwd=started.root, capture_output=True, check=False,
        )  # fmt: skip
        assert b"Traceback" not in done.stderr
        assert b"rror" not in done.stderr
        assert done.stdout.count(b"\n") == 1


def test_debug_shows_a_traceback(shell: Shell) -> None:
    """For whoever reports a fault."""
    done = shell("--debug", "apply", shell.file(MISMATCH))
    assert done.code == 3
    assert "Traceback" in done.err
    assert "error: a.txt: hunk 1 of 1" in done.err


@pytest.mark.parametrize(
    "words",
    [
        ("apply", "-"),
        ("sql", "select count(*) from range(3000000) a, range(3000000) b where a.range * b.range % 7 = 3"),
    ],
    ids=["reading", "computing"],
)
def test_interrupted(started: Shell, words: tuple[str, ...]) -> None:
    """Ctrl-C is exit code 130 and one line, while it waits for input and while it computes."""
    # A shell that starts tests in the background may have told them to ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    before = started.everything()
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [LEDGER, *words], cwd=started.root, stdin=pipe, stdout=pipe, stderr=pipe
    ) as process:
        try:
            time.sleep(1.5)
            for _ in range(20):
                # Once is enough, but for a moment inside an import that swallows it.
                process.send_signal(signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(1)
                    break
        finally:
            process.kill()
        out, err = process.communicate()
    assert process.returncode == 130, err
    assert out == b""
    assert b"interrupted" in err
    assert b"Traceback" not in err
    assert started.everything() == before


def test_a_word_that_names_nothing_is_said_to_be_no_run_either(started: Shell) -> None:
    """`ledger log WORD` may mean a run or a path."""
    done = started("log", "nobody")
    assert (done.code, done.out) == (3, "")
    assert "nobody: there is no such file at work:3" in done.err
    assert "nor is there a run nobody: `ledger run list` lists them" in done.err
    assert "nor is there a run" not in started("log", "src/nobody.py").err
