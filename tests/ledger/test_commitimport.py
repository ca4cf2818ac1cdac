"""Commits taken in as a run: each tree Git's own, each line whose Git says it is, and nothing else touched."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from book import Book, File, Files, assert_state, damage
from gatebook import in_a_fork

from ledger.api import Ledger
from ledger.commit_errors import NoSuchCommit, ShallowHistory, UnreachableTree
from ledger.errors import RunName, SecretFound
from ledger.events import CommitSeen, PatchApplied
from ledger.operations import commitimport
from ledger.operations.commitimport import ImportedCommits
from ledger.requests import AlreadyDone
from patches.errors import UnsafePath
from patches.model import MODE_EXECUTABLE, MODE_GITLINK, MODE_SYMLINK

LINES = b"".join(b"line %d\n" % number for number in range(12))
SECRET = b"key = 'AKIA" + b"IOSFODNN7EXAMPLF'\n"
EVERY_CHANGE: list[dict[bytes, File]] = [
    {b"a": File(LINES), b"sub/b": File(b"bee")},
    {b"a": File(LINES.replace(b"line 3\n", b"three\n")), b"sub/b": File(b"bee")},
    {b"moved": File(LINES.replace(b"line 3\n", b"three\n")), b"sub": File(b"a file now")},
    {b"moved": File(LINES, MODE_EXECUTABLE), b"caf\xe9/n\nl": File(b"\0\xffbinary"), b"empty": File(b"")},
    {b"moved": File(LINES, MODE_EXECUTABLE), b"caf\xe9/n\nl": File(b"\0\xff" * 400), b"e": File(b"")},
    {b"moved": File(b"e", MODE_SYMLINK), b"e": File(b"1234" * 10, MODE_GITLINK), b"long": File(LINES * 2000)},
    {b"moved": File(b"f", MODE_SYMLINK), b"e": File(b"abcd" * 10, MODE_GITLINK), b"o": File(LINES * 2000)},
    {},
    {b"a": File(b"diff --git a/x b/x\n" + b"4b825dc6" * 5 + b" " + b"4b825dc6" * 5 + b"\n")},
]


class History:
    """A repository, and a way to commit whatever tree one likes."""

    def __init__(self, root: Path) -> None:
        self.book = Book(root)
        self.tip = ""

    def commit(self, files: Files, message: bytes = b"a commit\n\nwhy\n", *parents: str) -> str:
        """Add a commit on the tip (or on ``parents``) and return it."""
        return self.commit_tree(self.book.write_tree(files), message, *parents)

    def commit_tree(self, tree: str, message: bytes = b"odd\n", *parents: str) -> str:
        parents = parents or ((self.tip,) if self.tip else ())
        named = [word for parent in parents for word in ("-p", parent)]
        self.tip = self.book.git("commit-tree", tree, *named, data=message).decode().strip()
        self.book.git("update-ref", "refs/heads/line", self.tip)
        return self.tip

    def raw(self, data: bytes) -> str:
        """Write a commit byte for byte."""
        write = ("hash-object", "-t", "commit", "-w", "--stdin", "--literally")
        self.tip = self.book.git(*write, data=data).decode().strip()
        self.book.git("update-ref", "refs/heads/line", self.tip)
        return self.tip

    def trees(self, revisions: str) -> list[str]:
        """Return the commits along first parents with their trees, as Git lists them."""
        return self.book.line("log", "--first-parent", "--reverse", "--format=%H %T", revisions).splitlines()


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "repo")


@pytest.fixture
def ledger(history: History) -> Iterator[Ledger]:
    with Ledger.open(history.book.root) as opened:
        yield opened


def assert_imported(ledger: Ledger, history: History, imported: ImportedCommits, revisions: str) -> None:
    """Every commit of the range is linked to a state, and that state has the commit's tree."""
    events = list(ledger.events(imported.run))
    seen = [event for event in events if isinstance(event, CommitSeen)]
    wanted = history.trees(revisions)
    assert [f"{event.commit} {event.tree}" for event in seen] == wanted
    assert imported.commits == len(wanted)
    for event in seen:
        assert_state(ledger, history.book, imported.run, event.state_v, event.tree)
        assert ledger.resolve(event.commit) == (imported.run, event.state_v)
    assert damage(ledger) == []
    assert [run.finished for run in ledger.runs() if run.run == imported.run] == [True]


