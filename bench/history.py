"""A repository's whole first-parent history through the patch engine, beside Git on the same patches.

    python bench/history.py REPO [--commits N] [--last] [--sample K]

Every commit becomes the patch ``git diff --binary --full-index -M -C`` from its first parent
(the first commit from the empty tree). The engine applies them to one continuing tree and every
resulting tree oid is compared with Git's, three times: with objects in memory, with objects
written many at once (one pack), and with those of each patch written before the next. The
peers work on the same patches in the same run: ``git apply --cached`` and ``git write-tree`` per
patch, and one ``git apply --cached`` process for all of them.

REPO is never written: each contender has an index and an object store of its own in a temporary
directory, which starts with the first tree alone, so that whoever writes objects really writes them.
Making the patches is not in any of the times. Exits 1 where a tree of the engine differs from Git's.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).resolve().parent.parent / "src"
sys.path.insert(0, str(SOURCE))

import pygit2  # noqa: E402

from patches.apply import apply_patch  # noqa: E402
from patches.errors import PatchError  # noqa: E402
from patches.objects import Objects  # noqa: E402
from patches.oids import EMPTY_TREE  # noqa: E402
from patches.parse import parse_patch  # noqa: E402
from patches.tree import Tree  # noqa: E402

SAMPLE_ABOVE = 2000
ARGUMENT_BYTES = 900_000
SHOWN_FAILURES = 10
BLOCKS = 5
FLUSH_OBJECTS = 2000
AFTER_REFUSAL = 256
SETTINGS = (
    "-c", "core.quotePath=true", "-c", "core.attributesFile=/dev/null", "-c", "diff.suppressBlankEmpty=false",
    "-c", "apply.whitespace=nowarn", "-c", "core.bigFileThreshold=4g", "-c", "diff.renameLimit=1000",
)  # fmt: skip


class Step(NamedTuple):
    """One commit that changes the tree."""

    commit: str
    old: str
    new: str
    patch: Path


class Result(NamedTuple):
    """What one contender did: how many patches in how many seconds, and what went wrong."""

    patches: int
    seconds: float
    failures: list[str]

    @property
    def rate(self) -> float:
        """Patches per second."""
        return self.patches / self.seconds if self.seconds else 0.0


class Git:
    """The ``git`` program on one object store, with an index of its own."""

    def __init__(self, repo: Path, scratch: Path) -> None:
        """Read REPO; nothing that is run through this is to write an object."""
        self.cwd = scratch
        self.objects = scratch / "objects"
        keep = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        self.env = keep | {
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_DIR": str(git_dir(repo, keep)),
            "LC_ALL": "C",
        }

    def isolated(self, name: str) -> Git:
        """Return a Git with an empty object store: what it reads, it was given or has written."""
        other = copy(self)
        other.cwd = self.cwd / name
        other.cwd.mkdir()
        other.objects = other.cwd / "objects"
        (other.objects / "pack").mkdir(parents=True)
        (other.objects / "info").mkdir()
        other.env = self.env | {
            "GIT_INDEX_FILE": str(other.cwd / "index"),
            "GIT_OBJECT_DIRECTORY": str(other.objects),
        }
        return other

    def command(self, *words: str) -> list[str]:
        return ["git", "--no-replace-objects", *SETTINGS, *words]

    def run(self, *words: str, feed: bytes = b"") -> bytes:
        done = subprocess.run(
            self.command(*words), cwd=self.cwd, env=self.env, capture_output=True, input=feed, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr.decode("utf-8", "replace").strip())
        return done.stdout

    def start_at(self, tree: str, source: Git) -> None:
        """Take a tree with all that it names from ``source``, and make the index of it."""
        Path(self.env["GIT_INDEX_FILE"]).unlink(missing_ok=True)
        if tree != EMPTY_TREE.hex():
            source.run(
                "pack-objects",
                "--quiet",
                "--revs",
                str(self.objects / "pack" / "pack"),
                feed=tree.encode() + b"\n",
            )
            self.run("read-tree", tree)

    def write_tree(self) -> str:
        return self.run("write-tree").decode().strip()


def git_dir(repo: Path, env: dict[str, str]) -> Path:
    done = subprocess.run(
        ["git", "rev-parse", "--absolute-git-dir"], cwd=repo, env=env, capture_output=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"error: {repo} is no Git repository")
    return Path(os.fsdecode(done.stdout.rstrip(b"\n")))


def read_history(git: Git, commits: int | None, *, last: bool) -> list[tuple[str, str, str]]:
    """Return (commit, tree before, tree after) along the first parents, oldest first."""
    try:
        git.run("rev-parse", "--quiet", "--verify", "HEAD")
    except RuntimeError:
        return []  # A repository without a commit.
    listed = git.run(
        "rev-list", "--first-parent", "--reverse", "--format=%H %T", "--no-commit-header", "HEAD"
    )
    rows = [line.split() for line in listed.decode().splitlines()]
    trees = [EMPTY_TREE.hex(), *(tree for _, tree in rows)]
    steps = [(commit, trees[at], tree) for at, (commit, tree) in enumerate(rows)]
    if commits is not None:
        steps = steps[-commits:] if last else steps[:commits]
    return steps


def spool_patches(git: Git, history: Sequence[tuple[str, str, str]], folder: Path) -> list[Step]:
    """Write every commit's patch to a file, streaming from one git process."""
    folder.mkdir()
    changing = [row for row in history if row[1] != row[2]]
    pairs = folder / "pairs"
    pairs.write_text("".join(f"{old} {new}\n" for _, old, new in changing))
    command = git.command(
        "diff-tree", "--stdin", "-r", "-p", "--binary", "--full-index", "-M", "-C", "--no-ext-diff",
        "--no-textconv",
        "--no-color", "--src-prefix=a/", "--dst-prefix=b/", "--submodule=short", "--ignore-submodules=none",
    )  # fmt: skip
    steps: list[Step] = []
    with (
        pairs.open("rb") as feed,
        subprocess.Popen(command, stdin=feed, stdout=subprocess.PIPE, env=git.env, cwd=git.cwd) as process,
        ExitStack() as files,
    ):
        # Git repeats each pair before its patch, and no line of a patch looks like one: it would
        # start with a marker, or be shorter.
        assert process.stdout is not None
        rest = iter(changing)
        following = next(rest, None)
        header = b"%s %s\n" % (following[1].encode(), following[2].encode()) if following else b""
        out = None
        for line in process.stdout:
            if following is not None and line == header:
                steps.append(Step(*following, folder / f"{len(steps):07d}"))
                files.close()
                out = files.enter_context(steps[-1].patch.open("wb"))
                following = next(rest, None)
                header = b"%s %s\n" % (following[1].encode(), following[2].encode()) if following else b""
            elif out is not None:
                out.write(line)
    if process.returncode or len(steps) != len(changing):
        raise SystemExit("error: git diff-tree failed")
    return steps


