"""Writes an archive of old ledgers: a small repository whose ledger has everything that this release records.

    python tests/old_ledgers/write.py v1 [--again]

It refuses to touch an archive that is there. ``--again`` is for a release that is not out yet: what a
released version wrote is never written anew.
"""

from __future__ import annotations

import gzip
import io
import itertools
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from answers import read_answers

from ledger.api import Ledger
from ledger.errors import DriftInTheWay
from ledger.operations.gating import GateOptions
from ledger.stamps import Actor, Stamp
from patches.errors import PatchError

HERE = Path(__file__).resolve().parent
DATE = "2026-11-25T00:00:00+0000"
START_NS = 1_795_564_800_000_000_000
LINT = """\
printf '{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "lint", "rules": []}},'
printf '"invocations": [{"executionSuccessful": true}], "artifacts": [{"location": {"uri": "a.txt"}}], "results": ['
if test -e bad; then
  printf '{"ruleId": "L1", "level": "error", "message": {"text": "bad"}, "locations": [{"physicalLocation":'
  printf '{"artifactLocation": {"uri": "bad"}, "region": {"startLine": 1}}}]}'
fi
printf ']}]}'
test ! -e bad
"""
TESTS = """\
if test -e broken; then outcome='<failure message="broken"/>'; else outcome=''; fi
printf '<testsuite name="s" tests="2"><testcase classname="t" name="one"/><testcase classname="t" name="two">%s</testcase></testsuite>' \
  "$outcome" > "$1"
test ! -e broken
"""
CONFIGURATION = """\
profile = "release"
[gates]
lint.mode = "off"
tests.mode = "off"
cov.mode = "off"
[gates.style]
command = "sh lint.sh"
format = "sarif"
[gates.unit]
command = "sh tests.sh {scratch}/junit.xml"
format = "junit"
report = "{scratch}/junit.xml"
[profiles.dev.gates.style]
mode = "soft"
"""
FILES = {
    "a.txt": b"".join(b"line %d\n" % number for number in range(12)),
    "dir/b.txt": b"bee\n",
    "logo.bin": bytes(range(256)),
    "lint.sh": LINT.encode(),
    "tests.sh": TESTS.encode(),
    "ledger.toml": CONFIGURATION.encode(),
}


def git(root: Path, *arguments: str) -> bytes:
    """Run git with a fixed identity and time, and nobody's configuration."""
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in
           (("NAME", "Ada"), ("EMAIL", "ada@example.com"), ("DATE", DATE))}  # fmt: skip
    sealed = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(root)}
    done = subprocess.run(
        ["git", *arguments], cwd=root, env=os.environ | sealed | who, check=True, capture_output=True
    )
    return done.stdout