def test_every_kind_of_change_from_the_root_on(history: History, ledger: Ledger) -> None:
    """Modes, symlinks, submodules, binary content, odd names, renames: each state is the commit's tree."""
    for files in EVERY_CHANGE:
        history.commit(files)
    imported = ledger.import_commits("line", name="all")
    assert (imported.run, imported.base, imported.known, imported.empty) == ("all", None, 0, 0)
    assert_imported(ledger, history, imported, "line")
    assert not history.book.path(b"a").exists()


def test_a_range_begins_from_the_tree_before_it(history: History, ledger: Ledger) -> None:
    """The base is the commit before, whose state a reference by it names."""
    commits = [history.commit(files) for files in EVERY_CHANGE[:5]]
    imported = ledger.import_commits("line", commits[1])
    assert imported.base == commits[1]
    assert_imported(ledger, history, imported, f"{commits[1]}..line")
    assert ledger.resolve(commits[1]) == (imported.run, 1)
    assert ledger.cat(b"a", commits[1]) == EVERY_CHANGE[1][b"a"].data


def test_a_commit_that_changes_nothing_is_linked(history: History, ledger: Ledger) -> None:
    """It has no patch; its commit names the state before, at the beginning and later."""
    start = history.commit({b"a": File(b"1\n")})
    empty = history.commit({b"a": File(b"1\n")}, b"nothing\n")
    change = history.commit({b"a": File(b"2\n")})
    again = history.commit({b"a": File(b"2\n")}, b"\n")
    imported = ledger.import_commits("line", start)
    assert imported.empty == 2
    assert_imported(ledger, history, imported, f"{start}..line")
    assert ledger.resolve(empty) == (imported.run, 1)
    assert ledger.resolve(again) == ledger.resolve(change)


def test_merges_are_what_they_bring(history: History, ledger: Ledger) -> None:
    """Along first parents, as `git log --first-parent -m` shows them; a branch begins where it left."""
    root = history.commit({b"a": File(b"1\n")})
    main = history.commit({b"a": File(b"2\n")})
    side = history.commit({b"a": File(b"1\n"), b"side": File(b"s\n")}, b"side\n", root)
    history.commit({b"a": File(b"2\n"), b"side": File(b"s\n")}, b"merge\n", main, side)
    imported = ledger.import_commits("line", root)
    assert (imported.commits, imported.merges) == (2, 1)
    assert_imported(ledger, history, imported, f"{root}..line")
    last = [event for event in ledger.events(imported.run) if isinstance(event, PatchApplied)][-1]
    assert [file.path for file in last.files] == ["side"]
    of_branch = ledger.import_commits(side, main)
    assert of_branch.base == root
    assert_imported(ledger, history, of_branch, f"{main}..{side}")


def test_whose_a_commit_is(history: History, ledger: Ledger) -> None:
    """Author, date and message are in the event, read as what the commit says it is written in."""
    history.commit({b"a": File(b"1\n")})
    head = b"tree %b\nparent %b\n" % (history.book.write_tree({}).encode(), history.tip.encode())
    who = "Zoë <z@e.org> 1700000000 +0530\n".encode("latin-1")
    said = "tïtle\n\nbody\n".encode("latin-1")
    lines = (b"author " + who, b"committer " + who, b"encoding ISO-8859-1\n\n", said)
    history.raw(head + b"".join(lines))
    imported = ledger.import_commits("line", "line~1")
    assert_imported(ledger, history, imported, "line~1..line")
    (patch,) = (event for event in ledger.events(imported.run) if isinstance(event, PatchApplied))
    assert patch.author == "Zoë <z@e.org>" == history.book.line("log", "-1", "--format=%an <%ae>", "line")
    assert patch.date == history.book.line("log", "-1", "--format=%aD", "line")
    assert isinstance(patch.message, str)
    assert ledger.store.read_body(patch.message) == "tïtle\n\nbody\n".encode()


