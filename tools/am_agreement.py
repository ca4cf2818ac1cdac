"""Git's own test scripts for `git am`: does `ledger apply` make of each mail what `git am` made of it?

    python tools/am_agreement.py GIT_SOURCE [t4150 t4256 ...] [--root DIR]

GIT_SOURCE is an unpacked and built source tree of Git. Its scripts run with a `git` of ours in front,
which keeps, for each `git am` of a new series, the repository as it was, what was given, and which commits
came of it. Each series is then given to a ledger in that repository, patch by patch, each committed, and
compared: how many patches are taken, their trees, and the author, time and message of each commit. Prints
what differs, and fails where a difference has none of the `REASONS`, or fewer series agree than did.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from pygit2 import GitError

from git_suite import run_script
from ledger.api import Ledger
from ledger.applyflags import ApplyFlags
from ledger.errors import LedgerError
from ledger.operations.offering import offers_in_file
from ledger.operations.planning import Offer
from patches.errors import PatchError
from patches.worktree_errors import WorkTreeError

SCRIPTS = ("t0023", "t4150", "t4151", "t4152", "t4153", "t4252", "t4253", "t4254", "t4255", "t4256", "t4258")
_WRAPPER = """\
#!/bin/sh
GIT_EXEC_PATH={source}
GIT_TEMPLATE_DIR={source}/templates/blt
export GIT_EXEC_PATH GIT_TEMPLATE_DIR
case " $* " in *" am "*) exec {recorder} -- "$@" ;; esac
exec {git} "$@"
"""
# Of a session that is under way: these hand nothing over.
_SESSION = {
    "--skip", "--resolved", "-r", "--continue", "--abort", "--quit", "--retry", "--show-current-patch",
    "--allow-empty",
}  # fmt: skip
_WITH_VALUE = {"-C", "-c", "--git-dir", "--work-tree"}


class Given(NamedTuple):
    """One `git am` of a script: its words, its input in files, and what came of it."""

    name: str
    words: list[str]
    work: Path
    inputs: list[Path]
    status: int
    said: str
    commits: list[Commit]


class Commit(NamedTuple):
    """What `git am` made of one mail."""

    tree: str
    author: str
    message: str


class Reason(NamedTuple):
    """Why a series is taken otherwise: what tells that it is this, and what may differ then."""

    what: str
    applies: Callable[[Given], bool]
    differs: str


def _asks(*options: str) -> Callable[[Given], bool]:
    return lambda given: any(word.partition("=")[0] in options for word in given.words)


def _has_hook(given: Given) -> bool:
    return any(
        (given.work / ".git" / "hooks" / name).exists() for name in ("applypatch-msg", "pre-applypatch")
    )


def _configures(given: Given) -> bool:
    config = (given.work / ".git" / "config").read_text("utf-8")
    return "[am]" in config or "[mailinfo]" in config


def _says(words: str) -> Callable[[Given], bool]:
    return lambda given: words in given.said


REASONS = (
    Reason("an edit of another file is in no patch's way", _says("Dirty index"), "patches|taken"),
    Reason("no hook of git am runs", _has_hook, "message|patches|taken"),
    Reason(
        "options that shape the message or the date: `ledger commit` has its own",
        _asks(
            "--signoff",
            "-s",
            "--keep",
            "-k",
            "--keep-non-patch",
            "--scissors",
            "--message-id",
            "--ignore-date",
        ),
        "message|author",
    ),
    Reason("an mboxrd that only an option says to be one", _asks("--patch-format"), "message"),
    Reason("a mail without a diff is no commit", _asks("--empty"), "patches|refused: EmptyPatch"),
    Reason(
        "what the configuration says counts for nothing", _configures, "message|patches|refused: (Hunk|Merge)"
    ),
    Reason("line ends are the file's", _says("patch does not apply"), "patches|taken"),
)
LEAST = 133  # of 159, in git 2.55


# ── in front of Git ──────────────────────────────────────────────────────────────────────────────────


def record(git: Path, store: Path, words: list[str]) -> int:
    """Run a command of Git; where it is an `am` that begins a series, keep what goes in and comes out."""
    options, rest = _split(words)
    command = [str(git), *options]
    top = _output([*command, "rev-parse", "--show-toplevel"]) if _hands_over(rest) else ""
    if not top:
        os.execv(git, [str(git), *words])  # noqa: S606 - it takes this program's place
    number = len(list(store.iterdir()))
    place = store / f"{number:03}"
    place.mkdir(parents=True)
    shutil.copytree(top, place / "work", symlinks=True)
    files = [word for word in rest[1:] if not word.startswith("-")]
    feed = b"" if files else sys.stdin.buffer.read()
    (place / "stdin").write_bytes(feed)
    inputs = [_kept(Path(os.path.realpath(_directory(options) / word)), Path(top), place) for word in files]
    before = _output([*command, "rev-parse", "--verify", "-q", "HEAD"])
    done = subprocess.run([str(git), *words], input=feed, capture_output=True, check=False)
    range_ = f"{before}..HEAD" if before else "HEAD"
    made = _output([*command, "rev-list", "--reverse", "--first-parent", range_]).split()
    facts = {
        "words": rest,
        "inputs": inputs or [str(place / "stdin")],
        "status": done.returncode,
        "said": done.stderr.decode("utf-8", "replace"),
        "commits": [_output([*command, "cat-file", "commit", oid]) for oid in made],
    }
    (place / "facts.json").write_text(json.dumps(facts), "utf-8")
    sys.stdout.buffer.write(done.stdout)
    sys.stderr.buffer.write(done.stderr)
    return done.returncode


def _hands_over(words: list[str]) -> bool:
    return words[:1] == ["am"] and not _SESSION & {word.partition("=")[0] for word in words}


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """Return git's own options, and the command behind them."""
    at = 0
    while at < len(words) and words[at].startswith("-"):
        at += 1 + (words[at] in _WITH_VALUE)
    return words[:at], words[at:]


