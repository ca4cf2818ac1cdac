"""Two real ledgers to look at: a run in which everything happened, and one whose every word is an attack."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from book import Book, File
from gatebook import edited

from ledger import Ledger
from ledger.operations.gating import GateOptions
from ledger.stamps import Actor, Stamp
from patches.errors import PatchError

Edit = Mapping[bytes, bytes | None]

CHECKS = b'''\
"""Writes a JUnit report of three tests of src/app.py to the file that is named."""
import pathlib, sys

text = pathlib.Path("src/app.py").read_text()
flaky = pathlib.Path(".git/flaky").exists()
tests = {"test_mean": "BROKEN" in text, "test_spread": flaky, "test_print": "ugly" in text}
cases = [
    f"<testcase classname='tests' name='{name}' time='{0.02 * len(name):.2f}'>"
    + ("<failure message='not as it should be'/>" if failed else "") + "</testcase>"
    for name, failed in tests.items()
]
pathlib.Path(sys.argv[1]).write_text(f"<testsuite tests='{len(cases)}'>{''.join(cases)}</testsuite>")
print("\\n".join(f"{name} {'failed' if failed else 'passed'}" for name, failed in tests.items()))
sys.exit(any(tests.values()))
'''
LINT = b"""\
import pathlib, sys
found = pathlib.Path("src/app.py").read_text().count("TODO")
print(f"{found} to do")
sys.exit(found)
"""
GATES = """\
[profiles.{profile}.gates.lint]
mode = "soft"
command = "python3 lint.py"
format = "exit"
[profiles.{profile}.gates.tests]
mode = "{mode}"
command = "python3 checks.py {{scratch}}/junit.xml"
report = "{{scratch}}/junit.xml"
format = "junit"
threshold = {threshold}
[profiles.{profile}.gates.cov]
mode = "off"
reason = "no coverage here"
"""
AUDIT = """\
[profiles.release.gates.audit]
mode = "soft"
command = "no-such-audit-tool --all"
format = "exit"
"""


def configuration(threshold: int) -> bytes:
    """Return a policy whose release profile lets so many tests fail."""
    dev = GATES.format(profile="dev", mode="soft", threshold=1)
    return (dev + GATES.format(profile="release", mode="strict", threshold=threshold) + AUDIT).encode()


APP = """\
def mean(total, count):
    return total / count


def spread(values):
    return max(values) - min(values)


print(mean(6, 3))
"""
BASE: Mapping[bytes, bytes] = {
    b"src/app.py": APP.encode(),
    b"README.md": b"# Statistics\n\nA small program.\n",
    b"docs/notes.txt": b"one\ntwo\nthree",
    b"docs/logo.bin": bytes(range(256)),
    b"checks.py": CHECKS,
    b"lint.py": LINT,
    b"ledger.toml": configuration(0),
}


def clock(start_ns: int = 1_763_971_200_000_000_000, step_ns: int = 7_000_000_000) -> Stamp:
    """Return a clock that goes on by seven seconds a call, and ids that count."""
    ticks, counter = itertools.count(start_ns, step_ns), itertools.count()
    return Stamp(
        actor=Actor("agent", "porter", "s1"),
        clock=lambda: next(ticks),
        entropy=lambda size: next(counter).to_bytes(size, "big"),
    )


class Play:
    """A repository, the ledger in it, and the candidate's files as they are to be."""

    def __init__(self, root: Path, files: Mapping[bytes, bytes]) -> None:
        self.files = {path: File(data) for path, data in files.items()}
        self.book = Book(root, self.files)
        self.ledger = Ledger.open(root, stamp=clock())

    def apply(self, source: str, edit: Edit, note: str = "") -> None:
        """Apply Git's patch for an edit."""
        changes = {path: None if data is None else File(data) for path, data in edit.items()}
        after = edited(self.files, changes)
        patch = self.book.diff(self.book.write_tree(self.files), self.book.write_tree(after))
        self.ledger.apply(patch, source=source, note=note)
        self.files = after

    def record(self, edit: Edit, note: str = "") -> None:
        """Edit by hand, and take it in."""
        for path, data in edit.items():
            self.book.put(path, None if data is None else File(data))
            self.files = edited(self.files, {path: None if data is None else File(data)})
        self.ledger.record(note=note)

    def gate(self, *, flaky: bool = False, again: int = 0) -> None:
        """Measure; ``flaky`` lets one test fail that does not look at the tree."""
        rolled_back = None
        flag = self.book.root / ".git/flaky"
        if flaky:
            flag.touch()
        # One after the other: side by side they would be recorded in another order each time.
        for name in ("lint", "audit", "tests"):
            rolled_back = self.ledger.gate(GateOptions(names=(name,), again=again)).rolled_back
        flag.unlink(missing_ok=True)
        if rolled_back is not None:
            listed = self.book.listing(self.book.line("write-tree"))
            self.files = {
                path: File(self.book.git("cat-file", "blob", e.oid.hex()), e.mode)
                for path, e in listed.items()
            }


