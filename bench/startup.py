"""How long `ledger --help` takes over Python's own start, beside git, ruff, uv, gh and jj where they are.

python bench/startup.py [ROUNDS]
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

LEDGER = Path(sys.executable).with_name("ledger")
LIMIT_S = 0.15


def took_s(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def main(arguments: list[str]) -> None:
    rounds = int(arguments[0]) if arguments else 15
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "ledger --help": [str(LEDGER), "--help"],
        "ledger -h": [str(LEDGER), "-h"],
        "ledger --version": [str(LEDGER), "--version"],
        "git --help": ["git", "--help"],
    }
    for name in ("ruff", "uv", "gh", "jj"):
        if found := shutil.which(name) or shutil.which(str(LEDGER.with_name(name))):
            commands[f"{name} --help"] = [found, "--help"]
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        # In turn: what else the machine does falls on all of them.
        for name, command in commands.items():
            times[name].append(took_s(command))
    own = median(times["python -c pass"])
    print(f"{'command':<20} {'median':>9} {'over python':>12}")
    for name, each in times.items():
        print(f"{name:<20} {median(each) * 1000:>6.0f} ms {(median(each) - own) * 1000:>9.0f} ms")
    over = median(times["ledger --help"]) - own
    print(f"ledger --help: {over:.3f} s over Python's own; the aim is {LIMIT_S} s")


if __name__ == "__main__":
    main(sys.argv[1:])
