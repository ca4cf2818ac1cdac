"""The main job on real input, from a diff to an answer and back: ``make demo``.

Two scratch repositories are brought to an earlier state: released versions of a well-known package, and
this project's own history. The real diffs are applied with the real command, one edit is made by hand, one
patch is refused, and the run is asked, replayed and verified. Git is the judge of every tree.

The releases pass strict gates on the way, and a patch that lacks a file is rejected and rolled back. The
gates are commands that Python itself has, so that nothing but the core must be installed.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import releases

ROOT = Path(__file__).resolve().parent.parent
LEDGER = Path(sys.executable).parent / "ledger"
OWN_COMMITS = 6
CHURN = (
    "select path, count(*) as patches, sum(added) as added, sum(removed) as removed "
    "from patch_files group by all order by patches desc, added desc limit 5"
)
# What Python alone can say of a package: that it compiles, and that a command made with it works.
SELF_TEST = """\
import sys
sys.path[:0] = sys.argv[1:]
import click, click.testing

@click.command()
@click.option("--times", default=1)
@click.argument("name")
def hello(times, name):
    click.echo(f"Hello, {name}!" * times)

run = click.testing.CliRunner().invoke
done = run(hello, ["--times", "2", "you"])
assert (done.exit_code, done.output) == (0, "Hello, you!Hello, you!\\n"), done
assert "--times INTEGER" in run(hello, ["--help"]).output
assert run(hello, ["--times", "two", "you"]).exit_code == 2
"""
GATES = """\
profile = "release"

[gates.compiles]
command = "python -m compileall -q src"

[gates.works]
command = "{works}"

