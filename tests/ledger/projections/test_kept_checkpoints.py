"""Checkpoints kept with the code's commits and in files: what stays, what is refused, what verification makes of them."""

from __future__ import annotations

import base64
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from book import Book, File
from forger import Forger, later
from second_reader import read_frames

from ledger import Ledger
from ledger.checkpoint_errors import BadNote, CheckpointInTheWay, NoEvents, NotExtended, UntrustedNote
from ledger.checkpoints import parse_checkpoints
from ledger.errors import GitFailed
from ledger.findings import Finding
from ledger.keys import write_signing_key
from ledger.operations.checkpointing import Checkpointed, Target

NOTES = "refs/notes/ledger"


class Keeper:
    """A repository with a ledger of ``size`` events, and a key."""

    def __init__(self, root: Path, size: int = 5) -> None:
        self.book = Book(root, {b"a.txt": File(b"one\n")}, user_name="Ada", user_email="ada@example.com")
        self.key = root.with_name(f"{root.name}.pem")
        self.public = write_signing_key(self.key, "audit")
        self.grow(size - 2)

    @property
    def directory(self) -> Path:
        return self.book.root / ".git/ledger"

    def grow(self, count: int = 1) -> None:
        with Ledger.open(self.book.root) as ledger:
            for _ in range(count):
                ledger.enter_phase("P2")

    def checkpoint(self, *targets: Target, signed: bool = True) -> Checkpointed:
        with Ledger.open(self.book.root) as ledger:
            return ledger.checkpoint(key=self.key if signed else None, targets=targets)

    def verify(self, *checkpoints: str | Path, keys: bool = False) -> list[Finding]:
        with Ledger.open(self.book.root) as ledger:
            found = list(ledger.verify(checkpoints, [self.public.text] if keys else []))
        return [finding for finding in found if finding.subject == "checkpoint"]

    def forger(self) -> Forger:
        return Forger(self.directory, thorough=True)


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(tmp_path / "repo")


def test_neither_head_nor_branch_nor_file_moves(keeper: Keeper) -> None:
    """Git gets a note and a tag, and nothing else changes: not HEAD, no branch, not the index or the work tree."""
    before = keeper.book.line("for-each-ref"), keeper.book.line("rev-parse", "HEAD"), keeper.book.status()
    made = keeper.checkpoint("git-note", "git-tag")
    tag = f"refs/tags/ledger/checkpoint/{made.checkpoint.ledger[:12]}/5"
    refs = set(keeper.book.line("for-each-ref", "--format=%(refname)").split())
    assert refs - {line.split("\t")[1] for line in before[0].splitlines()} == {NOTES, tag}
    assert (keeper.book.line("rev-parse", "HEAD"), keeper.book.status()) == before[1:]
    assert keeper.book.git("notes", "--ref=ledger", "show") == made.note
    assert keeper.book.git("cat-file", "tag", tag).partition(b"\n\n")[2] == made.note
    assert keeper.book.line("rev-parse", f"{tag}^{{commit}}") == before[1]
    assert made.kept == (f"{NOTES} on {before[1][:12]}", tag)


def test_the_same_again_changes_nothing(keeper: Keeper, tmp_path: Path) -> None:
    """A log that has not grown gives the same bytes, and no second note, tag or commit."""
    file = tmp_path / "file"
    first = keeper.checkpoint("git-note", "git-tag", file)
    refs = keeper.book.line("for-each-ref")
    assert keeper.checkpoint("git-note", "git-tag", file) == first
    assert keeper.book.line("for-each-ref") == refs
    assert file.read_bytes() == first.note