@contextmanager
def play(root: Path, files: Mapping[bytes, bytes]) -> Iterator[Play]:
    """Give a play whose ledger is closed at the end."""
    made = Play(root, files)
    try:
        yield made
    finally:
        made.ledger.close()


def tell_all(root: Path) -> None:
    """Make a repository whose run ``port-2kf9`` has phases, patches, all verdicts, tickets, errors and drift."""
    with play(root, BASE) as run:
        run.ledger.run("Port the statistics to exact fractions", name="port-2kf9", profile="release")
        run.ledger.enter_phase("P1", note="What is there, and what has to stay?")
        run.gate()
        run.ledger.enter_phase("P3")
        marked = APP.replace("count):\n", "count):  # TODO: fractions, TODO: names\n")
        run.apply("mark.diff", {b"src/app.py": marked.encode()}, note="Marks the places.")
        run.gate()
        with suppress(PatchError):
            run.ledger.apply(
                b"--- a/src/app.py\n+++ b/src/app.py\n@@ -1 +1 @@\n-never\n+seen\n", source="late.diff"
            )
        exact = "from fractions import Fraction\n\n\n" + marked.replace(
            "total / count", "Fraction(total, count)"
        )
        run.apply("broken.diff", {b"src/app.py": exact.replace("max(", "BROKEN(").encode()})
        run.gate()
        exact = exact.replace("  # TODO: fractions, TODO: names", "  # TODO: names")
        run.apply(
            "exact.diff",
            {b"src/app.py": exact.encode(), b"src/data.py": b"ONE = 1\nTWO = 2\n"},
            note="Exact now.",
        )
        run.gate()
        run.record({b"docs/notes.txt": b"one\ntwo\nthree\nfour, by hand\n"}, note="noted by hand")
        run.apply("policy.diff", {b"ledger.toml": configuration(1)})
        run.ledger.accept_policy(reason="one test depends on the weather")
        run.ledger.enter_phase("P4")
        run.gate(flaky=True)
        run.gate(again=1)
        asked = run.ledger.capture_error(
            "4:prune", "README is gone:\nwho reads it?", context="pruning the documents"
        )
        run.apply(
            "prune.diff",
            {
                b"README.md": None,
                b"docs/notes.txt": None,
                b"docs/log.txt": b"one\ntwo\nthree\nfour, by hand\n",
            },
        )
        run.ledger.answer(asked.reference, "Nobody: the package has one of its own.")
        run.ledger.capture_error("4:prune", "The picture has no licence.")
        clean = exact.replace("  # TODO: names", "").replace("print(", "print('mean', ")
        run.apply("clean.diff", {b"src/app.py": clean.encode()})
        run.gate()
        run.ledger.enter_phase("P6")


HOSTILE = '<img src=x onerror="window.__pwned=1"></script><script>window.__pwned=1</script>'
EVIL: Mapping[bytes, bytes] = {
    b"<img src=x onerror=window.__pwned=1>.py": b"</script><script>window.__pwned=1</script>\n<!-- \n",
    b"evil/\"'><svg onload=window.__pwned=1>.txt": b"one\n",
    b"evil/\xff\x1b[31m.bin": b"\xff\xfe\x00binary",
    "evil/\u202etxt.exe".encode(): "right \u202e to left\u0007\r\n".encode() + b"latin \xe9\n",
    b"evil/${__pwned}{{7*7}}.j2": b"{{ 7 * 7 }} ${alert(1)} {% raw %}\n",
}
EVIL_GATE = """\
gates.lint.mode = "off"
gates.tests.mode = "off"
gates.cov.mode = "off"
[gates.gone]
mode = "soft"
command = ["<svg onload=window.__pwned=1>"]
format = "exit"
[gates.evil]
mode = "soft"
command = ["python3", "-c", "print(HOSTILE); raise SystemExit(1)"]
format = "exit"
"""


def tell_evil(root: Path) -> None:
    """Make a repository whose run ``evil-6666`` has HTML and script wherever somebody may write."""
    with play(
        root,
        {
            b"good.txt": b"good\n",
            b"ledger.toml": EVIL_GATE.replace("HOSTILE", repr(HOSTILE).replace('"', '\\"')).encode(),
        },
    ) as run:
        run.ledger.run(HOSTILE, name="evil-6666")
        run.ledger.enter_phase("P3", note=HOSTILE)
        run.apply(HOSTILE, EVIL, note=HOSTILE)
        run.apply(
            "more", {path: data + b"<script>window.__pwned=1</script>\n" for path, data in EVIL.items()}
        )
        run.ledger.capture_error("3:" + HOSTILE, HOSTILE, context=HOSTILE)
        run.ledger.gate()
        run.record({b"good.txt": HOSTILE.encode()}, note=HOSTILE)


def tell_one(root: Path) -> None:
    """Make a repository whose run ``t-0001`` has only begun."""
    with play(root, {b"a.txt": b"one\n"}) as run:
        run.ledger.run("t", name="t-0001")


if __name__ == "__main__":
    {"one": tell_one, "all": tell_all, "evil": tell_evil, "live": tell_evil}[sys.argv[1]](Path(sys.argv[2]))
