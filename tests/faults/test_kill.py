"""Kill -9 at any moment of what changes the work tree: the state before or after, and nobody's bytes lost."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from scene import Scene, ledger_command, run_killed

SCENES = [("apply", False), ("apply", True), ("record", False), ("record", True)]
SCENES += [("undo", True), ("redo", True), ("restore", True)]
CHANGING = (
    "rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,link,linkat,symlink,symlinkat,"
    "write,pwrite64,fsync,fdatasync,ftruncate,fchmod,chmod,utimensat,flock"
)
"""Every system call through which a command changes a file system."""


pytestmark = pytest.mark.campaign


@pytest.fixture(params=SCENES, ids=lambda each: f"{each[0]}-{'open' if each[1] else 'fresh'}")
def scene(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    command, open_run = request.param
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    return Scene(tmp_path, command, open_run=open_run)


def test_killed_at_random_moments(scene: Scene, rounds: Callable[[int, int], int]) -> None:
    """Moments of each command's own work, spread over all of it; the next command ends it."""
    took_s = scene.duration_s()
    rng = random.Random(scene.command)
    outcomes: Counter[bool] = Counter()
    # A way back changes the work tree by the code that `apply` has.
    count = rounds(25 if scene.command in ("apply", "record") else 6, 1000)
    for number in range(count):
        scene.again()
        scene.start()(rng.uniform(number, number + 1) / count * took_s)
        outcomes[scene.assert_recovers(retry=number % 3 == 0)] += 1
    assert len(outcomes) == 2, outcomes


def test_the_real_command_killed(scene: Scene, rounds: Callable[[int, int], int]) -> None:
    """The same from the outside, the start of the interpreter included."""
    rng = random.Random(11)
    for number in range(rounds(3 if scene.command in ("apply", "record") else 1, 200)):
        scene.again()
        run_killed(scene.arguments, rng.uniform(0.02, 0.6), scene.place)
        scene.assert_recovers(retry=number % 2 == 0)


@pytest.mark.needs("strace")
def test_killed_at_every_system_call(scene: Scene, rounds: Callable[[int, int], int], tmp_path: Path) -> None:
    """Killed on entry of each system call that changes the file system; short runs take every n-th."""
    scene.again()
    trace = tmp_path / "trace"
    strace = ["strace", "-qq", "-o", str(trace), "-e", f"trace={CHANGING}"]
    command = [*ledger_command(), *scene.arguments]
    subprocess.run([*strace, *command], cwd=scene.place, check=True, capture_output=True)
    counter: Counter[str] = Counter()
    moments: list[tuple[str, int]] = []
    for call in re.findall(r"^(\w+)\(", trace.read_text("utf-8", "replace"), re.MULTILINE):
        counter[call] += 1
        moments.append((call, counter[call]))
    assert len(moments) > 20
    stride = rounds(max(1, len(moments) // (6 if scene.command in ("apply", "record") else 3)), 1)
    outcomes: Counter[bool] = Counter()
    killed = 0
    for number, (call, nth) in enumerate(moments[::stride]):
        scene.again()
        inject = f"inject={call}:signal=KILL:when={nth}"
        done = subprocess.run(
            [*strace, "-e", inject, *command], cwd=scene.place, check=False, capture_output=True
        )
        # A call may be missing this time (a compiled file that is there by now): then it ran through.
        assert done.returncode in (-9, 137, 0), done
        killed += done.returncode != 0
        outcomes[scene.assert_recovers(retry=number % 2 == 1)] += 1
    assert killed > len(moments[::stride]) // 2
    assert len(outcomes) == 2, outcomes