def test_blame_is_gits(history: History, ledger: Ledger) -> None:
    """Of every line of a linear history with a rename: the commit that Git names."""
    rng = random.Random(5)
    lines, name = [b"%d\n" % number for number in range(30)], b"first"
    for number in range(25):
        at = rng.randrange(len(lines))
        lines[at : at + rng.randrange(3)] = [b"edit %d.%d\n" % (number, n) for n in range(rng.randrange(4))]
        name = b"second" if number > 12 else name
        history.commit({name: File(b"".join(lines)), b"other": File(b"%d" % number)})
    imported = ledger.import_commits("line")
    commit_of = {e.state_v: e.commit for e in ledger.events(imported.run) if isinstance(e, CommitSeen)}
    ours = [(commit_of[line.event.v], line.text) for line in ledger.blame(b"second", "line")]
    told = history.book.git("blame", "--line-porcelain", "line", "--", "second").split(b"\n")
    theirs: list[tuple[str, bytes]] = []
    commit = ""
    for line in told:
        if line.startswith(b"\t"):
            theirs.append((commit, line[1:]))
        elif len(line.split(b" ")[0]) == 40:
            commit = line[:40].decode()
    assert ours == theirs


def test_the_open_run_and_the_work_tree_stay(history: History, ledger: Ledger) -> None:
    """Neither HEAD, nor index, nor files, nor what is current; and the run goes on after it."""
    book = history.book
    base = history.commit({b"a": File(b"1\n"), b"b": File(b"b\n")})
    book.git("update-ref", "HEAD", base)
    book.git("reset", "--quiet", "--hard")
    history.commit({b"a": File(b"2\n")})
    run = ledger.run("mine")
    book.put(b"a", File(b"edited\n"))
    book.put(b"b", None)
    book.git("add", "b")
    before = (book.work_files(), book.git("ls-files", "--stage"), book.line("rev-parse", "HEAD"))
    imported = ledger.import_commits("line", base)
    assert (book.work_files(), book.git("ls-files", "--stage"), book.line("rev-parse", "HEAD")) == before
    assert ledger.current_run().name == run.name == ledger.resolve("@")[0]
    assert ledger.resolve(base) == (run.name, 1)
    assert run.record().event == f"{run.name}:3"
    assert_imported(ledger, history, imported, f"{base}..line")


def test_twice_is_once(history: History, ledger: Ledger) -> None:
    """The same commits again are said to be there, under any name of them; another name is another run."""
    commits = [history.commit(files) for files in EVERY_CHANGE[:4]]
    first = ledger.import_commits("line", commits[0])
    again = ledger.import_commits(commits[3], "line~3")
    assert (again.run, again.known, again.commits) == (first.run, 3, 3)
    assert ledger.import_commits("line", commits[0], name="other").known == 0
    with pytest.raises(RunName):
        ledger.import_commits("line", commits[1], name="other")
    assert ledger.import_commits("line").known == 0
    assert len(ledger.runs()) == 3


def test_an_id_is_that_of_the_last_event(history: History, ledger: Ledger) -> None:
    """A retry under one id is done before only when all of it was."""
    history.commit({b"a": File(b"1\n")})
    id_ = "019a0000-0000-7000-8000-000000000001"
    with ledger.once(id_):
        imported = ledger.import_commits("line")
    assert ledger.event(imported.event).id == id_
    with ledger.once(id_), pytest.raises(AlreadyDone):
        ledger.import_commits("line")


