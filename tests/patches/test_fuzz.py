"""Any bytes are read and applied without a fault, in time, and nothing leads outside: guided by coverage."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import patch_target

SHORT_S = 20 if os.environ.get("CI") else 10
LONG_S = 30 * 60
# What a new seed finds is for the campaign, not for whatever change is at hand.
SEED = ["-seed=1"] if os.environ.get("CI") else []
# Linux counts what a process had before `exec` into what it had at most, and Python starts one with `vfork`: the fuzzer,
# which stops at 2 GiB, would be blamed for what an earlier test took. A shell that forks begins at nothing.
OWN_MEMORY = ["sh", "-c", '"$@"; exit $?', "sh"]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> patch_target.Target:
    return patch_target.Target(tmp_path_factory.mktemp("target"))


def test_the_seeds_pass_with_every_option(target: patch_target.Target) -> None:
    """What the campaign begins with, also as it is cut off and doubled; the target can fail, too."""
    for seed in target.seeds():
        for bit in range(16):
            options = (1 << bit).to_bytes(2, "big")
            target.check(options + seed[2:])
        target.check(seed[: len(seed) * 2 // 3])
        target.check(seed + seed[2:])


def test_the_target_tells_a_path_that_leads_outside(
    target: patch_target.Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not ask the engine's own check, which may be what is wrong."""
    patch = b"\0\0--- /dev/null\n+++ b/.git/hooks/x\n@@ -0,0 +1 @@\n+x\n"
    target.check(patch)
    monkeypatch.setattr("patches.plan.check_path", lambda *_, **__: None)
    with pytest.raises(AssertionError, match="hooks"):
        target.check(patch)


def test_the_fuzzer_is_not_blamed_for_the_memory_of_others() -> None:
    """What a process started so had at most is less than what the one that starts it has."""
    grown = b"".join(itertools.repeat(b"x" * 4096, 1 << 14))
    ask = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    most_kb = subprocess.run(
        [*OWN_MEMORY, sys.executable, "-c", ask], capture_output=True, text=True, check=True
    ).stdout
    assert int(most_kb) < len(grown) // 1024


@pytest.mark.campaign
@pytest.mark.needs("atheris")
def test_nothing_breaks_it(tmp_path: Path, rounds: Callable[[int, int], int]) -> None:
    """Ten seconds here, twenty in CI, half an hour in the campaign; what breaks it is kept and shown."""
    script = Path(__file__).with_name("fuzz_patches.py")
    seconds = rounds(SHORT_S, LONG_S)
    command = [
        *OWN_MEMORY,
        sys.executable,
        script,
        tmp_path / "corpus",
        f"-max_total_time={seconds}",
        "-max_len=4096",
        *SEED,
    ]
    done = subprocess.run(
        [*map(str, command), f"-artifact_prefix={tmp_path}/"], capture_output=True, text=True, check=False
    )
    found = [path.read_bytes() for path in tmp_path.glob("*-*") if path.is_file()]
    assert done.returncode == 0, f"{done.stderr[-3000:]}\n{found}"
    assert "Done " in done.stderr