def test_a_note_is_replaced_and_other_ledgers_keep_theirs(keeper: Keeper, tmp_path: Path) -> None:
    """Two clones have a ledger each; on one commit, each ledger's newest checkpoint stands, the other's untouched."""
    other = Keeper(tmp_path / "other")
    theirs = other.checkpoint(signed=False)
    keeper.book.git("notes", "--ref=ledger", "add", "-F", "-", data=theirs.note)
    keeper.checkpoint("git-note")
    keeper.grow()
    newest = keeper.checkpoint("git-note")
    stored = parse_checkpoints(keeper.book.git("notes", "--ref=ledger", "show"))
    assert [each.checkpoint for each in stored] == [theirs.checkpoint, newest.checkpoint]
    (finding,) = keeper.verify()
    assert finding.outcome == "unproved"
    assert "extends what this repository keeps (1, the newest at position 6)" in finding.message
    assert "1 of other ledgers" in finding.message
    (finding,) = keeper.verify("HEAD", keys=False)[:1]
    assert (finding.outcome, finding.message[:4]) == ("failed", "HEAD")


def test_notes_of_two_clones_are_merged_by_git(keeper: Keeper, tmp_path: Path) -> None:
    """Both noted the same commit: `git notes merge --strategy=union` keeps both, and each ledger finds its own."""
    keeper.book.git("clone", "--quiet", ".", str(tmp_path / "clone"))
    clone = Keeper.__new__(Keeper)
    clone.book, clone.key, clone.public = Book.__new__(Book), keeper.key, keeper.public
    clone.book.root = tmp_path / "clone"
    for field in ("name", "email"):
        clone.book.git("config", f"user.{field}", "Bea")
    clone.grow(7)
    mine, theirs = keeper.checkpoint("git-note"), clone.checkpoint("git-note")
    keeper.book.git("fetch", "--quiet", str(clone.book.root), f"{NOTES}:{NOTES}-theirs")
    keeper.book.git("notes", "--ref=ledger", "merge", "--quiet", "--strategy=union", f"{NOTES}-theirs")
    stored = parse_checkpoints(keeper.book.git("notes", "--ref=ledger", "show"))
    assert {each.checkpoint for each in stored} == {mine.checkpoint, theirs.checkpoint}
    assert [finding.outcome for finding in keeper.verify(keys=True)] == ["ok"]
    keeper.grow()
    newest = keeper.checkpoint("git-note")
    stored = parse_checkpoints(keeper.book.git("notes", "--ref=ledger", "show"))
    assert [each.checkpoint for each in stored] == [theirs.checkpoint, newest.checkpoint]


def test_what_is_no_checkpoint_is_not_overwritten(keeper: Keeper, tmp_path: Path) -> None:
    """A note, a tag or a file that says something else stays, and so does another ledger's checkpoint."""
    other = Keeper(tmp_path / "other").checkpoint()
    file, foreign = tmp_path / "file", tmp_path / "foreign"
    file.write_bytes(b"shopping list\n")
    foreign.write_bytes(other.note)
    os.mkfifo(tmp_path / "pipe")
    keeper.book.git("notes", "--ref=ledger", "add", "-m", "by hand")
    keeper.book.git("tag", f"ledger/checkpoint/{keeper.checkpoint().checkpoint.ledger[:12]}/5")
    targets: list[tuple[Target, str]] = [
        ("git-note", "holds something else: its first line"),
        ("git-tag", "a tag that says something else"),
        (file, "file: holds something else"),
        (foreign, "foreign: holds a checkpoint of ledger"),
        (tmp_path / "pipe", "not a regular file"),
        (tmp_path, "not a regular file"),
    ]
    before = keeper.book.line("for-each-ref")
    for target, reason in targets:
        with pytest.raises(CheckpointInTheWay, match=reason):
            keeper.checkpoint(target)
    assert keeper.book.line("for-each-ref") == before
    assert (file.read_bytes(), foreign.read_bytes()) == (b"shopping list\n", other.note)
    assert sorted(finding.outcome for finding in keeper.verify()) == ["unproved", "warning", "warning"]


