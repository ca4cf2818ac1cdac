"""A repository's first-parent history through the recorded path, and ten states of it back.

    python bench/recorded.py REPO [--commits N] [--last] [--events K] [--seed S]

The patches of `bench/history.py` go through ``run.apply`` in one process: bodies, events, objects, work
tree, index and ref, each synced as in daily use, in a scratch repository that starts with the first tree
alone. Every resulting tree is compared with Git's, and at the end the index and the work tree are. Then K
random events come back three ways: ``replay --until``, ``state --at`` (the fold, hashed without Git) and
``state_at`` in SQL. The peer does what can be done without a ledger, on the same patches in the same run:
``git apply --index`` and ``git commit`` per patch. REPO is never written. Exits 1 on any difference.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

import pygit2
from history import Git, Result, Step, read_history, spool_patches

from ledger import Ledger
from ledger.errors import LedgerError
from ledger.state import tree_oid
from patches.errors import PatchError
from patches.model import Entry
from patches.oids import EMPTY_TREE

IDENTITY = {
    f"GIT_{role}_{field}": value
    for role in ("AUTHOR", "COMMITTER")
    for field, value in (("NAME", "Bench"), ("EMAIL", "bench@example.com"))
}


def make_repository(source: Git, name: str, tree: str) -> Git:
    """Make a repository with a work tree; HEAD is a commit of ``tree``, or unborn where that is empty."""
    root = source.cwd / name
    pygit2.init_repository(str(root))
    # Byte for byte as in the patches: no attributes, no line endings of this platform.
    (root / ".git/info").mkdir(exist_ok=True)
    (root / ".git/info/attributes").write_text("* -text -ident !filter !working-tree-encoding\n")
    git = source.isolated(f"{name}-git")
    git.cwd = root
    git.objects = root / ".git/objects"
    git.env = git.env | IDENTITY | {"GIT_DIR": str(root / ".git"), "GIT_WORK_TREE": str(root)}
    for variable in ("GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"):
        del git.env[variable]
    if tree != EMPTY_TREE.hex():
        pack = str(git.objects / "pack/pack")
        source.run("pack-objects", "--quiet", "--revs", pack, feed=tree.encode() + b"\n")
        git.run("update-ref", "HEAD", git.run("commit-tree", "-m", "base", tree).decode().strip())
        git.run("reset", "--quiet", "--hard")
    return git


def record_all(git: Git, ledger: Ledger, steps: list[Step]) -> Result:
    """Apply every patch in one run; the rest is left out after the first that fails."""
    failures: list[str] = []
    seconds = 0.0
    run = ledger.run("history", name="history")
    for number, step in enumerate(steps):
        data = step.patch.read_bytes()
        started = time.perf_counter()
        try:
            got = run.apply(data, source=step.commit).tree
        except (PatchError, LedgerError) as error:
            return Result(number, seconds, [f"{step.commit}: {error}"])
        seconds += time.perf_counter() - started
        if got != step.new:
            failures.append(f"{step.commit}: {got}")
    if git.write_tree() != steps[-1].new:
        failures.append("the index differs from the last tree")
    if dirty := git.run("status", "--porcelain", "--untracked-files=all", "--ignored").splitlines():
        failures += [line.decode("utf-8", "replace") for line in dirty if line[1:2] != b" "]
    return Result(len(steps), seconds, failures)


def commit_all(git: Git, steps: list[Step]) -> Result:
    """``git apply --index`` and ``git commit`` for every patch."""
    seconds = 0.0
    for number, step in enumerate(steps):
        started = time.perf_counter()
        try:
            git.run("apply", "--index", str(step.patch))
            git.run("commit", "--quiet", "--no-verify", "-m", step.commit)
        except RuntimeError as error:
            return Result(number, seconds, [f"{step.commit}: {error}"])
        seconds += time.perf_counter() - started
    return Result(len(steps), seconds, [])


def come_back(ledger: Ledger, v: int, tree: str) -> list[str]:
    """Return in which of three ways the state at a version is not ``tree``."""
    reference = f"history:{v}"
    wrong: list[str] = []
    if list(ledger.replay(reference))[-1].tree != tree:
        wrong.append(f"{reference}: replay")
    if tree_oid(ledger.state(reference).files).hex() != tree:
        wrong.append(f"{reference}: state")
    rows = ledger.sql("select path_bytes, mode, oid from state_at('history', $v)", {"v": v}).fetchall()
    if tree_oid({path: Entry(int(mode, 8), bytes.fromhex(oid)) for path, mode, oid in rows}).hex() != tree:
        wrong.append(f"{reference}: SQL")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("repo", type=Path)
    parser.add_argument("--commits", type=int, help="only the first N commits")
    parser.add_argument("--last", action="store_true", help="with --commits: the last N")
    parser.add_argument("--events", type=int, default=10, help="how many random events come back")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    # Nobody's configuration: neither a filter nor a hook of the user's takes part.
    os.environ |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    with tempfile.TemporaryDirectory(prefix="recorded-") as scratch:
        source = Git(options.repo.resolve(), Path(scratch))
        history = read_history(source, options.commits, last=options.last)
        steps = spool_patches(source, history, Path(scratch) / "patches")
        if not steps:
            print("0/0 trees identical")
            return 0
        mine = make_repository(source, "ledger", steps[0].old)
        with Ledger.open(mine.cwd) as ledger:
            recorded = record_all(mine, ledger, steps)
            print(f"{recorded.patches - len(recorded.failures)}/{len(steps)} trees identical (recorded)")
            versions = range(2, recorded.patches + 2)
            chooser = random.Random(options.seed)  # noqa: S311 - the same events each time
            chosen = sorted(chooser.sample(versions, min(options.events, len(versions))))
            wrong = [each for v in chosen for each in come_back(ledger, v, steps[v - 2].new)]
            print(f"{3 * len(chosen) - len(wrong)}/{3 * len(chosen)} states identical (replay, state, SQL)")
        peer = commit_all(make_repository(source, "peer", steps[0].old), steps[: recorded.patches])
    ratio = recorded.rate / peer.rate if peer.rate else 0
    print(f"\nrecorded                                  {recorded.rate:8.1f} patches/s  {ratio:.2f}x")
    print(f"git apply --index + git commit ({peer.patches})".ljust(42) + f"{peer.rate:8.1f} patches/s")
    for failure in [*recorded.failures, *wrong, *peer.failures]:
        print(f"    {failure.splitlines()[0][:200]}")
    return 1 if recorded.failures or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
