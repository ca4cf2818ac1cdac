"""Git's own test scripts for `git apply`, with every `git apply` in them handed to this engine.

    python tools/git_suite.py GIT_SOURCE [t4101 t4124 ...] [--least N] [--root DIR] [--system]

GIT_SOURCE is an unpacked and built source tree of Git. Its test library runs whatever `git` it finds
in a directory of our choosing: there stands a wrapper that takes `apply` away and leaves the rest to
the built Git. Prints a line for each script and the failing cases, and fails where fewer than N pass.
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

LEAST = 466  # all of them, in git 2.55
_SCRIPTS = "t41[0-4]*-apply-*.sh"
_CASE = re.compile(r"^(ok|not ok) \d+ (?:- )?(.*?)(?: # (TODO|SKIP|skip).*)?$", re.MULTILINE)

# `apply` is the first word that is no option of git's own. Those options are put into the environment by
# git itself: it runs the engine as an alias, which starts at the top of the work tree, told where it was.
_WRAPPER = """\
#!/bin/sh
real={real}
engine={engine}
GIT_EXEC_PATH={source}
GIT_TEMPLATE_DIR={source}/templates/blt
export GIT_EXEC_PATH GIT_TEMPLATE_DIR
if test "$1" = apply; then
	shift
	exec $engine "$@"
fi
case "$1" in -c|-C|--git-dir*|--work-tree*) ;; *) exec "$real" "$@" ;; esac
count=0
skip=0
for word; do
	count=$((count + 1))
	if test $skip = 1; then skip=0; continue; fi
	case "$word" in
	-c|-C|--git-dir|--work-tree) skip=1 ;;
	-*) ;;
	apply) break ;;
	*) exec "$real" "$@" ;;
	esac
done
# The words before `apply` go first, then the alias, then those behind it: the list turns round once.
turned=0
total=$#
while test $turned -lt $total; do
	turned=$((turned + 1))
	word=$1
	shift
	if test $turned = $count; then
		set -- "$@" -c "alias.engine-apply=!cd \\"./\\$GIT_PREFIX\\" && exec $engine" engine-apply
	else
		set -- "$@" "$word"
	fi
done
exec "$real" "$@"
"""


class Outcome(NamedTuple):
    """What one script reported."""

    script: str
    passed: int
    failed: tuple[str, ...]
    skipped: int
    finished: bool


def write_wrapper(folder: Path, git: Path) -> None:
    """Put a `git` into `folder` that runs `git`, but for `apply`."""
    engine = f"{shlex.quote(sys.executable)} -m patches apply"
    wrapper = folder / "git"
    source = shlex.quote(str(git.parent))
    wrapper.write_text(_WRAPPER.format(real=shlex.quote(str(git)), engine=shlex.quote(engine), source=source))
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
        "scripts", nargs="*", help="beginnings of script names; all of t4100 to t4141 without"
    )
    parser.add_argument("--least", type=int, help="fail below this many passed cases")
    parser.add_argument("--root", type=Path, help="keep the work areas and outputs here")
    parser.add_argument("--system", action="store_true", help="run Git's own apply, for comparison")
    given = parser.parse_args()
    source = given.source.resolve()
    scripts = [
        script
        for script in sorted((source / "t").glob(_SCRIPTS))
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