def apply_all(source: Git, steps: Sequence[Step], flush_at: int | None) -> Result:
    """Run the engine over all steps, on one continuing tree.

    Objects are written to an empty repository, and read back from it, as soon as ``flush_at`` of
    them are new, and at the end. With None they are forgotten after each patch, and what is not
    in the engine's cache any more is read from REPO: memory stays bounded on any history.
    """
    store = None
    repository = pygit2.Repository(source.env["GIT_DIR"])
    if flush_at is not None:
        store = source.isolated(f"engine-{flush_at}")
        repository = pygit2.init_repository(str(store.cwd), bare=True)
        store.start_at(steps[0].old, source)
    objects = Objects(repository)
    tree = Tree(objects, bytes.fromhex(steps[0].old))
    failures: list[str] = []
    seconds = 0.0
    for step in steps:
        data = step.patch.read_bytes()
        started = time.perf_counter()
        try:
            apply_patch(tree, parse_patch(data))
            got = tree.write().hex()
        except PatchError as error:
            got = str(error)
        if flush_at is None:
            objects.forget()
        elif objects.fresh_count >= flush_at or step is steps[-1]:
            objects.flush()
        seconds += time.perf_counter() - started
        if got != step.new:
            failures.append(f"{step.commit}: {got}")
            if store is not None:
                store.start_at(step.new, source)
            tree = Tree(objects, bytes.fromhex(step.new))
    if store is not None and not failures:
        store.run("rev-list", "--objects", "--quiet", steps[-1].new)
    return Result(len(steps), seconds, failures)