def _directory(options: list[str]) -> Path:
    here = Path.cwd()
    for option, value in pairwise(options):
        here = here / value if option == "-C" else here
    return here


def _kept(file: Path, top: Path, place: Path) -> str:
    """Return where a file that was given is to be found later: in the copy, or beside it."""
    if file.is_relative_to(top):
        return str(place / "work" / file.relative_to(top))
    if file.is_file():
        shutil.copy(file, place / file.name)
    return str(place / file.name)


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, check=False)
    return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n") if done.returncode == 0 else ""


# ── beside Git ───────────────────────────────────────────────────────────────────────────────────────


def flags_of(words: list[str]) -> ApplyFlags:
    """Return those of an am's options that say how its patches are applied."""
    asked: dict[str, object] = {}
    for word in words[1:]:
        name, _, value = word.partition("=")
        if word in {"-3", "--3way"}:
            asked["three_way"] = True
        elif word[:2] == "-p" and word[2:].isdecimal():
            asked["strip"] = int(word[2:])
        elif word[:2] == "-C" and word[2:].isdecimal():
            asked["context"] = int(word[2:])
        elif name in {"--directory", "--whitespace"}:
            asked[name[2:]] = value
    return ApplyFlags(**asked)  # type: ignore[arg-type]


def take(given: Given) -> tuple[list[Commit], str]:
    """Give a series to a ledger, patch by patch, each committed; return the commits, and what stopped it."""
    taken: list[Commit] = []
    with Ledger.open(given.work) as ledger:
        try:
            for offer in _offers(given):
                (applied,) = ledger.apply_all([offer])
                if applied.already:
                    return taken, "it is there already"
                oid = ledger.commit(candidate=True).commit
                text = _output(["git", "-C", str(given.work), "cat-file", "commit", oid])
                taken.append(_commit(text))
        except (PatchError, LedgerError, WorkTreeError, GitError, OSError) as error:
            return taken, f"{type(error).__name__}: {str(error).splitlines()[0]}"
    return taken, ""


def _offers(given: Given) -> list[Offer]:
    flags = flags_of(given.words)
    return [offer for file in given.inputs for offer in offers_in_file(file, source=file.name, flags=flags)]


def _commit(text: str) -> Commit:
    header, _, message = text.partition("\n\n")
    fields = dict(line.split(" ", 1) for line in header.splitlines() if " " in line)
    said = [line for line in message.splitlines() if not line.startswith("Ledger-Event: ")]
    return Commit(fields["tree"], fields["author"], "\n".join(said).rstrip("\n"))


