"""`make runbook`: what it says of a repository is what the ledger knows, and it changes nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LEDGER = Path(sys.executable).with_name("ledger")
GATES = b"""\
profile = "release"
[gates.works]
command = "test ! -e broken"
[gates.style]
command = "test ! -e ugly"
mode = "soft"
[profiles.release.gates]
lint = { mode = "off", reason = "not asked for" }
tests = { mode = "off", reason = "not asked for" }
cov = { mode = "off", reason = "not asked for" }
"""


def runbook(root: Path) -> tuple[int, dict[str, str]]:
    """Return the exit code, and each line of the list by what it is about."""
    command = [sys.executable, str(ROOT / "tools/runbook.py"), str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("  ")]
    return done.returncode, {words[1]: " ".join((words[0], *words[2:])) for words in lines}


def ledger(root: Path, *arguments: str) -> int:
    return subprocess.run([LEDGER, "-C", root, *arguments], capture_output=True, check=False).returncode


def test_each_line_is_what_is_known_of_the_candidate(make_repo: Any) -> None:
    """Nothing measured, measured, stale, failed: with the exit code that `ledger gate` gives for it."""
    root: Path = make_repo({"ledger.toml": GATES, "a.txt": b"a\n"})
    code, lines = runbook(root)
    assert (code, lines["works"]) == (4, "? (strict) not measured $ ledger gate works")
    assert lines["lint"] == "- (off) off: not asked for"
    assert not (root / ".git/ledger").exists()

    assert ledger(root, "gate") == 0
    code, lines = runbook(root)
    assert (code, lines["works"].split()[:3], lines["style"].split()[:3]) == (
        0,
        ["ok", "(strict)", "pass"],
        ["ok", "(soft)", "pass"],
    )

    (root / "ugly").touch()
    _, lines = runbook(root)
    assert lines["edits"] == "x recorded not recorded: A ugly $ ledger record"
    assert ledger(root, "record") == 0
    code, lines = runbook(root)
    assert code == 4
    assert "stale: pass" in lines["works"]

    # A soft failure is in nobody's way, and opens a ticket.
    assert ledger(root, "gate") == 0
    code, lines = runbook(root)
    assert (code, lines["style"].split()[0], lines["no"].split()[:3]) == (0, "x", ["x", "open", "ticket"])

    (root / "broken").touch()
    assert ledger(root, "record") == 0
    assert ledger(root, "gate") == 1
    before = subprocess.check_output([LEDGER, "-C", root, "status", "--json"])
    code, lines = runbook(root)
    assert (code, lines["works"].split()[:3]) == (1, ["x", "(strict)", "fail:"])
    assert subprocess.check_output([LEDGER, "-C", root, "status", "--json"]) == before


def test_outside_a_repository_it_says_so(tmp_path: Path) -> None:
    """With the exit code of the command that said it."""
    assert runbook(tmp_path) == (2, {})
