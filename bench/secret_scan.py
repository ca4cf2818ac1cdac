"""What looking for secrets costs, on real source: the prefilter beside the detectors it spares.

    python bench/secret_scan.py [--megabytes N]

The source is a fixed sample of the Python files installed beside this interpreter. Prints, in one run:

- the prefilter over all of it, in MB/s, and how many lines and files it asks a second look at;
- what the detectors then find there (nearly all of it is no secret: this is released source);
- detect-secrets' own detectors over every line of a tenth of it, in MB/s: what is spared.

Exits 1 where the prefilter is not twenty times as fast, or asks for more than one line in a thousand.
"""

from __future__ import annotations

import argparse
import random
import site
import sys
import time
from collections import Counter
from pathlib import Path

from ledger.secrets.detectors import search, search_stretches
from ledger.secrets.prefilter import find_stretches

RATIO_LIMIT = 20
LINES_LIMIT = 1 / 1000
SEED = 1


def sample(size_bytes: int) -> list[bytes]:
    """Return installed source files in an order that is always the same, up to a size."""
    paths = sorted(Path(site.getsitepackages()[0]).rglob("*.py"))
    random.Random(SEED).shuffle(paths)  # noqa: S311 - a sample that is always the same
    taken: list[bytes] = []
    for path in paths:
        if sum(map(len, taken)) >= size_bytes:
            break
        taken.append(path.read_bytes())
    return taken


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=10)
    files = sample(parser.parse_args().megabytes * 1_000_000)
    size, lines = sum(map(len, files)), sum(data.count(b"\n") for data in files)
    started = time.process_time()
    found = [[stretch for stretch in find_stretches(data) if stretch.shape == "token"] for data in files]
    prefilter = size / (time.process_time() - started) / 1e6
    asked = sum(map(len, found))
    print(f"{len(files)} files, {size / 1e6:.1f} MB, {lines} lines")
    print(f"prefilter: {prefilter:.0f} MB/s, {asked} lines in {sum(map(bool, found))} files")
    finds = [
        each for data, some in zip(files, found, strict=True) for _, each in search_stretches(data, some)
    ]
    print(f"found there, sure: {dict(Counter(each.kind for each in finds if each.sure))}")
    print(f"found there, doubtful: {dict(Counter(each.kind for each in finds if not each.sure))}")
    part = b"\n".join(files[: max(1, len(files) // 10)])
    started = time.process_time()
    for line in part.split(b"\n"):
        list(search(line))
    detectors = len(part) / (time.process_time() - started) / 1e6
    ratio = prefilter / detectors
    print(f"detectors on every line: {detectors:.2f} MB/s; the prefilter is {ratio:.0f} times as fast")
    return int(ratio < RATIO_LIMIT or asked > LINES_LIMIT * lines)


if __name__ == "__main__":
    sys.exit(main())