def test_a_file_holds_the_newest(keeper: Keeper, tmp_path: Path) -> None:
    """It is replaced by each later checkpoint, through a symlink to where it lies, and nothing is left beside it."""
    (tmp_path / "elsewhere").mkdir()
    real, link = tmp_path / "elsewhere/file", tmp_path / "link"
    link.symlink_to(real)
    for signed in (False, True, False):
        assert real.exists() == link.exists()
        made = keeper.checkpoint(link, signed=signed)
        assert real.read_bytes() == made.note
        keeper.grow()
    assert link.is_symlink()
    assert list(real.parent.iterdir()) == [real]


@pytest.mark.parametrize("target", ["git-note", "git-tag"])
def test_what_the_repository_keeps_is_a_witness(keeper: Keeper, target: Target) -> None:
    """Unasked, verification misses what was dropped; and no checkpoint of what is left is made in its place."""
    keeper.checkpoint(target)
    keeper.forger().drop(1)
    assert "damaged" in [finding.outcome for finding in keeper.verify()]
    for again in ("git-note", "git-tag"):
        with pytest.raises(NotExtended, match="had 5 events then, and has 4"):
            keeper.checkpoint(again)
    keeper.grow(3)
    assert "it had " in next(each.message for each in keeper.verify() if each.outcome == "damaged")
    with pytest.raises(NotExtended, match="the frame at position 5 is another one"):
        keeper.checkpoint("git-tag")


def test_a_pushed_tag_survives_the_attacker(keeper: Keeper, tmp_path: Path) -> None:
    """Deleted here, it comes back from where it was pushed to, and proves the loss."""
    keeper.book.git("init", "--quiet", "--bare", str(tmp_path / "remote"))
    (tag,) = keeper.checkpoint("git-tag").kept
    keeper.book.git("push", "--quiet", str(tmp_path / "remote"), tag)
    forger = keeper.forger()
    forger.forge(2, later(forger.events()[1:]))
    keeper.book.git("update-ref", "-d", tag)
    assert [finding.outcome for finding in keeper.verify()] == ["unproved"]
    keeper.book.git("fetch", "--quiet", str(tmp_path / "remote"), f"{tag}:{tag}")
    assert [finding.outcome for finding in keeper.verify()] == ["damaged", "unproved"]
    assert [finding.outcome for finding in keeper.verify(tag, keys=True)] == ["damaged", "unproved"]


def test_a_signature_makes_a_kept_checkpoint_a_proof(keeper: Keeper) -> None:
    """With the public key it counts, wherever it lies; of several, the newest is shown."""
    keeper.checkpoint("git-tag")
    keeper.grow(2)
    keeper.checkpoint("git-tag")
    keeper.grow()
    keeper.checkpoint("git-note", signed=False)
    (finding,) = keeper.verify(keys=True)
    assert finding.outcome == "ok"
    assert "proved up to position 7, the one after it is not covered; signed by audit" in finding.message


@pytest.mark.parametrize("source", ["HEAD", NOTES, "notes/ledger", "HEAD:kept", "TAG", "refs/tags/TAG"])
def test_a_revision_names_a_checkpoint(keeper: Keeper, source: str) -> None:
    """A tag, the notes, a commit with a note, a committed file can be named; unsigned, it proves nothing."""
    keeper.book.path(b"kept").write_bytes(keeper.checkpoint().note)
    keeper.book.git("add", "kept")
    keeper.book.git("commit", "--quiet", "-m", "kept")
    made = keeper.checkpoint("git-note", "git-tag")
    name = source.replace("TAG", f"ledger/checkpoint/{made.checkpoint.ledger[:12]}/5")
    assert {finding.outcome for finding in keeper.verify(name, keys=True)} == {"ok"}
    assert [finding.outcome for finding in keeper.verify(name)] == ["unproved"]