def git_each(source: Git, steps: Sequence[Step], sample: int | None) -> Result:
    """``git apply --cached`` and ``git write-tree`` for every patch, or for evenly spaced runs of them."""
    git = source.isolated("each")
    if sample is None or sample >= len(steps):
        chosen = list(steps)
    else:
        starts = [block * len(steps) // BLOCKS for block in range(BLOCKS)]
        chosen = [step for start in starts for step in steps[start : start + sample // BLOCKS]]
    failures: list[str] = []
    seconds = 0.0
    at = None
    for step in chosen:
        if at != step.old:
            git.start_at(step.old, source)
        started = time.perf_counter()
        try:
            git.run("apply", "--cached", str(step.patch))
            at = git.write_tree()
        except RuntimeError as error:
            at = str(error)
        seconds += time.perf_counter() - started
        if at != step.new:
            failures.append(f"{step.commit}: {at}")
    return Result(len(chosen), seconds, failures)


def git_series(source: Git, steps: Sequence[Step]) -> Result:
    """One ``git apply --cached`` process for all patches, and ``git write-tree`` to verify it.

    Where git refuses a patch it keeps nothing of the whole run. The patch is then left out and its
    tree given; what was written by the failed run is thrown away, and its time does not count.
    """
    failures: list[str] = []
    seconds = 0.0
    applied = at = 0
    most = ARGUMENT_BYTES // (len(steps[0].patch.name) + 9)
    while at < len(steps):
        stop = min(len(steps), at + most)
        with fresh_store(source, steps[at].old) as git:
            spent, error = timed_apply(git, steps[at:stop])
            if error is None:
                seconds += spent
                applied += stop - at
                if git.write_tree() != steps[stop - 1].new:
                    failures.append(f"{steps[stop - 1].commit}: the tree differs")
        if error is None:
            at = stop
        elif stop - at == 1:
            failures.append(f"{steps[at].commit}: {error}")
            at, most = stop, AFTER_REFUSAL
        else:
            most = min(AFTER_REFUSAL, (stop - at) // 2)
    return Result(applied, seconds, failures)


@contextmanager
def fresh_store(source: Git, tree: str) -> Generator[Git, None, None]:
    """Lend an empty object store with one tree in it."""
    git = source.isolated("series")
    try:
        git.start_at(tree, source)
        yield git
    finally:
        shutil.rmtree(git.cwd)


def timed_apply(git: Git, steps: Sequence[Step]) -> tuple[float, str | None]:
    names = [step.patch.name for step in steps]
    started = time.perf_counter()
    done = subprocess.run(
        git.command("apply", "--cached", *names),
        cwd=steps[0].patch.parent,
        env=git.env,
        capture_output=True,
        check=False,
    )
    seconds = time.perf_counter() - started
    return seconds, done.stderr.decode("utf-8", "replace").strip() if done.returncode else None


def report(engine: dict[str, Result], peers: dict[str, Result]) -> None:
    for name, result in engine.items():
        good = result.patches - len(result.failures)
        print(f"{good}/{result.patches} trees identical ({name})")
    print(f"\n{'patches/s':>50} " + " ".join(f"{'x ' + str(n):>7}" for n in range(1, len(peers) + 1)))
    for name, result in engine.items():
        ratios = " ".join(f"{result.rate / peer.rate if peer.rate else 0:6.2f}x" for peer in peers.values())
        print(f"engine, {name:32}{result.rate:10.1f} {ratios}")
    for number, (name, result) in enumerate(peers.items(), 1):
        print(f"{number} {name:38}{result.rate:10.1f}")
    for name, result in (engine | peers).items():
        if result.failures:
            print(f"{name}: {len(result.failures)} refused or different")
        for failure in result.failures[:SHOWN_FAILURES]:
            print(f"    {failure.splitlines()[0][:200]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("repo", type=Path)
    parser.add_argument("--commits", type=int, help="only the first N commits")
    parser.add_argument("--last", action="store_true", help="with --commits: the last N")
    parser.add_argument(
        "--sample",
        type=int,
        help=f"run git per patch on K of them (default: all, {SAMPLE_ABOVE} of more than that)",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="history-") as scratch:
        git = Git(options.repo.resolve(), Path(scratch))
        history = read_history(git, options.commits, last=options.last)
        steps = spool_patches(git, history, Path(scratch) / "patches")
        size = sum(step.patch.stat().st_size for step in steps)
        print(f"{len(history)} commits, {len(steps)} change the tree, {size / 1e6:.1f} MB of patches")
        if not steps:
            print("0/0 trees identical")
            return 0
        memory = apply_all(git, steps, None)
        written = apply_all(git, steps, FLUSH_OBJECTS)
        written_each = apply_all(git, steps, 1)
        series = git_series(git, steps)
        sample = options.sample or (SAMPLE_ABOVE if len(steps) > SAMPLE_ABOVE else None)
        each = git_each(git, steps, sample)
    engine = {
        "in memory": memory,
        "objects written, in packs": written,
        "objects written after each patch": written_each,
    }
    peers = {
        f"git apply + write-tree per patch ({each.patches})": each,
        "one git apply for all patches": series,
    }
    report(engine, peers)
    return 1 if any(result.failures for result in engine.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main())