def make_repository(root: Path) -> None:
    """Make a repository with one commit."""
    root.mkdir()
    git(root, "init", "--quiet", "--template=", "--initial-branch=main")
    for path, content in FILES.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(content)
    (root / "run.sh").write_bytes(b"#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "link").symlink_to("a.txt")
    commit(root, "base")


def commit(root: Path, message: str) -> None:
    """Commit all that lies in the work tree."""
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", message)


def record(root: Path, ledger: Ledger) -> None:
    """Let everything happen that a run can record."""
    lines = FILES["a.txt"]
    ledger.run("port to 3.13", name="port")
    ledger.enter_phase("P3", note="building: é")
    fixed = ledger.apply(diff(root, lines, lines.replace(b"line 3", b"third")), source="fix.diff", note="why")
    ledger.redact(fixed.event, names=["note"], reason="a name was in it")
    ask(ledger)
    ledger.gate()
    refuse(ledger, diff(root, b"nobody has this\n", b"\n"))
    ledger.apply(new_file("bad", b"bad\n"), source="bad.diff")
    ledger.gate()
    ledger.apply(new_file("sp ace \u00fc.txt", b"umlaut\n"))
    (root / os.fsdecode(b"caf\xe9.txt")).write_bytes(b"not UTF-8 in the name\n")
    (root / "dir/b.txt").write_bytes(b"bees\n")
    ledger.record(note="by hand")
    ledger.move([b"run.sh"], b"dir/run.sh", must_exist=["dir/run.sh"], must_not_exist=["run.sh"])
    ledger.gate()
    ledger.apply(new_file("broken", b"broken\n"))
    ledger.apply(new_file("unrelated.txt", b"kept\n"))
    ledger.gate_each()
    (root / "drifted.txt").write_bytes(b"drift\n")
    ledger.record()
    ledger.apply(new_file("broken", b"broken again\n"))
    try:
        ledger.gate()
    except DriftInTheWay:
        ledger.gate(GateOptions(with_drift=True))
    ledger.undo(with_drift=True)
    (root / "ledger.toml").write_bytes(FILES["ledger.toml"].replace(b'"release"', b'"dev"'))
    ledger.record()
    ledger.accept_policy(profile="dev", reason="soft for a while")
    ledger.apply(new_file("bad", b"bad\n"))
    ledger.gate()
    ledger.undo()
    ledger.gate(GateOptions(again=1))
    ledger.commit("the accepted state", candidate=True)
    ledger.apply(new_file("after.txt", b"survives\n"))
    moved = git(root, "commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "elsewhere").decode().strip()
    git(root, "update-ref", "HEAD", moved)
    ledger.rebase()
    ledger.enter_phase("P6")
    ledger.gate()
    ledger.finish(abandon=True)


def ask(ledger: Ledger) -> None:
    """Meet errors: one twice, and answered; one that needs no answer."""
    met = ledger.capture_error("3:build", "no such file: caf\u00e9", context="making the wheel")
    ledger.capture_error("3:build", "no such file: caf\u00e9")
    ledger.retire(ledger.capture_error("3:build", "a typo").reference)
    ledger.answer(met.reference, "the step before makes it")


def diff(root: Path, old: bytes, new: bytes) -> bytes:
    """Return Git's patch of ``a.txt`` between two contents."""
    with tempfile.TemporaryDirectory() as scratch:
        for name, data in (("a", old), ("b", new)):
            Path(scratch, name).mkdir()
            Path(scratch, name, "a.txt").write_bytes(data)
        done = subprocess.run(
            ["git", "diff", "--no-index", "--no-prefix", "a", "b"],
            cwd=scratch,
            capture_output=True,
            check=False,
        )
        return done.stdout


def new_file(name: str, data: bytes) -> bytes:
    """Return a patch that makes a file of one line."""
    return b"--- /dev/null\n+++ b/%b\n@@ -0,0 +1 @@\n+%b" % (name.encode(), data)


def refuse(ledger: Ledger, patch: bytes) -> None:
    """Let a patch be refused, which is recorded."""
    try:
        ledger.apply(patch, source="other.diff")
    except PatchError:
        return
    raise AssertionError("the patch was meant not to apply")


def tear(ledger: Ledger) -> None:
    """Leave half an append behind, as a crash does."""
    segment = max((ledger.path / "log").iterdir())
    line = segment.read_bytes().splitlines()[-1]
    with segment.open("ab") as file:
        file.write(line[:100])


def stamps() -> Iterator[Stamp]:
    """Yield clocks that go on from one another, for the parts of the recording."""
    for part in itertools.count():
        ticks = itertools.count(START_NS + part * 10**12, 1_000_003)
        counter = itertools.count(part << 20)
        yield Stamp(
            Actor("agent", "tester", f"s{part}"),
            lambda ticks=ticks: next(ticks),
            lambda size, counter=counter: next(counter).to_bytes(size, "big"),
        )


def make_ledger(root: Path, other: Path) -> None:
    """Record runs in two clones, one of which the other imports; the last run stays open."""
    clocks = stamps()
    make_repository(root)
    git(root, "clone", "--quiet", ".", str(other))
    with Ledger.open(other, stamp=next(clocks)) as ledger, ledger.run("from elsewhere", name="guest") as run:
        run.apply(new_file("guest.txt", b"hello\n"))
    with Ledger.open(other, stamp=next(clocks)) as ledger:
        ledger.export_runs(["guest"], other / "guest.zip")
    with Ledger.open(root, stamp=next(clocks)) as ledger, ledger.run("long ago", name="gone"):
        pass
    with Ledger.open(root, stamp=next(clocks)) as ledger:
        ledger.collect(0, apply=True)
    with Ledger.open(root, stamp=next(clocks)) as ledger:
        record(root, ledger)
        tear(ledger)
    with Ledger.open(root, stamp=next(clocks)) as ledger:
        ledger.archive()
    with Ledger.open(root, stamp=next(clocks)) as ledger:
        ledger.import_runs(other / "guest.zip")
        ledger.apply(new_file("last.txt", b"open\n"), source="last.diff")


def pack(root: Path) -> bytes:
    """Return the repository's Git directory as a deterministic archive, without what can be made again."""
    data = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=data, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for path in sorted((root / ".git").rglob("*")):
            name = path.relative_to(root).as_posix()
            if name.startswith((".git/ledger/cache/", ".git/ledger/locks/", ".git/logs")):
                continue
            info = tarfile.TarInfo(name)
            if path.is_dir():
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
            else:
                info.size, info.mode = path.stat().st_size, 0o644
                tar.addfile(info, io.BytesIO(path.read_bytes()))
    return data.getvalue()


def main(version: str, *, again: bool) -> None:
    """Write the archive of one version of the format and what a reader must answer about it."""
    target = HERE / version
    if (target / "repository.tar.gz").exists() and not again:
        raise SystemExit(f"{target} is there: what a release wrote is never written anew")
    target.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch, "repository")
        make_ledger(root, Path(scratch, "other"))
        git(root, "gc", "--quiet")
        (target / "repository.tar.gz").write_bytes(pack(root))
        with Ledger.open(root) as ledger:
            answers = read_answers(ledger)
    text = json.dumps(answers, indent=1, sort_keys=True, ensure_ascii=True)
    (target / "answers.json").write_text(text + "\n", "utf-8")
    sys.stdout.write(f"{target}: {len(answers['events'])} events\n")


if __name__ == "__main__":
    main(sys.argv[1], again="--again" in sys.argv[2:])