@pytest.mark.parametrize(
    "source", ["nowhere", "HEAD", "HEAD^{tree}", "HEAD:a.txt", "HEAD~~", ":", "..", "a.txt", ""]
)
def test_what_names_no_checkpoint(keeper: Keeper, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file, no revision, a commit without a note, a file with something else: refused before anything is read."""
    monkeypatch.chdir(keeper.book.root)
    with pytest.raises((BadNote, IsADirectoryError)):
        keeper.verify(source)


def test_an_unsigned_or_strangely_signed_one_is_refused_where_a_key_is_asked_for(
    keeper: Keeper, tmp_path: Path
) -> None:
    """A caller who gives a key is never satisfied by less."""
    unsigned, strange = tmp_path / "unsigned", tmp_path / "strange"
    unsigned.write_bytes(keeper.checkpoint(signed=False).note)
    other = write_signing_key(tmp_path / "other.pem", "audit")
    with Ledger.open(keeper.book.root) as ledger:
        strange.write_bytes(ledger.checkpoint(key=tmp_path / "other.pem").note)
    for file, said in ((unsigned, "signed by nobody"), (strange, f"signed by audit\\+{other.key_id.hex()}")):
        assert [finding.outcome for finding in keeper.verify(file)] == ["ok"]
        with pytest.raises(UntrustedNote, match=f"{file}: {said}"):
            keeper.verify(file, keys=True)


def test_others_may_write_meanwhile(keeper: Keeper, tmp_path: Path) -> None:
    """Made and kept while another process appends, each checkpoint is of one moment, and the log extends them all."""
    done = threading.Event()

    def write() -> None:
        keeper.grow(60)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    files: list[Path] = []
    while not done.is_set():
        files.append(tmp_path / f"checkpoint-{len(files)}")
        keeper.checkpoint(files[-1], tmp_path / "newest", "git-note")
    writer.join()
    sizes = [parse_checkpoints(file.read_bytes())[0].checkpoint.size for file in files]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 1
    assert {finding.outcome for finding in keeper.verify(*files, keys=True)} == {"ok"}


def test_the_second_reader_makes_the_same(keeper: Keeper) -> None:
    """From the document alone: the frames that it reads give the three lines."""
    frames = read_frames(keeper.directory)
    head = base64.b64encode(bytes.fromhex(frames[-1].h)).decode()
    assert (
        keeper.checkpoint(signed=False).note.decode()
        == f"ledger/1 chain {frames[0].h}\n{len(frames)}\n{head}\n"
    )


def test_an_empty_ledger_has_no_checkpoint(tmp_path: Path) -> None:
    """There is no first frame to call it by."""
    keeper = Keeper(tmp_path / "repo", size=2)
    with Ledger.open(keeper.book.root) as ledger:
        _ = ledger.enter_phase("P1")
    (log,) = (keeper.directory / "log").iterdir()
    log.write_bytes(b"")
    (keeper.directory / "durable").unlink()
    with pytest.raises(NoEvents):
        keeper.checkpoint()


def test_without_a_commit_there_is_nothing_to_note_or_tag(
    make_repo: Callable[..., Path], tmp_path: Path
) -> None:
    """A repository that has no commit yet keeps its checkpoints in files."""
    root = make_repo({}, commit=False)
    with Ledger.open(root) as ledger:
        ledger.enter_phase("P1")
        for target in ("git-note", "git-tag"):
            with pytest.raises(CheckpointInTheWay, match="no commit yet"):
                ledger.checkpoint(targets=[target])
        made = ledger.checkpoint(targets=[tmp_path / "file"])
    assert (tmp_path / "file").read_bytes() == made.note


def test_git_says_why_it_refuses(keeper: Keeper) -> None:
    """Without an identity Git makes no tag; its own words are passed on, and nothing was made."""
    for field in ("name", "email"):
        keeper.book.git("config", "--unset", f"user.{field}")
    keeper.book.git("config", "user.useConfigOnly", "true")
    before = keeper.book.line("for-each-ref")
    with pytest.raises(GitFailed, match="git tag"):
        keeper.checkpoint("git-tag")
    assert keeper.book.line("for-each-ref") == before
