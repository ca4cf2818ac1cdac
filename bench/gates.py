"""What `ledger gate` costs over running the same tools without it, on a released package's own tests.

    python bench/gates.py [--runs N]

The package is the demo's, its last release; each side has a copy of its own. In every round, whole processes:

- the commands of the gates, one after the other, then side by side as the ledger runs them (ruff's three
  beside pytest with coverage, which feeds two gates);
- ``ledger gate --again``, which measures whatever is recorded: at most 5 % and 0.3 s more than side by side;
- ``ledger gate``, which finds everything recorded: at most 0.4 s; and, to compare, the bare import of the
  libraries that it needs.

The minima decide over the first limit, since other work on the machine only adds to runs this long, and the
medians over the second; processor time stands beside them.
Two things that a gate does on purpose are in the price: it compiles those modules of the tree anew whose
cached bytecode may be of another content, and it notes where every module was imported from. Exits 1 where a
limit is missed.
"""

from __future__ import annotations

import argparse
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from apply_cost import IDENTITY, IMPORTS, compile_packages, environment

sys.path.append(str(Path(__file__).resolve().parent.parent / "tools"))
import releases

RATIO_LIMIT = 1.05
SLACK_S = 0.3
REPEATED_LIMIT_S = 0.4
BIN = Path(sys.executable).parent
LEDGER = str(BIN / "ledger")
# Of its tests these look at the machine: one at what any import loads, one at a pager's timing.
LEFT_OUT = ("tests/test_imports.py", "tests/test_utils.py::test_echo_via_pager")
PYTEST = (
    "pytest -q -o pythonpath=src -W ignore::pytest.PytestRemovedIn10Warning "
    f"{' '.join(f'--deselect {name}' for name in LEFT_OUT)} --cov --cov-fail-under=0 "
    "--cov-report=json:{scratch}/coverage.json --junitxml={scratch}/junit.xml"
)
LINT = (
    "ruff check src tests --output-format json",
    "ruff format --check . --output-format json",
    "ruff check src tests --show-files",
)
CONFIGURATION = f"""\
[gates.cov]
command = "{PYTEST}"
[gates.tests]
command = "{PYTEST}"
fed-by = "cov"
"""
LABELS = {
    "in turn": "the tools, one after the other",
    "side by side": "the tools, side by side",
    "gate": "ledger gate --again",
    "repeated": "ledger gate, all recorded",
    "import": f'python -c "import {IMPORTS}"',
}


class Cost(NamedTuple):
    """One run: seconds by the clock, and seconds of processor that it and its children used."""

    wall_s: float
    cpu_s: float


class Bench:
    """Two copies of the package, one of them with a ledger, and the clock."""

    def __init__(self, scratch: Path, source: Path) -> None:
        (scratch / "home").mkdir()
        self.env = environment(scratch / "home")
        self.env["PATH"] = f"{BIN}:{self.env['PATH']}"
        self.scratch = scratch / "reports"
        self.scratch.mkdir()
        self.plain, self.repo = scratch / "plain", scratch / "repo"
        releases.write_files(source, self.repo)
        (self.repo / "ledger.toml").write_text(CONFIGURATION)
        shutil.copytree(self.repo, self.plain)
        for words in (("init", "--quiet"), ("add", "--all"), (*IDENTITY, "commit", "--quiet", "-m", "base")):
            subprocess.run(["git", *words], cwd=self.repo, env=self.env, check=True, capture_output=True)

    def start(self, command: str) -> subprocess.Popen[bytes]:
        words = shlex.split(command.replace("{scratch}", str(self.scratch)))
        quiet = subprocess.DEVNULL
        return subprocess.Popen(words, cwd=self.plain, env=self.env, stdout=quiet, stderr=quiet)

    def run_in_turn(self, commands: Sequence[str] = (*LINT, PYTEST)) -> None:
        for command in commands:
            # ruff ends with 1 where it has findings, which is a result.
            if self.start(command).wait() > 1:
                raise SystemExit(f"error: {command} failed")

    def run_side_by_side(self) -> None:
        tests = self.start(PYTEST)
        self.run_in_turn(LINT)
        if tests.wait():
            raise SystemExit(f"error: {PYTEST} failed")

    def gate(self, *words: str) -> None:
        done = subprocess.run(
            [LEDGER, "gate", *words], cwd=self.repo, env=self.env, capture_output=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"error: ledger gate: {(done.stdout + done.stderr).decode('utf-8', 'replace')}")

    def import_bare(self) -> None:
        subprocess.run([sys.executable, "-c", f"import {IMPORTS}"], env=self.env, check=True)