def differences(given: Given) -> list[str]:
    """Return what of a series a ledger takes otherwise than `git am`, in words."""
    taken, stopped = take(given)
    found: list[str] = []
    for number, (ours, git) in enumerate(zip(taken, given.commits, strict=False), start=1):
        found += [
            f"{field} of patch {number}"
            for field in Commit._fields
            if getattr(ours, field) != getattr(git, field)
        ]
    if len(taken) != len(given.commits):
        found.append(f"{len(taken)} patches instead of {len(given.commits)}")
    if bool(stopped) != bool(given.status):
        found.append(
            f"refused: {stopped}"
            if stopped
            else f"taken, where git says {given.said.strip().partition(chr(10))[0]!r}"
        )
    return found


def reason_of(given: Given, found: list[str]) -> str:
    """Return why a series is taken otherwise; "" where that is not known."""
    for what, applies, differs in REASONS:
        if applies(given) and all(re.match(rf"(\d+ )?({differs})", each) for each in found):
            return what
    return ""


def read_records(store: Path) -> list[Given]:
    """Return what was kept of a script, in order."""
    records: list[Given] = []
    for place in sorted(store.iterdir()):
        facts = json.loads((place / "facts.json").read_text("utf-8"))
        records.append(
            Given(
                place.name,
                facts["words"],
                place / "work",
                [Path(file) for file in facts["inputs"]],
                facts["status"],
                facts["said"],
                [_commit(text) for text in facts["commits"]],
            )
        )
    return records


def main() -> int:
    """Run the scripts, compare series by series, and print what differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="a built source tree of Git")
    parser.add_argument("scripts", nargs="*", help=f"beginnings of script names; {' '.join(SCRIPTS)} without")
    parser.add_argument("--root", type=Path, help="keep the work areas and what was recorded here")
    asked = parser.parse_args()
    source = asked.source.resolve()
    names = tuple(asked.scripts or SCRIPTS)
    with tempfile.TemporaryDirectory(prefix="am-agreement-") as folder:
        root = asked.root.resolve() if asked.root else Path(folder)
        verdicts = Counter[str]()
        for script in sorted((source / "t").glob("t*.sh")):
            if script.name.startswith(names):
                verdicts += compare_script(script, source / "git", root)
    agreeing, unknown = verdicts.pop("agrees", 0), verdicts.pop("", 0)
    print(f"{agreeing} of {agreeing + unknown + verdicts.total()} series agree; otherwise:")
    for what, count in (*verdicts.most_common(), ("not known why", unknown)):
        print(f"{count:4}  {what}")
    return 1 if unknown or (not asked.scripts and agreeing < LEAST) else 0


def compare_script(script: Path, git: Path, root: Path) -> Counter[str]:
    """Run a script and compare its series; print those that differ, and return how many for which reason."""
    store = root / "given" / script.stem
    run_script(script, install(git, root / "bin" / script.stem, store), root)
    verdicts = Counter[str]()
    for given in read_records(store):
        found = differences(given)
        reason = reason_of(given, found) if found else "agrees"
        verdicts[reason] += 1
        if found:
            print(f"{script.stem} {given.name} {' '.join(given.words)}: {reason or 'NOT KNOWN WHY'}")
            print("".join(f"    {each}\n" for each in found), end="", flush=True)
    return verdicts


def install(git: Path, folder: Path, store: Path) -> Path:
    """Put a `git` into `folder` that keeps in `store` what its `am` was given; return the folder."""
    for place in (folder, store):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
    recorder = shlex.join([sys.executable, str(Path(__file__).resolve()), "--record", str(git), str(store)])
    wrapper = folder / "git"
    wrapper.write_text(
        _WRAPPER.format(git=shlex.quote(str(git)), recorder=recorder, source=shlex.quote(str(git.parent)))
    )
    wrapper.chmod(0o755)
    for link in ("git-upload-pack", "git-receive-pack"):
        (folder / link).symlink_to(git)
    return folder


if __name__ == "__main__":
    if sys.argv[1:2] == ["--record"]:
        sys.exit(record(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[5:]))
    sys.exit(main())
