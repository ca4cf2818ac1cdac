"""The golden patches through `ledger apply` and through its peers, each in a work tree of its own.

    python bench/golden.py [--only ORIGIN] [--verbose]

For every patch of ``tests/golden/patches`` (less those on submodules, which most peers have no notion of)
each contender gets a fresh repository with the tree that the patch is for, checked out, and the flags of
the case as far as it knows them. What it leaves is compared with what is right:

- ``right``: the expected tree, or an untouched one and an error where that is the right answer;
- ``refused``: an untouched tree and an error where there is a right tree;
- ``wrong``: no error, and another tree than the right one;
- ``half``: an error, and a changed tree.

Contenders that are not installed (GNU patch, dulwich, patch-ng) are named and left out. Exits 1 where
`ledger apply` is ``wrong`` or ``half`` anywhere.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "golden"))

from corpus import Case, Files, read_cases, read_tree  # noqa: E402

FILE, EXECUTABLE, SYMLINK, GITLINK = 0o100644, 0o100755, 0o120000, 0o160000
OUTCOMES = ("right", "refused", "wrong", "half")
TIMEOUT_S = 60

LIBGIT2 = """
import sys, pygit2
repo = pygit2.Repository(".")
repo.apply(pygit2.Diff.parse_diff(open(sys.argv[1], "rb").read()), pygit2.enums.ApplyLocation.BOTH)
"""
DULWICH = """
import sys
from dulwich.porcelain import apply_patch
apply_patch(".", sys.argv[1], strip=int(sys.argv[2]), reverse=sys.argv[3] == "-R")
"""
PATCH_NG = """
import sys, patch_ng
patches = patch_ng.fromfile(sys.argv[1])
sys.exit(not (patches and (patches.revert if sys.argv[3] == "-R" else patches.apply)(strip=int(sys.argv[2]))))
"""

Contender = Callable[[Case, Path], Sequence[str]]


def strip(case: Case) -> str:
    """Return the case's number for -p."""
    return next((option[2:] for option in case.options if option.startswith("-p")), "1")


def reverse(case: Case) -> str:
    return "-R" if "-R" in case.options else ""


def gnu_patch(case: Case, patch: Path) -> Sequence[str]:
    folder = next((o.partition("=")[2] for o in case.options if o.startswith("--directory=")), ".")
    words = ["patch", "--batch", "-s", f"-p{strip(case)}", "-d", folder, "-i", str(patch)]
    return [*words, "-R"] if reverse(case) else words


def python(code: str) -> Contender:
    return lambda case, patch: [sys.executable, "-c", code, str(patch), strip(case), reverse(case)]


CONTENDERS: dict[str, Contender] = {
    "ledger apply": lambda case, patch: [str(LEDGER), "apply", *case.options, str(patch)],
    "git apply --index": lambda case, patch: ["git", "apply", "--index", *case.options, str(patch)],
    "git am": lambda case, patch: ["git", "am", "-q", *am_flags(case), str(patch)],
    "GNU patch": gnu_patch,
    "libgit2": python(LIBGIT2),
    "dulwich": python(DULWICH),
    "patch-ng": python(PATCH_NG),
}
LEDGER = Path(sys.executable).with_name("ledger")


def am_flags(case: Case) -> list[str]:
    return [option for option in case.options if option.startswith(("-p", "--directory"))]


def is_there(name: str) -> bool:
    modules = {"dulwich": "dulwich", "patch-ng": "patch_ng"}
    if name in modules:
        command = [sys.executable, "-c", f"import {modules[name]}"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    return name != "GNU patch" or shutil.which("patch") is not None


def environment(home: Path) -> dict[str, str]:
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("GIT_", "LEDGER_", "PYTHON"))}
    roles, parts = ("AUTHOR", "COMMITTER"), ("NAME", "EMAIL")
    who = {f"GIT_{role}_{part}": "bench@example.com" for role in roles for part in parts}
    return kept | who | {"HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8"}


def check_out(folder: Path, files: Files) -> None:
    for path, (mode, content) in files.items():
        at = folder / os.fsdecode(path)
        at.parent.mkdir(parents=True, exist_ok=True)
        if mode == SYMLINK:
            at.symlink_to(os.fsdecode(content))
            continue
        at.write_bytes(content)
        at.chmod(0o755 if mode == EXECUTABLE else 0o644)


def look(folder: Path) -> Files:
    """Return what is in a folder, ``.git`` left out."""
    files: Files = {}
    for top, folders, names in os.walk(folder):
        here = Path(top)
        if ".git" in folders and here == folder:
            folders.remove(".git")
        links = [name for name in folders if (here / name).is_symlink()]
        for at in (here / name for name in [*names, *links]):
            path = os.fsencode(at.relative_to(folder))
            if at.is_symlink():
                files[path] = (SYMLINK, os.fsencode(os.readlink(at)))  # noqa: PTH115 - a Path would tidy it
            else:
                mode = EXECUTABLE if at.stat().st_mode & 0o100 else FILE
                files[path] = (mode, at.read_bytes())
    return files


def try_case(contender: Contender, case: Case, scratch: Path, env: dict[str, str]) -> str:
    """Return what a contender makes of one case."""
    folder = scratch / "repo"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    before = read_tree(case.before)
    check_out(folder, before)
    for words in (("init", "-q"), ("add", "-A", "-f"), ("commit", "-q", "--allow-empty", "-m", "Start")):
        subprocess.run(["git", *words], cwd=folder, env=env, check=True, capture_output=True)
    patch = scratch / "given.patch"
    patch.write_bytes(case.data)
    try:
        command = contender(case, patch)
        done = subprocess.run(
            command, cwd=folder, env=env, capture_output=True, check=False, timeout=TIMEOUT_S
        )
        failed = done.returncode != 0
    except subprocess.TimeoutExpired:
        failed = True
    after = look(folder)
    if failed:
        return "half" if after != before else "refused" if case.after else "right"
    if case.after is None:
        return "wrong"
    return "right" if after == read_tree(case.after) else "wrong"


def has_submodule(case: Case) -> bool:
    trees = [read_tree(name) for name in (case.before, case.after) if name]
    return any(mode == GITLINK for tree in trees for mode, _ in tree.values())


def main() -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", help="one origin: git, gnu, svn, …")
    parser.add_argument("--verbose", action="store_true", help="name every case that is not right")
    given = parser.parse_args()
    cases = [c for c in read_cases() if c.name.startswith(given.only) and not has_submodule(c)]
    unsafe = 0
    print(f"{len(cases)} patches".ljust(20), *(outcome.rjust(8) for outcome in OUTCOMES))
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        env = environment(scratch)
        for title, contender in CONTENDERS.items():
            if not is_there(title):
                print(title.ljust(20), "  not installed")
                continue
            outcomes = {case.name: try_case(contender, case, scratch, env) for case in cases}
            counts = Counter(outcomes.values())
            print(title.ljust(20), *(str(counts[outcome]).rjust(8) for outcome in OUTCOMES), flush=True)
            if title == "ledger apply":
                unsafe = counts["wrong"] + counts["half"]
            for case_name, outcome in outcomes.items() if given.verbose else ():
                if outcome != "right":
                    print(f"    {outcome:8} {case_name}")
    return 1 if unsafe else 0


if __name__ == "__main__":
    sys.exit(main())
