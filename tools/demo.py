"""The main job on real input, from a diff to an answer and back: ``make demo``.

Two scratch repositories are brought to an earlier state: released versions of a well-known package, and
this project's own history. The real diffs are applied with the real command, one edit is made by hand, one
patch is refused, and the run is asked, replayed and verified. Git is the judge of every tree.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import releases

ROOT = Path(__file__).resolve().parent.parent
LEDGER = Path(sys.executable).parent / "ledger"
OWN_COMMITS = 6
CHURN = (
    "select path, count(*) as patches, sum(added) as added, sum(removed) as removed "
    "from patch_files group by all order by patches desc, added desc limit 5"
)
# Whatever the user's configuration is, the diffs are Git's own and the bytes are the releases' own.
PLAIN = (
    "core.autocrlf=false",
    "core.attributesFile=",
    "commit.gpgSign=false",
    "tag.gpgSign=false",
    "diff.noprefix=false",
)
GIT = ("git", *(word for setting in PLAIN for word in ("-c", setting)))
NOBODY = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (("NAME", "Demo"), ("EMAIL", "demo@example.com"), ("DATE", "2024-01-01T00:00:00+0000"))
}


class DemoFailed(Exception):
    """Something did not come out as it must."""


class Scratch:
    """A scratch repository and the real commands run in it, shown as a person would type them."""

    def __init__(self, root: Path) -> None:
        """Keep the repository's folder; diffs are written beside it, not into it."""
        self.root = root

    def git(self, *arguments: str) -> str:
        """Run git silently and return its output.

        Raises:
            DemoFailed: git failed.
        """
        done = subprocess.run(
            [*GIT, *arguments], cwd=self.root, env=os.environ | NOBODY, capture_output=True, check=False
        )
        if done.returncode:
            raise DemoFailed(f"git {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout.decode("utf-8", "surrogateescape").strip()

    def ledger(self, *arguments: str, expect: int = 0, lines: int = 14) -> None:
        """Run ``ledger``, show the command and what it printed.

        Raises:
            DemoFailed: the exit code is another than ``expect``.
        """
        print(f"$ ledger {shlex.join(arguments)}", flush=True)
        done = subprocess.run(
            [LEDGER, *arguments],
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        printed = done.stdout.rstrip("\n").splitlines()
        shown = printed if done.returncode != expect else printed[:lines]
        print("\n".join(shown))
        if len(shown) < len(printed):
            print(f"  … {len(printed) - len(shown)} more lines")
        if done.returncode:
            print(f"(exit code {done.returncode})")
        print()
        if done.returncode != expect:
            raise DemoFailed(f"ledger {arguments[0]} ended with {done.returncode}, not {expect}")

    def write_diff(self, name: str, old: str, new: str) -> Path:
        """Write the real diff between two commits beside the repository and return its path."""
        path = self.root.parent / "diffs" / name
        path.parent.mkdir(exist_ok=True)
        diff = [
            *GIT,
            "diff",
            "--no-ext-diff",
            "--no-textconv",
            "--no-color",
            "--binary",
            "--full-index",
            "-M",
            "-C",
        ]
        done = subprocess.run([*diff, old, new], cwd=self.root, stdout=subprocess.PIPE, check=True)
        path.write_bytes(done.stdout)
        return path

    def check_tree(self, commit: str) -> None:
        """Let Git say which tree the index is now, and compare it with a commit's.

        Raises:
            DemoFailed: they differ.
        """
        found, wanted = self.git("write-tree"), self.git("rev-parse", f"{commit}^{{tree}}")
        if found != wanted:
            raise DemoFailed(f"the tree is {found}, {commit} has {wanted}")
        dirty = self.git("diff-files", "--name-only")
        if dirty:
            raise DemoFailed(f"the work tree differs from the index in {dirty.splitlines()[0]}")
        print(f"git write-tree says {found}: the tree of {commit}, exactly\n")


def heading(text: str) -> None:
    """Print a heading."""
    print(f"\n── {text} {'─' * max(4, 96 - len(text))}\n", flush=True)


# ── input ────────────────────────────────────────────────────────────────────────────────────────


def commit_releases(archives: list[Path], root: Path) -> Scratch:
    """Make a repository with one tagged commit for each released version."""
    root.mkdir()
    scratch = Scratch(root)
    scratch.git("init", "--quiet", "--initial-branch=main")
    scratch.git("config", "core.autocrlf", "false")
    for archive, version in zip(archives, releases.VERSIONS, strict=True):
        for path in root.iterdir():
            if path.name != ".git":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        releases.write_files(archive, root)
        scratch.git("add", "--all", "--force")
        scratch.git("commit", "--quiet", "--no-verify", "-m", f"{releases.NAME} {version}")
        scratch.git("tag", version)
    return scratch


def fetch_releases(place: Path) -> Scratch | None:
    """Return a repository of releases, or None, said aloud, where they could not be fetched."""
    cache = Path(sys.prefix, "demo-cache")
    known = all(releases.archive(cache, version).exists() for version in releases.VERSIONS)
    print(f"{releases.NAME} {', '.join(releases.VERSIONS)}: source distributions,", end=" ")
    print("kept from the last time" if known else f"fetching into {os.path.relpath(cache)}", flush=True)
    try:
        archives = releases.fetch(cache)
    except releases.FetchFailed as error:
        print(f"warning: the releases could not be fetched: {error}")
        print("warning: this half of the demo is left out; it needs a package index once")
        return None
    return commit_releases(archives, place / releases.NAME)


def own_history(place: Path) -> tuple[Scratch, list[str]] | None:
    """Return a clone of this project and its last commits, oldest first, or None where it has no history."""
    command = [
        "git",
        "rev-list",
        "--first-parent",
        "--reverse",
        "--abbrev-commit",
        f"--max-count={OWN_COMMITS + 1}",
        "HEAD",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    commits = done.stdout.split()
    if len(commits) < 2:
        print("this checkout has fewer than two commits: nothing to go back to")
        return None
    root = place / "project"
    clone = ["git", "clone", "--quiet", "--no-hardlinks", "-c", "core.autocrlf=false", str(ROOT), str(root)]
    subprocess.run(clone, check=True, env=os.environ | {"GIT_TERMINAL_PROMPT": "0"})
    return Scratch(root), commits


# ── the main job ─────────────────────────────────────────────────────────────────────────────────


def go_back(scratch: Scratch, commit: str, title: str) -> None:
    """Bring the scratch repository to an earlier commit, on a branch of its own, and start a run there."""
    print(f"$ cd {scratch.root}\n$ git switch --create demo {commit}\n")
    scratch.git("switch", "--quiet", "--create", "demo", commit)
    scratch.ledger("run", "start", title)


def apply_history(scratch: Scratch, commits: list[str]) -> None:
    """Apply the diff from each commit to the next and have Git check every tree."""
    for old, new in pairwise(commits):
        path = scratch.write_diff(f"{old}-to-{new}.diff", old, new)
        if path.stat().st_size:
            scratch.ledger("apply", f"../diffs/{path.name}")
            scratch.check_tree(new)


def edit_by_hand(scratch: Scratch, name: str) -> None:
    """Change a file past the ledger, as an editor does, and let the ledger take it in."""
    with (scratch.root / name).open("a", encoding="utf-8") as file:
        file.write("Edited by hand.\n")
    print(f"$ echo 'Edited by hand.' >> {name}    # past the ledger\n")
    scratch.ledger("status")
    scratch.ledger("record", "-m", "by hand")


def refuse_bad_patch(scratch: Scratch, name: str) -> None:
    """Hand over a patch whose lines are not what the file has, and hold that nothing changed."""
    first, second = (scratch.root / name).read_text("utf-8").splitlines()[:2]
    bad = f"--- a/{name}\n+++ b/{name}\n@@ -1,2 +1,2 @@\n-{first}, but not quite\n+{first}!\n {second}\n"
    (scratch.root.parent / "diffs/bad.diff").write_text(bad, "utf-8")
    before = scratch.git("write-tree"), scratch.git("status", "--porcelain")
    scratch.ledger("apply", "../diffs/bad.diff", expect=3)
    if before != (scratch.git("write-tree"), scratch.git("status", "--porcelain")):
        raise DemoFailed("a refused patch changed something")
    print("index and work tree are as they were\n")


def ask_and_replay(scratch: Scratch, into: Path, event: str) -> None:
    """Ask the run in SQL, go back in time, and have everything proved."""
    scratch.ledger("log")
    scratch.ledger("sql", CHURN)
    scratch.ledger("replay", "--until", event, "--into", str(into))
    scratch.ledger("verify")


def show_releases(place: Path) -> Scratch | None:
    """The main job on released versions."""
    heading(f"{releases.NAME}: from release to release")
    scratch = fetch_releases(place)
    if scratch is None:
        return None
    go_back(scratch, releases.VERSIONS[0], f"{releases.NAME} releases")
    apply_history(scratch, list(releases.VERSIONS))
    heading("an edit by hand becomes an event; a bad patch changes nothing")
    edit_by_hand(scratch, "README.md")
    refuse_bad_patch(scratch, "pyproject.toml")
    heading("what happened, in SQL; an earlier state; the proof")
    into = place / "replayed"
    # The run's start is its version 1, the releases' diffs follow: this is the last but one.
    ask_and_replay(scratch, into, str(len(releases.VERSIONS) - 1))
    compare(scratch, into, releases.VERSIONS[-2])
    return scratch


def compare(scratch: Scratch, folder: Path, commit: str) -> None:
    """Let Git hash a replayed folder and compare it with the commit it must equal.

    Raises:
        DemoFailed: they differ.
    """
    index = str(scratch.root.parent / "compared.index")
    environment = os.environ | NOBODY | {"GIT_INDEX_FILE": index, "GIT_DIR": str(scratch.root / ".git")}
    add = [*GIT, f"--work-tree={folder}", "add", "--all", "--force"]
    subprocess.run(add, cwd=folder, env=environment, check=True, capture_output=True)
    done = subprocess.run(["git", "write-tree"], env=environment, check=True, capture_output=True, text=True)
    wanted = scratch.git("rev-parse", f"{commit}^{{tree}}")
    if done.stdout.strip() != wanted:
        raise DemoFailed(f"the replayed folder is {done.stdout.strip()}, {commit} has {wanted}")
    print(f"git hashes {folder.name}/ to {wanted}: {commit} again\n")


def show_own_history(place: Path) -> Scratch | None:
    """The main job on this project's own commits."""
    heading("this project's own history")
    found = own_history(place)
    if found is None:
        return None
    scratch, commits = found
    go_back(scratch, commits[0], "own history")
    apply_history(scratch, commits)
    edit_by_hand(scratch, "CHANGELOG.md")
    ask_and_replay(scratch, place / "replayed-project", "@-1")
    return scratch


def main() -> int:
    """Run the demo.

    Returns:
        0; 1 where something did not come out as it must, or there was no input at all.
    """
    started = time.monotonic()
    place = Path(tempfile.mkdtemp(prefix="ledger-demo-"))
    try:
        shown = [scratch for show in (show_releases, show_own_history) if (scratch := show(place))]
    except DemoFailed as error:
        print(f"error: {error}\nThe scratch repositories are in {place}", file=sys.stderr)
        return 1
    if not shown:
        print("error: neither releases nor a history of this project: nothing was shown", file=sys.stderr)
        return 1
    heading(f"done in {time.monotonic() - started:.0f} s")
    print(f"The scratch repository is {shown[0].root}. Try there:\n")
    print(f"$ cd {shlex.quote(str(shown[0].root))} && export PATH={shlex.quote(str(LEDGER.parent))}:$PATH")
    print('$ ledger sql "select kind, count(*) from events group by all"')
    print("$ ledger show @")
    print("$ ledger state --at @-2")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
