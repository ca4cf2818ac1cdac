"""How many events a second the check of a log verifies, on one core, beside the hashing alone.

    python bench/verify.py [--events N] [--rounds N]

The check is the one of `ledger verify`: every frame's hash, its chain and position, and each run's own
chain. At least 400 000 events a second are asked for. Its peer hashes the same bytes, two digests for each
event, and checks nothing; the scan that readers use (frames decoded, runs' chains unchecked) stands beside
them. Two sizes of events, 100 runs; seconds of processor, so that other work on the machine counts less.
Exits 1 below the limit.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from sample_events import STAMP, fill, sample_event, sample_phase

from ledger.store.local import LocalStore

LIMIT = 400_000
RUNS = 100


def hash_alone(store: LocalStore) -> int:
    """Hash every line twice, as a frame and as an event, and return how many there were."""
    count = 0
    for first in store.segments.firsts():
        for line in store.segments.path(first).read_bytes().split(b"\n"):
            sha256(b"ledger/1\n" + line[72:]).hexdigest()
            sha256(b"ledger-event/1\n" + line[170:]).hexdigest()
            count += 1
    return count


def check(store: LocalStore) -> int:
    chain = store.check_chains()
    if chain is None:
        raise SystemExit("error: the log was not plainly well")
    return chain.cursor.position


def scan(store: LocalStore) -> int:
    return sum(1 for _ in store.frames())


def rate(count: Callable[[LocalStore], int], store: LocalStore) -> float:
    began = time.process_time()
    return count(store) / (time.process_time() - began)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000, help="events of each ledger")
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds; the best of each counts")
    options = parser.parse_args()
    met = True
    contenders = {"check of the log": check, "hashing alone": hash_alone, "readers' scan": scan}
    for name, make in (("phase.entered", sample_phase), ("patch.applied", sample_event)):
        with tempfile.TemporaryDirectory() as scratch:
            fill(Path(scratch, "ledger"), options.events, RUNS, make=make).close()
            store = LocalStore.open(Path(scratch, "ledger"), STAMP)
            size = sum(path.stat().st_size for path in store.segments.root.iterdir()) / options.events
            rates = dict.fromkeys(contenders, 0.0)
            for _ in range(options.rounds):
                for label, count in contenders.items():
                    rates[label] = max(rates[label], rate(count, store))
        print(f"{name}: {options.events} events of {size:.0f} bytes, best of {options.rounds}: events/s")
        for label, each in rates.items():
            print(f"  {label.ljust(24)} {each:10,.0f}")
        fast, beside = rates["check of the log"], rates["check of the log"] / rates["hashing alone"]
        met &= fast >= LIMIT
        verdict = "met   " if fast >= LIMIT else "MISSED"
        print(f"{verdict} {fast:,.0f} events/s (limit {LIMIT:,}), {beside:.2f} x the hashing alone")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
