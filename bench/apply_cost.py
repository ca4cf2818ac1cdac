"""What the command itself costs, in a repository of 100 files.

    python bench/apply_cost.py [--runs N] [--files N]

Medians over N rounds in which the contenders alternate, each a whole process:

- ``python -c pass`` and ``ledger --help``: at most 0.15 s more;
- ``python -c "import pygit2, msgspec, click"``, the bare import of what `ledger apply` must load,
  and `ledger apply`, both the first one (which makes the ledger and starts a run) and a later one: at
  most 1.5 times as long.

The interpreter is the one that runs this, the command the one installed beside it. Byte code is
cached for both sides before anything is measured. Exits 1 where a limit is missed.
"""

from __future__ import annotations

import argparse
import compileall
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

APPLY_LIMIT = 1.5
HELP_LIMIT_S = 0.15
IMPORTS = "pygit2, msgspec, click"
PACKAGES = ("pygit2", "msgspec", "click", "_cffi_backend", "cffi", "ledger", "patches", "ingestion")
IDENTITY = ("-c", "user.name=Bench", "-c", "user.email=bench@example.com")


def environment(home: Path) -> dict[str, str]:
    """Return a plain environment: nobody's configuration, byte code cached as for a user."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("GIT_", "LEDGER_", "PYTHON", "COV"))}
    return kept | {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"}


def compile_packages() -> None:
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        for place in (spec.submodule_search_locations or []) if spec else []:
            compileall.compile_dir(place, quiet=2)


class Bench:
    """A repository, its patches, and the clock."""

    def __init__(self, scratch: Path, files: int) -> None:
        self.env = environment(scratch / "home")
        (scratch / "home").mkdir()
        self.repo, self.pristine, self.patches = scratch / "repo", scratch / "pristine", scratch / "patches"
        self.patches.mkdir()
        self.repo.mkdir()
        for number in range(files):
            path = self.repo / f"d{number % 7}" / f"f{number}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text("".join(f"{line}\n" for line in range(number, number + 60)))
        self.git("init", "--quiet")
        self.git("add", "--all")
        self.git(*IDENTITY, "commit", "--quiet", "-m", "base")
        shutil.copytree(self.repo, self.pristine)

    def git(self, *words: str) -> bytes:
        command = ["git", *words]
        return subprocess.run(command, cwd=self.repo, env=self.env, check=True, capture_output=True).stdout

    def patch(self, number: int) -> Path:
        """Return a patch of two files that applies when no other has been."""
        path = self.patches / f"{number}.diff"
        if not path.exists():
            files = sorted(self.pristine.rglob("f*.txt"))
            target = files[number % len(files)].relative_to(self.pristine)
            first, *rest = (self.pristine / target).read_text().splitlines(keepends=True)
            lines = "".join(f" {line}" for line in rest[:3])
            path.write_text(
                f"diff --git a/{target} b/{target}\n--- a/{target}\n+++ b/{target}\n@@ -1,4 +1,4 @@\n"
                f"-{first}+edited {number}\n{lines}"
                f"diff --git a/new{number} b/new{number}\nnew file mode 100644\n"
                f"--- /dev/null\n+++ b/new{number}\n@@ -0,0 +1 @@\n+new\n"
            )
        return path

    def renew(self) -> None:
        shutil.rmtree(self.repo)
        shutil.copytree(self.pristine, self.repo)

    def time_s(self, *command: str) -> float:
        began = time.perf_counter()
        done = subprocess.run(command, cwd=self.repo, env=self.env, capture_output=True, check=False)
        took = time.perf_counter() - began
        if done.returncode:
            raise SystemExit(f"error: {' '.join(command)}: {done.stderr.decode('utf-8', 'replace')}")
        return took


def measure(bench: Bench, runs: int) -> dict[str, float]:
    """Return the median seconds of each contender over alternating rounds."""
    python, ledger = sys.executable, str(Path(sys.executable).with_name("ledger"))
    times: dict[str, list[float]] = {}
    for number in range(-2, runs):
        bench.renew()
        took = {
            "pass": bench.time_s(python, "-c", "pass"),
            "help": bench.time_s(ledger, "--help"),
            "import": bench.time_s(python, "-c", f"import {IMPORTS}"),
            "first": bench.time_s(ledger, "apply", str(bench.patch(0))),
        }
        bench.time_s(ledger, "apply", str(bench.patch(1)))
        took["import again"] = bench.time_s(python, "-c", f"import {IMPORTS}")
        took["later"] = bench.time_s(ledger, "apply", str(bench.patch(2)))
        if number >= 0:  # Two rounds to warm up.
            for name, seconds in took.items():
                times.setdefault(name, []).append(seconds)
    times["import"] += times.pop("import again")
    return {name: median(each) for name, each in times.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=21, help="rounds; medians are taken over them")
    parser.add_argument("--files", type=int, default=100, help="files in the repository")
    options = parser.parse_args()
    compile_packages()
    with tempfile.TemporaryDirectory() as scratch:
        took = measure(Bench(Path(scratch), options.files), options.runs)
    print(f"{options.files} files, medians of {options.runs} alternating runs, milliseconds")
    for name, label in (
        ("pass", "python -c pass"),
        ("help", "ledger --help"),
        ("import", f'python -c "import {IMPORTS}"'),
        ("first", "ledger apply, the first"),
        ("later", "ledger apply, a later one"),
    ):
        print(f"  {label.ljust(42)} {took[name] * 1000:7.1f}")
    more = took["help"] - took["pass"]
    results = [
        (f"ledger --help over python -c pass: {more:+.3f} s (limit {HELP_LIMIT_S} s)", more <= HELP_LIMIT_S)
    ]
    for name in ("first", "later"):
        ratio = took[name] / took["import"]
        results.append(
            (f"{name} apply: {ratio:.2f} x the bare import (limit {APPLY_LIMIT})", ratio <= APPLY_LIMIT)
        )
    for text, met in results:
        print(f"{'met   ' if met else 'MISSED'} {text}")
    return 0 if all(met for _, met in results) else 1


if __name__ == "__main__":
    sys.exit(main())
