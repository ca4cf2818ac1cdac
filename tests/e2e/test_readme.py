"""The README, typed in as it stands by a new user: every command prints what is shown below it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from transcripts import BLOCK, read_transcript, steady

ROOT = Path(__file__).resolve().parents[2]
MARK = "── next command ──"


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