[profiles.release.gates]
lint = {{ mode = "off", reason = "ruff is not installed" }}
tests = {{ mode = "off", reason = "pytest is not installed" }}
cov = {{ mode = "off", reason = "pytest is not installed" }}
"""
VERDICTS = (
    "select event, gate, verdict, state, accepted, round(duration_s, 1) as took_s from gates order by v"
)
ACCEPTED = (
    "select split_part(path, '/', 1) as top, count(*) as files from accepted_at('{run}', {v}) "
    "group by all order by files desc limit 4"
)
NOT_ACCEPTED = (
    "select path, oid from state_at('{run}', {v}) except select path, oid from accepted_at('{run}', {v})"
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

    def ledger(self, *arguments: str, expect: int = 0, lines: int = 14, last: int = 0) -> str:
        """Run ``ledger``, show the command and what it printed: its first and its last lines.

        Returns:
            All that it printed.

        Raises:
            DemoFailed: the exit code is another than ``expect``.
        """
        print(f"$ ledger {' '.join(map(quote, arguments))}", flush=True)
        done = subprocess.run(
            [LEDGER, *arguments],
            cwd=self.root,
            env=os.environ | {"PATH": f"{LEDGER.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        printed = done.stdout.rstrip("\n").splitlines()
        hidden = len(printed) - lines - last
        if hidden > 1 and done.returncode == expect:
            printed[lines : len(printed) - last] = [f"  … {hidden} more lines"]
        print("\n".join(printed))
        if done.returncode:
            print(f"(exit code {done.returncode})")
        print()
        if done.returncode != expect:
            raise DemoFailed(f"ledger {arguments[0]} ended with {done.returncode}, not {expect}")
        return done.stdout

    def status(self) -> dict[str, Any]:
        """Return where the run stands, as a program asks."""
        command = [LEDGER, "status", "--json"]
        done = subprocess.run(command, cwd=self.root, check=True, capture_output=True)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def write_diff(self, name: str, old: str, new: str, *options: str) -> Path:
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
        done = subprocess.run([*diff, *options, old, new], cwd=self.root, stdout=subprocess.PIPE, check=True)
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


def quote(word: str) -> str:
    """Quote a word for the shell, with the quotes that a person would take."""
    return f'"{word}"' if "'" in word and not set('"$`\\\\') & set(word) else shlex.quote(word)


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


def apply_history(scratch: Scratch, commits: Sequence[str]) -> None:
    """Apply the diff from each commit to the next and have Git check every tree."""
    for old, new in pairwise(commits):
        path = scratch.write_diff(f"{old}-to-{new}.diff", old, new)
        if path.stat().st_size:
            scratch.ledger("apply", f"../diffs/{path.name}")
            scratch.check_tree(new)


def gate_history(scratch: Scratch, commits: Sequence[str]) -> None:
    """Apply as `apply_history` does, and let the gates accept every step."""
    for old, new in pairwise(commits):
        path = scratch.write_diff(f"{old}-to-{new}.diff", old, new)
        scratch.ledger("apply", "--gate", f"../diffs/{path.name}", lines=3, last=9)
        scratch.check_tree(new)


def set_gates(scratch: Scratch, works: str) -> None:
    """Write the gates of the releases; they are no part of any release, so Git is told to pass them over."""
    (scratch.root.parent / "self_test.py").write_text(SELF_TEST, "utf-8")
    (scratch.root / "ledger.toml").write_text(GATES.format(works=works), "utf-8")
    exclude = scratch.root / ".git/info/exclude"
    lines = exclude.read_text("utf-8").splitlines() if exclude.exists() else []
    if "ledger.toml" not in lines:
        exclude.write_text("\n".join([*lines, "ledger.toml", ""]), "utf-8")


def measure_the_right_code(scratch: Scratch) -> None:
    """Show a gate that would be green for the wrong reason, and have it say why it is not.

    Raises:
        DemoFailed: it was green.
    """
    print("The gates in ledger.toml are strict: `python -m compileall -q src`, and `python ../self_test.py`,")
    print("a script that makes a command with the package and runs it.\n")
    said = scratch.ledger("gate", expect=4)
    if "not from the measured tree" not in said:
        raise DemoFailed("the installed package was taken for the measured one")
    print(f"It passed, on the {releases.NAME} that is installed. So the script is told where to look:\n")
    print('command = "python ../self_test.py src"\n')
    set_gates(scratch, "python ../self_test.py src")
    scratch.ledger("policy", "accept", "-m", "look into the tree")
    scratch.ledger("gate")


def reject_bad_release(scratch: Scratch, old: str, new: str) -> None:
    """Hand over a release's diff without its new files, as ``git diff`` gives it before ``git add``.

    Raises:
        DemoFailed: the message does not lead to the output of the gate.
    """
    print("Every change to the next release, but none of its new files: `git diff` before `git add`.\n")
    path = scratch.write_diff(f"{new}-without-new-files.diff", old, new, "--diff-filter=M")
    said = scratch.ledger("apply", "--gate", f"../diffs/{path.name}", expect=1, lines=3, last=13)
    scratch.check_tree(old)
    found = re.search(r"`ledger show (\S+)` has the whole output", said)
    if found is None:
        raise DemoFailed("nothing says where the output of the failed gate is")
    scratch.ledger("show", found[1], lines=0, last=4)


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
    scratch.ledger("log", lines=22)
    scratch.ledger("sql", CHURN)
    scratch.ledger("replay", "--until", event, "--into", str(into))
    scratch.ledger("verify")


def show_releases(place: Path) -> Scratch | None:
    """The main job on released versions."""
    heading(f"{releases.NAME}: from release to release")
    scratch = fetch_releases(place)
    if scratch is None:
        return None
    *earlier, last, newest = releases.VERSIONS
    set_gates(scratch, "python ../self_test.py")
    go_back(scratch, earlier[0], f"{releases.NAME} releases")
    measure_the_right_code(scratch)
    gate_history(scratch, [*earlier, last])
    event = scratch.status()["event"]
    heading("a strict gate rejects a patch and takes it back; the whole one is accepted")
    reject_bad_release(scratch, last, newest)
    gate_history(scratch, [last, newest])
    heading("an edit by hand becomes an event; a bad patch changes nothing")
    edit_by_hand(scratch, "README.md")
    refuse_bad_patch(scratch, "pyproject.toml")
    heading("in SQL: the verdicts, what was taken back, the accepted state, and what it lacks")
    ask_about_gates(scratch)
    heading("the log; an earlier state; the proof")
    into = place / "replayed"
    ask_and_replay(scratch, into, event)
    compare(scratch, into, last)
    return scratch


def ask_about_gates(scratch: Scratch) -> None:
    """Ask for the verdicts and the accepted state, and hold that the rejected patch is no part of it."""
    scratch.ledger("sql", VERDICTS)
    scratch.ledger("sql", os.path.relpath(ROOT / "queries/rolled_back.sql", scratch.root))
    status = scratch.status()
    run, _, v = status["event"].partition(":")
    scratch.ledger("sql", ACCEPTED.format(run=run, v=v))
    scratch.ledger("sql", NOT_ACCEPTED.format(run=run, v=v))
    wanted = scratch.git("rev-parse", f"{releases.VERSIONS[-1]}^{{tree}}")
    if status["accepted"] != wanted:
        raise DemoFailed(f"the accepted tree is {status['accepted']}, {releases.VERSIONS[-1]} has {wanted}")
    print(f"accepted: {status['accepted_event']}, the tree of {releases.VERSIONS[-1]}, exactly\n")


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
