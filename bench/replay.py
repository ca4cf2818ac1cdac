"""Replay of recorded patches, each tree checked, beside one ``git apply --cached`` of the same patches.

    python bench/replay.py [--patches N] [--rounds K] [REPO]

The patches are those of a made-up project (a thousand files in some hundred directories; most commits change
one to three of them, some add, delete or rename one), or of REPO's first-parent history. They go through
``Ledger.apply_all`` into a scratch repository. Then, in turn and K times: ``git apply --cached`` of all of
them in one process, on an index and an object store of its own, which starts with the first tree alone; and
``ledger replay``, which reads the log and the bodies, parses and applies every patch, and compares every
tree's oid with the recorded one. Both are whole processes, start included. The peak memory of both is told,
ours at a tenth of the patches too: flat is what it should be. REPO is never written. Exits 1 where a tree
differs.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import pygit2
from history import Git, Step, fresh_store, read_history, spool_patches

from ledger import Ledger
from ledger.operations.planning import Offer
from ledger.provenance import Provenance
from patches.oids import EMPTY_TREE

FILES = 1000
DIRECTORIES = 120
BATCH = 500
POLL_S = 0.01
LEDGER = Path(sys.executable).with_name("ledger")


class Spent(NamedTuple):
    """What a process took."""

    seconds: float
    cpu_s: float
    peak_mib: float


# ── a project ────────────────────────────────────────────────────────────────────────────────────


class Project:
    """Files that somebody works on, the same in each run of the bench."""

    def __init__(self, seed: int = 7) -> None:
        self.chooser = random.Random(seed)  # noqa: S311 - the same commits each time
        self.files: dict[str, list[str]] = {}
        for _ in range(FILES):
            self._add()

    def _add(self) -> str:
        number = self.chooser.randrange(1 << 32)
        directory = self.chooser.randrange(DIRECTORIES)
        name = f"src/part{directory % 12}/module{directory}/file_{number:08x}.py"
        self.files[name] = [self._line() for _ in range(self.chooser.randrange(20, 400))]
        return name

    def _line(self) -> str:
        words = self.chooser.choices(("return", "value", "total", "for", "each", "in", "rows", "=", "+"), k=6)
        return f"    {' '.join(words)}  # {self.chooser.randrange(10_000)}\n"

    def _edit(self, name: str) -> None:
        lines = self.files[name]
        for _ in range(self.chooser.randrange(1, 4)):
            at = self.chooser.randrange(len(lines) + 1)
            lines[at : at + self.chooser.randrange(3)] = [
                self._line() for _ in range(self.chooser.randrange(1, 5))
            ]

    def commit(self) -> Iterator[str]:
        """Change something, and yield what `git fast-import` has to be told of it."""
        what = self.chooser.random()
        if what < 0.05:
            yield self._stored(self._add())
            return
        name = self.chooser.choice(list(self.files))
        if what < 0.08:
            del self.files[name]
            yield f"D {name}\n"
        elif what < 0.11:
            other = self._add()
            self.files[other] = self.files.pop(name)
            yield f"R {name} {other}\n"
        else:
            for each in {name, *self.chooser.sample(list(self.files), self.chooser.choice((0, 0, 1, 2)))}:
                self._edit(each)
                yield self._stored(each)

    def _stored(self, name: str) -> str:
        text = "".join(self.files[name])
        return f"M 100644 inline {name}\ndata {len(text)}\n{text}\n"

    def import_into(self, repository: Path, commits: int) -> None:
        """Make a repository of a first commit and so many more."""
        pygit2.init_repository(str(repository), bare=True)
        command = ["git", "-C", str(repository), "fast-import", "--quiet"]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
            assert process.stdin is not None
            for number in range(commits + 1):
                told = self.commit() if number else (self._stored(name) for name in self.files)
                head = f"commit refs/heads/main\ncommitter B <b@example.com> {number} +0000\ndata 0\n"
                process.stdin.write((head + "".join(told) + "\n").encode())
        (repository / "HEAD").write_text("ref: refs/heads/main\n")


# ── the contenders ───────────────────────────────────────────────────────────────────────────────


def record(source: Git, steps: Sequence[Step]) -> Path:
    """Record every patch in one run of a repository that starts with the first tree alone."""
    root = source.cwd / "recorded.git"
    repository = pygit2.init_repository(str(root), bare=True)
    if steps[0].old != EMPTY_TREE.hex():
        pack = str(root / "objects/pack/pack")
        source.run("pack-objects", "--quiet", "--revs", pack, feed=steps[0].old.encode() + b"\n")
        who = pygit2.Signature("Bench", "bench@example.com", 0, 0)
        repository.create_commit("refs/heads/main", who, who, "base", steps[0].old, [])
        repository.set_head("refs/heads/main")
    with Ledger.open(root) as ledger:
        ledger.run("replay", name="replay")
        for start in range(0, len(steps), BATCH):
            offers = [
                Offer(step.patch.read_bytes(), Provenance(source=step.commit))
                for step in steps[start : start + BATCH]
            ]
            ledger.apply_all(offers, allow_secrets=True)
    return root


def run_measured(command: Sequence[str], cwd: Path, env: dict[str, str]) -> Spent:
    """Run a process to its end and return what it took."""
    peak = 0
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    with subprocess.Popen(
        command, cwd=cwd, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while process.poll() is None:
            # What the system tells at the end has the memory of the process that forked in it.
            peak = max(peak, read_own_kib(process.pid))
            time.sleep(POLL_S)
        seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"error: {' '.join(command[:4])} ended with {process.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Spent(seconds, cpu_s, peak / (1 << 10))


def read_own_kib(pid: int) -> int:
    """Return the memory of a process without mapped files; 0 where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:")), 0)