def test_a_secret_stops_it_where_it_is(
    history: History, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came before stays, and the same import goes on there; or it ends there."""
    monkeypatch.setattr(commitimport, "_BATCH_COMMITS", 2)
    commits = [history.commit({b"a": File(b"%d\n" % number)}) for number in range(4)]
    bad = history.commit({b"a": File(SECRET)})
    history.commit({b"a": File(b"out again\n")})
    with pytest.raises(SecretFound) as stopped:
        ledger.import_commits("line", name="n")
    notes = " ".join(stopped.value.__notes__)
    assert bad in notes
    assert f"`ledger import git --root {commits[3][:12]}`" in notes
    assert SECRET not in b"".join(p.read_bytes() for p in ledger.path.rglob("*") if p.is_file())
    assert run_ledger(history.book.root, "run", "list").stdout.split("\n")[2].split()[:2] == ["n", "waiting"]
    with pytest.raises(SecretFound):
        ledger.import_commits("line")
    ended = ledger.import_commits(commits[3])
    assert (ended.run, ended.known) == ("n", 4)
    assert_imported(ledger, history, ended, commits[3])
    every = ledger.import_commits("line", allow_secrets=True)
    assert every.run != "n"
    assert [bad[:12] in found for found in every.secrets] == [True]
    assert len(every.warnings) == 1
    assert_imported_alone(ledger, history, every.run)


def assert_imported_alone(ledger: Ledger, history: History, run: str) -> None:
    """As `assert_imported`, where another run has some of the commits too."""
    seen = [event for event in ledger.events(run) if isinstance(event, CommitSeen)]
    assert [f"{event.commit} {event.tree}" for event in seen] == history.trees("line")
    assert damage(ledger) == []


def test_a_first_batch_that_is_refused_leaves_nothing(history: History, ledger: Ledger) -> None:
    """No run, no event, no ref, no body: a range of one batch is all or nothing."""
    history.commit({b"a": File(b"1\n")})
    history.commit({b"a": File(SECRET)})
    with pytest.raises(SecretFound):
        ledger.import_commits("line")
    assert ledger.runs() == []
    assert list(ledger.path.glob("bodies/*/*")) == []
    assert history.book.line("for-each-ref", "refs/ledger") == ""


def test_what_no_patch_can_say(history: History, ledger: Ledger) -> None:
    """A tree that an old tool encoded otherwise, and a path that no patch may write, with their commit."""
    base = history.commit({b"a": File(b"1\n")})
    blob = history.book.line("rev-parse", "line:a")

    def odd(mode: bytes, name: bytes) -> str:
        data = mode + b" " + name + b"\0" + bytes.fromhex(blob)
        write = ("hash-object", "-t", "tree", "-w", "--stdin", "--literally")
        return history.commit_tree(history.book.git(*write, data=data).decode().strip(), b"odd\n", base)

    for commit, error in ((odd(b"100664", b"b"), UnreachableTree), (odd(b"100644", b".git"), UnsafePath)):
        with pytest.raises(error) as refused:
            ledger.import_commits(commit, base)
        assert commit in " ".join(refused.value.__notes__)
    assert ledger.runs() == []


def test_what_is_no_range(history: History, ledger: Ledger, tmp_path: Path) -> None:
    """No such commit, none between, and a history that a clone left out."""
    for number in range(3):
        history.commit({b"a": File(b"%d\n" % number)})
    with pytest.raises(NoSuchCommit):
        ledger.import_commits("nothing")
    with pytest.raises(NoSuchCommit):
        ledger.import_commits("line", "line")
    book, url = history.book, f"file://{history.book.root}"
    book.git("clone", "--quiet", "--depth=2", "--branch=line", url, str(tmp_path / "shallow"))
    with Ledger.open(tmp_path / "shallow") as shallow:
        with pytest.raises(ShallowHistory):
            shallow.import_commits("HEAD")
        assert shallow.import_commits("HEAD", "HEAD~1").commits == 1


def test_runs_of_commits_travel(history: History, ledger: Ledger, tmp_path: Path) -> None:
    """An export of one is proved and taken in by another clone."""
    for files in EVERY_CHANGE:
        history.commit(files)
    imported = ledger.import_commits("line")
    ledger.export_runs([imported.run], tmp_path / "bundle")
    history.book.git("clone", "--quiet", "--no-checkout", str(history.book.root), str(tmp_path / "clone"))
    with Ledger.open(tmp_path / "clone") as other:
        (run,) = other.import_runs(tmp_path / "bundle")
        assert (run.run, run.unproved) == (imported.run, "")
        assert other.resolve(history.tip)[0] == imported.run


def test_random_histories(
    history: History,
    ledger: Ledger,
    rounds: Callable[[int, int], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the commits do to a few paths, in any batches, each tree is theirs."""
    rng = random.Random(8)
    contents = [b"", b"x", LINES, LINES[:-1], LINES * 3, b"\0" * 99, b"\r\n" * 5]
    files: dict[bytes, File] = {}
    for _ in range(rounds(40, 2000)):
        for _ in range(rng.randrange(4)):
            path = rng.choice((b"a", b"a/b", b"a/b/c", b"d/e", b"d/f", b"g"))
            beside = [p for p in files if p == path or p.startswith(path + b"/") or path.startswith(p + b"/")]
            for other in beside:
                del files[other]
            if rng.random() < 0.8:
                mode = rng.choice((0o100644, MODE_EXECUTABLE, MODE_SYMLINK))
                data = rng.choice(contents) + b"%d" % rng.randrange(3)
                files[path] = File(data if mode != MODE_SYMLINK else b"t%d" % rng.randrange(3), mode)
        history.commit(dict(files))
    monkeypatch.setattr(commitimport, "_BATCH_COMMITS", 7)
    imported = ledger.import_commits("line", "line~30")
    assert_imported(ledger, history, imported, "line~30..line")


@pytest.mark.campaign
def test_killed_at_any_moment(
    history: History,
    rounds: Callable[[int, int], int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Kill -9, again and again, until it is through: nothing twice, nothing left out."""
    for number in range(60):
        history.commit({b"a": File(b"%d\n" % number * 50), b"b%d" % (number % 7): File(b"%d" % number)})
    monkeypatch.setattr(commitimport, "_BATCH_COMMITS", 3)
    rng = random.Random(3)
    for number in range(rounds(2, 100)):
        root = tmp_path / f"r{number}"
        history.book.git(
            "clone", "--quiet", "--no-checkout", "--branch=line", str(history.book.root), str(root)
        )
        killed = 0
        while not import_within(root, rng.uniform(0.02, 0.2) + 0.02 * killed):
            killed += 1
        with Ledger.open(root) as ledger:
            (run,) = ledger.runs()
            seen = [event for event in ledger.events(run.run) if isinstance(event, CommitSeen)]
            assert [f"{event.commit} {event.tree}" for event in seen] == history.trees("line")
            assert run.finished
            assert damage(ledger) == []


def import_within(root: Path, limit_s: float) -> bool:
    """Import in a process that the system kills after a while; return whether it came to its end."""

    def work() -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, limit_s)
        with Ledger.open(root) as ledger:
            ledger.import_commits("line")

    code = in_a_fork(work)
    assert code in (0, -signal.SIGALRM)
    return code == 0


def run_ledger(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ledger.cli", *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command(history: History, ledger: Ledger) -> None:
    """What it prints, and what it says of ranges that are none."""
    root = history.book.root
    base = history.commit({b"a": File(b"1\n")})
    history.commit({b"a": File(b"2\n")})
    history.commit({b"a": File(b"1\n"), b"s": File(b"s\n")}, b"s\n", base)
    done = run_ledger(root, "import", "git", f"{base}..line", "--run", "topic")
    assert (done.returncode, done.stdout) == (0, "topic:5\n"), done.stderr
    assert done.stderr == f"imported 1 commit as run topic, from {base[:12]} on: every tree is the commit's\n"
    again = run_ledger(root, "import", "git", f"{base}..line")
    assert (again.returncode, again.stdout) == (0, "topic:5\n")
    assert again.stderr == "nothing to do: run topic has these 1 commit\n"
    for words, code in ((["line"], 2), (["a...b"], 2), (["--root", "a..b"], 2), (["line..line"], 3)):
        assert run_ledger(root, "import", "git", *words).returncode == code
    assert run_ledger(root, "cat", "s", "--at", "line").stdout == "s\n"
