"""Gate commands run on real trees, in environments made for one test."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

from ledger.gates.execution import Execution, run_step
from ledger.gates.surroundings import Surroundings
from ledger.policies import Step

HERE = Path(sys.executable).parent  # the tools that this suite is installed with
SITE = next(Path(sys.prefix).glob("lib/python3*/site-packages"))


def tree_paths(root: Path) -> list[bytes]:
    """Return what git knows of a work tree, new files included."""
    listed = subprocess.check_output(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=root)
    return listed.split(b"\0")[:-1]


def surround(root: Path, **changes: Any) -> Surroundings:
    """Return surroundings whose PATH starts with this suite's tools; one session shares a cache."""
    variables = {**os.environ, "PATH": f"{HERE}:/usr/bin:/bin", **changes.pop("variables", {})}
    facts: dict[str, Any] = {
        "root": root,
        "cache_dir": root.parent.parent / "gate-cache",
        "tree_paths": tree_paths(root) if (root / ".git").exists() else [],
        "variables": variables,
    }
    return Surroundings(**facts | changes)


def execute(
    surroundings: Surroundings,
    *command: str,
    timeout_s: float = 60,
    stop: Event | None = None,
    progress: Callable[[str], None] | None = None,
    also: tuple[str, ...] = (),
    **step: Any,
) -> Execution:
    """Run one command as a gate's step."""
    return run_step(
        Step(command=command, **step),
        surroundings,
        timeout_s=timeout_s,
        stop=stop or Event(),
        progress=progress,
        also=also,
    )


def python(code: str) -> tuple[str, ...]:
    """Return a command that runs ``code``."""
    return (sys.executable, "-c", code)


def make_venv(path: Path, *pth: Path) -> Path:
    """Make a virtual environment that finds this suite's packages, and whatever ``pth`` names; return its bin.

    A ``.pth`` line is how an editable install points at the tree that it was installed from.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", path], check=True)
    site = next(path.glob("lib/python3*/site-packages"))
    # Only the tools: this project's own .pth is not followed from there.
    (site / "tools.pth").write_text(f"{SITE}\n", "utf-8")
    (site / "_demo.pth").write_text("".join(f"{each}\n" for each in pth), "utf-8")
    return path / "bin"


def runs(pid: int) -> bool:
    """Whether a process is there and more than a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for(condition: Callable[[], object], timeout_s: float = 10) -> None:
    """Wait until something holds.

    Raises:
        AssertionError: It does not, within the time.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
