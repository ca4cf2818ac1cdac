"""Large patches through the engine, beside ``git apply --cached`` and ``git write-tree`` on the same.

    python bench/large_patches.py [--runs N] [--scale F] [--profile SCENE]

Three scenes: ``hunks``, 500 hunks in a file of 20 000 lines; ``files``, 5 000 files of a tree of 70 000;
``delta``, a binary delta of a file of 50 MB. Medians of N rounds in which the contenders alternate: the
engine reads the patch from a file, applies it and writes blobs and trees; so does Git, whose index is
put back before each round and is not in the time. Every tree of the engine is compared with Git's. At
most three times Git's time is asked for. Exits 1 where a tree differs or a scene takes longer.

``--scale`` makes the scenes smaller (0.1: a tenth), ``--profile`` shows where one scene's time goes.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import NamedTuple

SOURCE = Path(__file__).resolve().parent.parent / "src"
sys.path.insert(0, str(SOURCE))

import pygit2  # noqa: E402

from patches.apply import apply_patch  # noqa: E402
from patches.objects import Objects  # noqa: E402
from patches.parse import parse_patch  # noqa: E402
from patches.tree import Tree  # noqa: E402

LIMIT = 3.0
FEW_EDITS = 12
SETTINGS = ("-c", "core.bigFileThreshold=4g", "-c", "gc.auto=0", "-c", "core.deltaBaseCacheLimit=1g")


class Scene(NamedTuple):
    """A repository with one patch, and the trees before and after it."""

    repo: Path
    patch: Path
    before: str
    after: str


class Files(NamedTuple):
    """What a scene has before and after, by path."""

    before: dict[str, bytes]
    after: dict[str, bytes]


def hunks(scale: float) -> Files:
    """Return 500 hunks in one file of 20 000 lines."""
    lines = [b"%d: a line of some forty characters, say\n" % n for n in range(int(20_000 * scale))]
    changed = list(lines)
    for at in range(10, len(lines), 40):
        changed[at] = b"%d: another line, and one more\nafter it\n" % at
    return Files({"long.txt": b"".join(lines)}, {"long.txt": b"".join(changed)})


def files(scale: float) -> Files:
    """Return a change of 5 000 files in a tree of 70 000."""
    count = int(70_000 * scale)
    before = {
        f"d{n % 100}/e{n // 100 % 40}/f{n}.txt": b"".join(b"%d line %d\n" % (n, i) for i in range(30))
        for n in range(count)
    }
    names = sorted(before)[:: max(count // int(5_000 * scale), 1)]
    return Files(before, {name: before[name].replace(b" line 15\n", b" changed\n") for name in names})


def delta(scale: float) -> Files:
    """Return a file of 50 MB with a few places changed, which Git writes as a delta."""
    noise = random.Random(1)  # noqa: S311 - the same file each time
    content = bytearray(noise.randbytes(int(50_000_000 * scale)))
    before = bytes(content)
    for _ in range(FEW_EDITS):
        at = noise.randrange(len(content) - 100)
        content[at : at + 50] = noise.randbytes(70)
    return Files({"large.bin": before}, {"large.bin": bytes(content)})


SCENES = {"hunks": hunks, "files": files, "delta": delta}


class Git:
    """The ``git`` program in one bare repository, with an index beside it."""

    def __init__(self, repo: Path) -> None:
        self.repo = repo
        self.index = repo / "bench-index"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        self.env = kept | {
            "GIT_DIR": str(repo),
            "GIT_INDEX_FILE": str(self.index),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
        }

    def run(self, *words: str, feed: bytes = b"") -> bytes:
        command = ["git", *SETTINGS, *words]
        return subprocess.run(command, env=self.env, input=feed, capture_output=True, check=True).stdout

    def commit(self, contents: dict[str, bytes], over: str = "") -> str:
        """Return the tree of ``contents``: put over the last commit's, where ``over`` names that."""
        rows = [b"commit refs/heads/bench\ncommitter bench <bench@example.com> 0 +0000\ndata 0\n"]
        rows += [b"from refs/heads/bench^0\n"] if over else []
        for path, data in contents.items():
            rows.append(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data))
        self.run("fast-import", "--quiet", "--force", feed=b"".join(rows))
        return self.run("rev-parse", "refs/heads/bench^{tree}").decode().strip()


def make(scratch: Path, name: str, contents: Files) -> Scene:
    repo = scratch / name
    pygit2.init_repository(str(repo), bare=True)
    git = Git(repo)
    before = git.commit(contents.before)
    after = git.commit(contents.after, before)
    patch = scratch / f"{name}.diff"
    patch.write_bytes(git.run("diff-tree", "-p", "--binary", "--full-index", before, after))
    # What the contenders are to write must not be there yet.
    kept = scratch / f"{name}-kept"
    pygit2.init_repository(str(kept), bare=True)
    pack = git.run("pack-objects", "--stdout", "--revs", "-q", "--depth=0", feed=f"{before}\n".encode())
    Git(kept).run("index-pack", "--stdin", feed=pack)
    shutil.rmtree(repo)
    return Scene(kept, patch, before, after)


def forget_written(scene: Scene, packs: Iterable[Path]) -> None:
    """Remove the objects that a contender wrote."""
    keep = {path.name for path in packs}
    for path in (scene.repo / "objects").iterdir():
        if path.name == "pack":
            for pack in path.iterdir():
                if pack.name not in keep:
                    pack.unlink()
        elif path.name != "info":
            shutil.rmtree(path)


def run_engine(scene: Scene) -> str:
    objects = Objects(pygit2.Repository(str(scene.repo)))
    tree = Tree(objects, bytes.fromhex(scene.before))
    apply_patch(tree, parse_patch(scene.patch.read_bytes()))
    oid = tree.write().hex()
    objects.flush()
    return oid


def run_git(scene: Scene, git: Git) -> str:
    git.run("apply", "--cached", "--whitespace=nowarn", str(scene.patch))
    return git.run("write-tree").decode().strip()


def compare(scene: Scene, runs: int) -> tuple[list[float], list[float], bool]:
    """Return the seconds of the engine and of Git, and whether every tree was right."""
    git = Git(scene.repo)
    git.run("read-tree", scene.before)
    saved = git.index.read_bytes()
    packs = list((scene.repo / "objects" / "pack").iterdir())
    ours: list[float] = []
    theirs: list[float] = []
    right = True
    for _ in range(runs):
        for seconds, contender in ((ours, run_engine), (theirs, lambda scene: run_git(scene, git))):
            git.index.write_bytes(saved)
            forget_written(scene, packs)
            start = time.perf_counter()
            oid = contender(scene)
            seconds.append(time.perf_counter() - start)
            right = right and oid == scene.after
    return ours, theirs, right


def show_profile(scene: Scene) -> None:
    profile = cProfile.Profile()
    profile.runcall(run_engine, scene)
    pstats.Stats(profile).sort_stats("tottime").print_stats(12)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--profile", choices=sorted(SCENES))
    given = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as name:
        for scene_name, contents in SCENES.items():
            if given.profile not in (None, scene_name):
                continue
            scene = make(Path(name), scene_name, contents(given.scale))
            if given.profile:
                show_profile(scene)
                continue
            ours, theirs, right = compare(scene, given.runs)
            ratio = median(ours) / median(theirs)
            failed = failed or not right or ratio > LIMIT
            print(
                f"{scene_name:6} engine {median(ours):.3f} s  git {median(theirs):.3f} s  "
                f"{ratio:.2f}x (at most {LIMIT:g})  {'trees equal' if right else 'TREES DIFFER'}",
                flush=True,
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
