"""How much memory an application takes beside the largest file that it touches and the patch.

    python bench/apply_memory.py [MEGABYTES]

Prints for each kind of patch the peak of what was allocated, and how many times both together that is.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pygit2

from patches.apply import apply_patch
from patches.objects import Objects
from patches.parse import parse_patch
from patches.tree import Tree

MIB = 1 << 20


class Case(NamedTuple):
    """A file before and after a patch."""

    name: str
    old: bytes
    new: bytes


def cases(size_bytes: int) -> Iterator[Case]:
    """Yield what is measured, each of about the size."""
    randomness = random.Random(5)  # noqa: S311 - the same bytes in every run
    lines = [b"line %d of a text that is as long as lines are\n" % at for at in range(size_bytes // 50)]
    yield Case("one hunk", b"".join(lines), b"".join([*lines[:99], b"new\n", *lines[99:]]))
    every = [line if at % 40 else b"changed\n" for at, line in enumerate(lines)]
    yield Case("many hunks", b"".join(lines), b"".join(every))
    yield Case("a new file", b"", b"".join(lines))
    noise = randomness.randbytes(size_bytes)
    yield Case("binary literal", b"", noise + b"\0")
    yield Case(
        "binary delta", noise, noise[: size_bytes // 2] + randomness.randbytes(99) + noise[size_bytes // 2 :]
    )


def measure(repository: pygit2.Repository, case: Case) -> tuple[int, int, int]:
    """Return the sizes of file and patch, and the peak while the patch was read and applied."""
    trees: list[bytes] = []
    for content in (case.old, case.new):
        builder = repository.TreeBuilder()
        if content:
            builder.insert("file", repository.create_blob(content), pygit2.enums.FileMode.BLOB)
        trees.append(builder.write().raw)
    command = ["git", f"--git-dir={repository.path}", "diff-tree", "-p", "--binary", "--full-index"]
    patch = subprocess.run(
        [*command, *(tree.hex() for tree in trees)], capture_output=True, check=True
    ).stdout
    tree = Tree(Objects(repository, cached_bytes=0), trees[0])
    tracemalloc.start()
    apply_patch(tree, parse_patch(patch))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert tree.write() == trees[1]
    return max(len(case.old), len(case.new)), len(patch), peak


def main() -> None:
    """Measure every case in one repository."""
    size_bytes = int(sys.argv[1] if len(sys.argv) > 1 else 8) * MIB
    with tempfile.TemporaryDirectory() as folder:
        repository = pygit2.init_repository(str(Path(folder)), bare=True)
        for case in cases(size_bytes):
            file, patch, peak = measure(repository, case)
            sizes = f"file {file / MIB:6.1f} MiB  patch {patch / MIB:6.2f} MiB  peak {peak / MIB:7.1f} MiB"
            print(f"{case.name:15} {sizes}  {peak / (file + patch):4.1f} times both")


if __name__ == "__main__":
    main()
