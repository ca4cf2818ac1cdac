"""Git's own test scripts for `git apply` and `git mv`, with every one of those handed to this engine.

    python tools/git_suite.py GIT_SOURCE [t4101 t4124 ...] [--least N] [--root DIR] [--system]

GIT_SOURCE is an unpacked and built source tree of Git. Its test library runs whatever `git` it finds
in a directory of our choosing: there stands a wrapper that takes `apply` and `mv` away and leaves the rest
to the built Git. A `git mv` is a `ledger mv` in a run of its own, on the tree of the index. Prints a line
for each script and the failing cases, and fails where fewer than N pass.
With --system nothing is taken away: what remains then fails because of the machine.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

LEAST = 466 + 53  # of 466 and 54, in git 2.55
_SCRIPTS = ("t41[0-4]*-apply-*.sh", "t7001-mv.sh")
_CASE = re.compile(r"^(ok|not ok) \d+ (?:- )?(.*?)(?: # (TODO|SKIP|skip).*)?$", re.MULTILINE)

# The command is the first word that is no option of git's own. Those options are put into the environment by
# git itself: it runs the engine as an alias, which starts at the top of the work tree, told where it was.
_WRAPPER = """\
#!/bin/sh
real={real}
GIT_EXEC_PATH={source}
GIT_TEMPLATE_DIR={source}/templates/blt
export GIT_EXEC_PATH GIT_TEMPLATE_DIR
case "$1" in
apply) shift; exec {apply} "$@" ;;
mv) shift; exec {move} "$@" ;;
esac
case "$1" in -c|-C|--git-dir*|--work-tree*) ;; *) exec "$real" "$@" ;; esac
count=0
skip=0
for word; do
	count=$((count + 1))
	if test $skip = 1; then skip=0; continue; fi
	case "$word" in
	-c|-C|--git-dir|--work-tree) skip=1 ;;
	-*) ;;
	apply) engine={apply_word}; break ;;
	mv) engine={move_word}; break ;;
	*) exec "$real" "$@" ;;
	esac
done
# The words before the command go first, then the alias, then those behind it: the list turns round once.
turned=0
total=$#
while test $turned -lt $total; do
	turned=$((turned + 1))
	word=$1
	shift
	if test $turned = $count; then
		set -- "$@" -c "alias.in-our-place=!cd \\"./\\$GIT_PREFIX\\" && exec $engine" in-our-place
	else
		set -- "$@" "$word"
	fi
done
exec "$real" "$@"
"""


# `git mv` starts from the index, a run from HEAD: HEAD is at the index's tree for as long as this takes.
_MOVE = """\
#!/bin/sh
head=$(git rev-parse -q --verify HEAD)
if tree=$(git write-tree 2>/dev/null); then
	git update-ref HEAD "$(git commit-tree ${{head:+-p "$head"}} -m index "$tree")"
	{ledger} run finish >/dev/null 2>&1
fi
said=$({ledger} mv "$@" 2>&1 >/dev/null)
code=$?
if test -n "$head"; then git update-ref HEAD "$head"; else git update-ref -d HEAD; fi
test -z "$said" || printf '%s\\n' "$said" | sed -n -e 's/^error: /fatal: /p' -e '/^warning: /p' >&2
exit $code
"""


class Outcome(NamedTuple):
    """What one script reported."""

    script: str
    passed: int
    failed: tuple[str, ...]
    skipped: int
    finished: bool


def write_wrapper(folder: Path, git: Path) -> None:
    """Put a `git` into `folder` that runs `git`, but for `apply` and `mv`."""
    apply, move = f"{shlex.quote(sys.executable)} -m patches apply", shlex.quote(str(folder / "ledger-mv"))
    places = {
        "real": shlex.quote(str(git)),
        "source": shlex.quote(str(git.parent)),
        "apply": apply,
        "move": move,
        "apply_word": shlex.quote(apply),
        "move_word": shlex.quote(move),
    }
    wrapper, mover = folder / "git", folder / "ledger-mv"
    wrapper.write_text(_WRAPPER.format_map(places))
    mover.write_text(_MOVE.format(ledger=f"{shlex.quote(sys.executable)} -m ledger.cli"))
    mover.chmod(0o755)
    wrapper.chmod(0o755)
    for link in ("git-upload-pack", "git-receive-pack"):
        (folder / link).symlink_to(git)


def run_script(script: Path, installed: Path | None, root: Path) -> Outcome:
    """Run one script in a work area of its own and read what it reports."""
    area = root / script.stem
    shutil.rmtree(area, ignore_errors=True)
    area.mkdir(parents=True)
    environment = os.environ | {"TEST_OUTPUT_DIRECTORY": str(area), "PYTHONDONTWRITEBYTECODE": "1"}
    if installed is not None:
        environment["GIT_TEST_INSTALLED"] = str(installed)
    command = ["sh", script.name, "--no-color", f"--root={area}"]
    done = subprocess.run(
        command,
        cwd=script.parent,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    (area / "output").write_text(done.stdout + done.stderr)
    passed, skipped, failed = 0, 0, []
    for verdict, name, remark in _CASE.findall(done.stdout):
        if remark:
            skipped += 1
        elif verdict == "ok":
            passed += 1
        else:
            failed.append(name)
    return Outcome(
        script.stem, passed, tuple(failed), skipped, done.returncode in (0, 1) and "1.." in done.stdout
    )


def main() -> int:
    """Run the scripts, two at a time, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="a built source tree of Git")
    parser.add_argument(
        "scripts", nargs="*", help="beginnings of script names; all of t4100 to t4141 and t7001 without"
    )
    parser.add_argument("--least", type=int, help="fail below this many passed cases")
    parser.add_argument("--root", type=Path, help="keep the work areas and outputs here")
    parser.add_argument("--system", action="store_true", help="run Git's own commands, for comparison")
    given = parser.parse_args()
    source = given.source.resolve()
    scripts = [
        script
        for pattern in _SCRIPTS
        for script in sorted((source / "t").glob(pattern))
        if not given.scripts or script.name.startswith(tuple(given.scripts))
    ]
    least = given.least if given.least is not None else 0 if given.scripts else LEAST
    with tempfile.TemporaryDirectory(prefix="git-suite-") as folder, ThreadPoolExecutor(2) as pool:
        installed = Path(folder) / "bin"
        installed.mkdir()
        write_wrapper(installed, source / "git")
        root = given.root.resolve() if given.root else Path(folder) / "areas"
        wrapped = None if given.system else installed
        outcomes: list[Outcome] = []
        for outcome in pool.map(lambda script: run_script(script, wrapped, root), scripts):
            outcomes.append(outcome)
            note = "" if outcome.finished else "  did not finish"
            print(f"{outcome.script:36} passed {outcome.passed:3}  failed {len(outcome.failed):3}{note}")
            for name in outcome.failed:
                print(f"      {name}")
            sys.stdout.flush()
    passed = sum(outcome.passed for outcome in outcomes)
    failed = sum(len(outcome.failed) for outcome in outcomes)
    print(f"passed {passed}, failed {failed}, skipped {sum(o.skipped for o in outcomes)}")
    return 1 if passed < least or not all(outcome.finished for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
