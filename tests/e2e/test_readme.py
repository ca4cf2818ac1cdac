"""The README, typed in as it stands by a new user: every command prints what is shown below it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "── next command ──"

# What no two runs have in common: each becomes a word of its own.
VARYING = (
    (r"\b\d+\.\d s\b", "SECONDS"),
    (r"\b(fix|port-to-3-13|edits-by-hand)-[0-9a-z]{4}\b", r"\1-NAME"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
    (r"(?m)^(prev +)[0-9a-f]{64}$", r"\1DIGEST"),
    (r"(?m)^(at_ns +)\d{19}$", r"\1TIME"),
)


def steady(text: str) -> str:
    """Return what is the same in every transcript; spaces at the ends of lines do not show."""
    for pattern, word in VARYING:
        text = re.sub(pattern, word, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def read_transcript(text: str) -> list[tuple[str, str]]:
    """Return each command with what is shown below it."""
    steps: list[tuple[str, str]] = []
    for line in text.splitlines():
        command, shown = steps[-1] if steps else ("", "")
        if line.startswith("$ "):
            steps.append((line[2:], ""))
        elif command.endswith("\\") and not shown:
            steps[-1] = (f"{command}\n{line}", "")
        else:
            steps[-1] = (command, f"{shown}{line}\n")
    return steps


def test_every_command_prints_what_is_shown(tmp_path: Path) -> None:
    """From the first patch to the end of the run, and the example in Python, in one shell."""
    readme = (ROOT / "README.md").read_text("utf-8")
    blocks = BLOCK.findall(readme[readme.index("\n## Try it") : readme.index("\n## How it works")])
    steps: list[tuple[str, str]] = []
    for language, text in blocks:
        if language == "python":
            (tmp_path / "example.py").write_text(text, "utf-8")
            steps.append((f"cp {tmp_path}/example.py .", ""))
        else:
            steps += read_transcript(text)
    assert steps[0][0] == 'export PATH="$PWD/.venv/bin:$PATH"'
    # The environment that runs this test, wherever it lies, is the one that `make` set up.
    place = Path(sys.executable).parent
    script = f"export PATH={place}:$PATH TMPDIR={tmp_path}\nexec 2>&1\n"
    script += "".join(f"{command}\nprintf '%s\\n' '{MARK}'\n" for command, _ in steps[1:])
    done = subprocess.run(["sh", "-c", script], cwd=ROOT, capture_output=True, check=False, env=os.environ)
    printed = done.stdout.decode("utf-8").split(f"{MARK}\n")
    assert len(printed) == len(steps)
    for (command, shown), said in zip(steps[1:], printed, strict=False):
        assert steady(said) == steady(shown), f"$ {command}"