def apply_by_git(source: Git, steps: Sequence[Step]) -> Spent:
    """Apply everything in one process."""
    with fresh_store(source, steps[0].old) as git:
        names = [step.patch.name for step in steps]
        spent = run_measured(git.command("apply", "--cached", *names), steps[0].patch.parent, git.env)
        if git.write_tree() != steps[-1].new:
            raise SystemExit("error: Git's tree differs")
        return spent


def replay(root: Path, source: Git, patches: int) -> Spent:
    """Replay the run's first patches; a tree that differs ends the process with an error."""
    env = {name: value for name, value in source.env.items() if name != "GIT_DIR"}
    # The run's first two events are its beginning and its policy.
    return run_measured([str(LEDGER), "replay", "--until", f"replay:{patches + 2}"], root, env)


def told(name: str, spent: Spent, other: Spent) -> str:
    """Return a line on one process, beside the other one of its round."""
    return f"{name} {spent.seconds:6.2f} s, cpu {spent.cpu_s:6.2f} s ({other.seconds / spent.seconds:.2f}x)"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("repo", type=Path, nargs="?")
    parser.add_argument("--patches", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.environ |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    with tempfile.TemporaryDirectory(prefix="replay-") as scratch:
        repo = options.repo
        if repo is None:
            repo = Path(scratch) / "project.git"
            Project().import_into(repo, options.patches)
        source = Git(repo.resolve(), Path(scratch))
        # The first commit of all is where both start.
        history = read_history(source, options.patches + 1, last=False)[1:]
        steps = spool_patches(source, history, Path(scratch) / "patches")
        size = sum(step.patch.stat().st_size for step in steps)
        started = time.perf_counter()
        root = record(source, steps)
        print(
            f"{len(steps)} patches, {size / 1e6:.1f} MB, recorded in {time.perf_counter() - started:.0f} s",
            flush=True,
        )
        peers: list[Spent] = []
        ours: list[Spent] = []
        for _ in range(options.rounds):
            peers.append(apply_by_git(source, steps))
            ours.append(replay(root, source, len(steps)))
            print(f"{told('git', peers[-1], ours[-1])}   {told('replay', ours[-1], peers[-1])}", flush=True)
        fewer = replay(root, source, len(steps) // 10)
    for name, spent in (("git apply --cached", peers), ("ledger replay", ours)):
        rate = len(steps) / median(each.seconds for each in spent)
        print(f"{name:20} {rate:8.0f} patches/s  peak {max(each.peak_mib for each in spent):6.0f} MiB")
    print(f"{'… a tenth of them':20} {'':18}  peak {fewer.peak_mib:6.0f} MiB")
    by_clock = median(git.seconds / own.seconds for git, own in zip(peers, ours, strict=True))
    by_cpu = median(git.cpu_s / own.cpu_s for git, own in zip(peers, ours, strict=True))
    print(f"{len(steps)}/{len(steps)} trees identical")
    print(f"medians of {len(ours)}: {by_clock:.2f}x of git by the clock, {by_cpu:.2f}x by processor time")
    return 0


if __name__ == "__main__":
    sys.exit(main())
