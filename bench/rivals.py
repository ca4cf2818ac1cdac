"""The ledger beside other packages that keep a record of what agents do: rate, tail-drop, writers, syncs.

    python bench/rivals.py [--seconds S]

Their packages are installed into an environment of their own, ``build/rivals``; one that cannot be is named
and left out. Each is used as its documentation says, and appends the fields of the same event:

- durable events/s: one event each, with what the package does to have it on the disk, which may be nothing;
- syncs: calls of fsync and fdatasync for each append of a process, counted by strace ("?" without it);
- tail-drop: the last of 50 records is removed, and the package asked whether its record is whole;
- four writers: 100 records each from four processes; then the same is asked, and records are counted.

The ledger has to notice the tail-drop and to survive four writers; exits 1 otherwise. The rest is for
information.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
PLACE = HERE.parent / "build" / "rivals"
CHILD = HERE / "rival_records.py"
PACKAGES = {
    "ledger": "",
    "eventsourcing": "eventsourcing",
    "argus-ledger": "argus-ledger",
    "arkhive-ledger": "arkhive-ledger",
    "halo-record": "halo-record",
    "agentproofchain": "agentproofchain",
}
WRITERS, EACH, DROPPED_OF, TRACED = 4, 100, 50, 20


def install() -> dict[str, str]:
    """Return the interpreter for each package that is there."""
    python = str(PLACE / "bin" / "python")
    if not Path(python).exists():
        subprocess.run([sys.executable, "-m", "venv", str(PLACE)], check=True)
    found = {"ledger": sys.executable}
    for name, package in PACKAGES.items():
        if package:
            command = [python, "-m", "pip", "install", "-qq", "--no-input", package]
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                found[name] = python
            else:
                print(f"left out: {package} could not be installed")
    return found


def command(python: str, name: str, at: Path, *words: object) -> list[str]:
    return [python, str(CHILD), name, str(at), *map(str, words)]


def environment() -> dict[str, str]:
    """Return the children's environment: one of the packages wants a key to sign with."""
    return os.environ | {"AGENTPROOF_SIGNING_KEY": "5" * 64}


def run(words: Sequence[str]) -> str:
    """Return what a child printed, "failed" where it did not end well."""
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else "failed 0"


def syncs(python: str, name: str, at: Path) -> str:
    """Return the syncs of one append, from two processes that append another number of records."""
    if shutil.which("strace") is None:
        return "?"
    run(command(python, name, at, "append", "w", 1))  # What it makes once is not counted.
    counts: list[int] = []
    for number in (1, 1 + TRACED):
        trace = at.parent / f"trace{number}"
        words = command(python, name, at, "append", "w", number)
        traced = ["strace", "-f", "-qq", "-e", "trace=fsync,fdatasync", "-o", str(trace), *words]
        subprocess.run(traced, env=environment(), capture_output=True, check=False)
        counts.append(trace.read_text().count("sync("))
    return f"{(counts[1] - counts[0]) / TRACED:.1f}"


def race(python: str, name: str, at: Path) -> str:
    """Return what is left of the records of four processes, and whether the package calls it whole."""
    run(command(python, name, at, "append", "first", 1))
    writers = [
        subprocess.Popen(
            command(python, name, at, "append", f"w{number}", EACH),
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for number in range(WRITERS)
    ]
    failed = sum(writer.wait() != 0 for writer in writers)
    whole, count = run(command(python, name, at, "verify")).split()[:2]
    text = f"{whole}, {int(count) - 1} of {WRITERS * EACH}"
    return f"{text}, {failed} writers failed" if failed else text


def measure(python: str, name: str, scratch: Path, seconds: float) -> tuple[str, ...]:
    """Return a package's row: rate, syncs, tail-drop, four writers."""
    for part in ("rate", "sync", "drop", "race"):
        (scratch / part).mkdir(parents=True)
    rate = run(command(python, name, scratch / "rate" / "log", "rate", seconds))
    traced = syncs(python, name, scratch / "sync" / "log")
    run(command(python, name, scratch / "drop" / "log", "append", "w", DROPPED_OF))
    run(command(python, name, scratch / "drop" / "log", "drop"))
    dropped = run(command(python, name, scratch / "drop" / "log", "verify")).split()[0]
    noticed = "not noticed" if dropped == "whole" else "noticed"
    return rate, traced, noticed, race(python, name, scratch / "race" / "log")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each appends")
    seconds = parser.parse_args().seconds
    rows: dict[str, tuple[str, ...]] = {}
    with tempfile.TemporaryDirectory() as directory:
        for name, python in install().items():
            rows[name] = measure(python, name, Path(directory, name), seconds)
    print(f"{'package'.ljust(18)} {'events/s':>9} {'syncs':>6}  {'tail-drop'.ljust(12)} four writers")
    for name, (rate, traced, noticed, raced) in rows.items():
        print(f"{name.ljust(18)} {rate:>9} {traced:>6}  {noticed.ljust(12)} {raced}")
    met = rows["ledger"][2:] == ("noticed", f"whole, {WRITERS * EACH} of {WRITERS * EACH}")
    print(f"{'met   ' if met else 'MISSED'} the ledger notices the tail-drop and survives four writers")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