def spend(run: Callable[[], None]) -> Cost:
    """Return what a run cost."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run()
    wall_s, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def measure(bench: Bench, runs: int) -> dict[str, list[Cost]]:
    """Return what each contender cost in each of the alternating rounds."""
    contenders: dict[str, Callable[[], None]] = {
        "in turn": bench.run_in_turn,
        "gate": lambda: bench.gate("--again"),
        "side by side": bench.run_side_by_side,
        "repeated": bench.gate,
        "import": bench.import_bare,
    }
    costs: dict[str, list[Cost]] = {name: [] for name in contenders}
    for number in range(-1, runs):
        for name, run in contenders.items():
            # The short ones are noisier: three times each.
            for _ in range(1 if name in ("in turn", "gate", "side by side") else 3):
                cost = spend(run)
                if number >= 0:  # One round to warm the caches up.
                    costs[name].append(cost)
    return costs


def report(costs: dict[str, list[Cost]]) -> bool:
    """Print the figures and say whether each limit is met."""
    print(f"{'seconds'.ljust(42)} {'median':>8} {'minimum':>8} {'cpu':>8}")
    medians = {name: median(cost.wall_s for cost in costs[name]) for name in LABELS}
    least = {name: min(cost.wall_s for cost in costs[name]) for name in LABELS}
    for name, label in LABELS.items():
        cpu_s = min(cost.cpu_s for cost in costs[name])
        print(f"  {label.ljust(40)} {medians[name]:8.2f} {least[name]:8.2f} {cpu_s:8.2f}")
    for what, seconds in (("medians", medians), ("minima", least)):
        in_turn, beside = seconds["gate"] / seconds["in turn"], seconds["gate"] / seconds["side by side"]
        print(f"       {what}: gate {in_turn:.3f} x the tools in turn, {beside:.3f} x side by side")
    cpu = [min(cost.cpu_s for cost in costs[name]) for name in ("gate", "side by side")]
    print(f"       processor: gate {cpu[0] / cpu[1]:.3f} x the tools, {cpu[0] - cpu[1]:+.2f} s")
    over_s, bare = least["gate"] - least["side by side"], medians["repeated"] / medians["import"]
    first = f"gate over side by side: {over_s:+.2f} s (limit {RATIO_LIMIT} x + {SLACK_S} s)"
    again = f"repeated gate: {medians['repeated']:.3f} s, {bare:.2f} x the bare import"
    results = (
        (first, least["gate"] <= RATIO_LIMIT * least["side by side"] + SLACK_S),
        (f"{again} (limit {REPEATED_LIMIT_S} s)", medians["repeated"] <= REPEATED_LIMIT_S),
    )
    for text, met in results:
        print(f"{'met   ' if met else 'MISSED'} {text}")
    return all(met for _, met in results)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="rounds; medians are taken over them")
    runs = parser.parse_args().runs
    try:
        *_, source = releases.fetch(Path(sys.prefix, "demo-cache"))
    except releases.FetchFailed as error:
        print(f"left out: {releases.NAME} could not be fetched: {error}")
        return 0
    compile_packages()
    with tempfile.TemporaryDirectory() as scratch:
        costs = measure(Bench(Path(scratch), source), runs)
    print(f"{source.name.removesuffix('.tar.gz')}'s own tests and ruff, {runs} alternating rounds")
    return 0 if report(costs) else 1


if __name__ == "__main__":
    sys.exit(main())
