"""The workspace from Python: runs, patches, refusals, commits, and what a run does when HEAD moves."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from book import Book, File, Files, damage

from ledger.api import Ledger
from ledger.errors import (
    Busy,
    HeadMoved,
    LedgerError,
    NoLedger,
    NoRun,
    NoWorkTree,
    ProjectionPending,
    RunName,
    RunOpen,
)
from ledger.events import CommitSeen, PatchApplied, PatchRefused, RunFinished, RunStarted
from ledger.stamps import Stamp
from ledger.store.local import LocalStore
from ledger.store.locks import Lock
from patches.errors import EmptyPatch, HunkMismatch, MissingObject, PatchSyntaxError
from patches.model import MODE_EXECUTABLE
from patches.worktree_errors import IndexLocked, InTheWay

BASE: Files = {
    b"a.txt": File(b"one\ntwo\nthree\n"),
    b"b.txt": File(b"bee\n"),
    b"dir/c.txt": File(b"sea\n"),
    b".gitignore": File(b"*.log\n"),
}


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "repo", BASE)


@pytest.fixture
def ledger(book: Book) -> Iterator[Ledger]:
    with Ledger.open(book.root) as opened:
        yield opened


def patch_to(book: Book, path: bytes, data: bytes | None, files: Files = BASE) -> bytes:
    """Return the patch that gives ``path`` other content in ``files``."""
    after = {each: file for each, file in files.items() if each != path}
    if data is not None:
        after[path] = File(data)
    return book.diff(book.write_tree(files), book.write_tree(after))


def kinds(ledger: Ledger, run: str | None = None) -> list[str]:
    return [event.kind.partition("/")[0] for event in ledger.events(run)]


# Runs


def test_the_first_patch_starts_a_run_in_the_same_group(book: Book, ledger: Ledger) -> None:
    """Run, policy and patch appear together: there is no moment with a run that holds nothing."""
    applied = ledger.apply(patch_to(book, b"a.txt", b"uno\n"), source="dir/fix-it.diff")
    assert applied.started.startswith("fix-it-")
    assert applied.event == f"{applied.started}:3"
    assert kinds(ledger) == ["run.started", "policy.set", "patch.applied"]
    assert [frame.n for frame in ledger.store.frames()] == [2, 1, 0]


def test_a_refused_patch_without_a_run_leaves_nothing(book: Book, ledger: Ledger) -> None:
    """No run is begun for a patch that does not apply."""
    with pytest.raises(HunkMismatch):
        ledger.apply(patch_to(book, b"a.txt", b"x\n", {**BASE, b"a.txt": File(b"other\n")}))
    assert ledger.runs() == []
    assert book.git("for-each-ref", "refs/ledger") == b""


def test_a_refused_patch_in_a_run_is_an_event(book: Book, ledger: Ledger) -> None:
    """The refusal keeps patch and message; tree, index and work tree are as before."""
    bad = patch_to(book, b"a.txt", b"x\n", {**BASE, b"a.txt": File(b"other\n")})
    with pytest.raises(HunkMismatch, match="hunk 1 of 1") as caught, ledger.run("try", name="try") as run:
        run.apply(bad, source="bad.diff")
    event = ledger.event("try:3")
    assert isinstance(event, PatchRefused)
    assert ledger.body(event.patch) == bad
    assert ledger.body(event.reason).decode() == str(caught.value)
    assert (event.error, event.source) == ("HunkMismatch", "bad.diff")
    assert caught.value.__notes__ == [
        "recorded as try:3",
        "asked as try:4: it is answered where the patch applies",
    ]
    book.assert_followed(book.write_tree(BASE))


def test_an_object_that_cannot_be_read_refuses_no_patch(book: Book, ledger: Ledger) -> None:
    """It says nothing of the patch: nothing is recorded, and the same patch applies once the object is back."""
    ledger.run("work", name="work")
    oid = book.line("rev-parse", "HEAD:a.txt")
    lost = book.root / ".git/objects" / oid[:2] / oid[2:]
    data = lost.read_bytes()
    lost.unlink()
    patch = b"--- a/a.txt\n+++ b/a.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+zwei\n three\n"
    with pytest.raises(MissingObject, match=oid):
        ledger.apply(patch)
    assert [event.kind for event in ledger.events()] == ["run.started/1", "policy.set/1"]
    lost.write_bytes(data)
    assert ledger.apply(patch).event == "work:3"


@pytest.mark.parametrize("data", [b"", b"no diff here\n", b"\0\1\2\xff" * 100])
def test_what_is_no_patch_is_not_recorded(book: Book, ledger: Ledger, data: bytes) -> None:
    """Nothing is appended for text that holds no patch, also in an open run."""
    run = ledger.run("try")
    with pytest.raises((EmptyPatch, PatchSyntaxError)):
        run.apply(data)
    assert kinds(ledger) == ["run.started", "policy.set"]


def test_a_run_context_finishes_at_the_end_and_stays_open_on_an_exception(ledger: Ledger) -> None:
    """After an exception one can look and go on."""
    with ledger.run("good", name="good"):
        pass
    assert kinds(ledger, "good") == ["run.started", "policy.set", "run.finished"]
    with pytest.raises(ZeroDivisionError), ledger.run("bad", name="bad"):
        raise ZeroDivisionError
    assert ledger.current_run().name == "bad"


@pytest.mark.duckdb
def test_the_end_of_a_run_seals_what_is_full(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments that were closed by then; one whose copy finds no room waits, and the run has ended all the same."""
    monkeypatch.setattr("ledger.store.writer.SEGMENT_SIZE_BYTES", 500)

    def full(self: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, ledger.run("first", name="first"):
        patch.setattr("ledger.store.archive.Archive.seal_closed", full)
    waiting = ledger.store.segments.logged()
    assert len(waiting) > 1
    assert kinds(ledger, "first")[-1] == "run.finished"
    before = list(ledger.events("first"))
    with ledger.run("second", name="second"):
        pass
    assert len(ledger.store.segments.logged()) == 1
    assert ledger.store.segments.sealed.firsts()[: len(waiting)] == waiting
    assert list(ledger.events("first")) == before


def test_a_second_open_run_is_refused(ledger: Ledger) -> None:
    """One work tree has one open run."""
    ledger.run("first", name="first")
    with pytest.raises(RunOpen, match="first"):
        ledger.run("second")
    assert [head.run for head in ledger.runs()] == ["first"]


def test_a_finished_run_takes_nothing_more(book: Book, ledger: Ledger) -> None:
    """A handle of a finished run is refused; it never writes into the next run."""
    with ledger.run("first", name="first") as run:
        pass
    ledger.run("second", name="second")
    for write in (lambda: run.apply(patch_to(book, b"a.txt", b"x\n")), run.record, run.finish):
        with pytest.raises(NoRun):
            write()
    assert kinds(ledger, "second") == ["run.started", "policy.set"]


@pytest.mark.parametrize("name", ["ledger", "Upper", "1st", "a b", "a..b", "x.lock", "a/b", "x" * 80, "-x"])
def test_names_that_are_none(ledger: Ledger, name: str) -> None:
    """A run name must be usable in references, refs and file names."""
    with pytest.raises(RunName):
        ledger.run("title", name=name)


def test_a_name_is_used_once(ledger: Ledger) -> None:
    """Also after its run was finished."""
    with ledger.run("t", name="once"):
        pass
    with pytest.raises(RunName, match="exists"):
        ledger.run("t", name="once")


def test_a_generated_name_that_is_taken_is_drawn_again(book: Book) -> None:
    """Four random digits meet sooner or later, and nobody asked for that name."""
    drawn = [bytes(4), bytes(4), b"\x01" * 4]
    stamp = Stamp(entropy=lambda size: drawn.pop(0) if size == 4 else os.urandom(size))
    with Ledger.open(book.root, stamp=stamp) as ledger:
        for _ in range(2):
            with ledger.run("same title"):
                pass
        assert [head.run for head in ledger.runs()] == ["same-title-1111", "same-title-0000"]


@pytest.mark.parametrize("title", ["", "Ünïcödé ✓", "123 go", "-- x --", "a" * 200, "line\nbreak"])
def test_any_title_makes_a_name(ledger: Ledger, title: str) -> None:
    """The title is kept as it is; the name is made of what fits."""
    with ledger.run(title) as run:
        assert run.head.title == title
    assert kinds(ledger, run.name)[-1] == "run.finished"


# Patches


def test_already_applied_changes_nothing(book: Book, ledger: Ledger) -> None:
    """The answer names the event that the candidate stands at; nothing is appended."""
    fix = patch_to(book, b"a.txt", b"one\n2\nthree\n")
    first = ledger.apply(fix)
    again = ledger.apply(fix)
    assert again.already
    assert (again.event, again.tree, again.files) == (first.event, first.tree, ())
    assert len(list(ledger.store.frames())) == 3


def test_a_change_of_mode_that_is_there_already(book: Book, ledger: Ledger) -> None:
    """Such a patch applies to any mode, as in Git; where it changes nothing there is no event."""
    executable = {**BASE, b"a.txt": File(BASE[b"a.txt"].data, MODE_EXECUTABLE)}
    patch = book.diff(book.write_tree(BASE), book.write_tree(executable))
    first = ledger.apply(patch)
    again = ledger.apply(patch)
    assert (again.already, again.event, again.tree) == (True, first.event, first.tree)
    assert kinds(ledger) == ["run.started", "policy.set", "patch.applied"]


def test_already_in_head_starts_no_run(book: Book, ledger: Ledger) -> None:
    """Without a run the candidate is HEAD's tree; a patch that it has needs no event."""
    other = {**BASE, b"a.txt": File(b"before\n")}
    applied = ledger.apply(book.diff(book.write_tree(other), book.write_tree(BASE)))
    assert (applied.already, applied.event, ledger.runs()) == (True, "", [])


def test_note_source_and_actor_are_kept(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """Free text is a body; the actor is what LEDGER_ACTOR claims."""
    monkeypatch.setenv("LEDGER_ACTOR", "agent:codex:4f1c")
    with Ledger.open(book.root) as ledger:
        applied = ledger.apply(patch_to(book, b"a.txt", b"x\n"), source="x.diff", note="because ✓\n")
        event = ledger.event(applied.event)
        assert isinstance(event, PatchApplied)
        assert ledger.body(event.note or "").decode() == "because ✓\n"
        assert (event.actor.kind, event.actor.name, event.actor.session) == ("agent", "codex", "4f1c")


def test_several_dirty_files_are_all_named_and_nothing_is_written(book: Book, ledger: Ledger) -> None:
    """All or nothing, also where a later file is in the way."""
    target = {**BASE, b"a.txt": File(b"x\n"), b"b.txt": File(b"y\n"), b"new": File(b"z\n")}
    fix = book.diff(book.write_tree(BASE), book.write_tree(target))
    book.put(b"b.txt", File(b"mine\n"))
    book.put(b"new", File(b"mine too\n"))
    before = book.work_files()
    with pytest.raises(InTheWay) as caught:
        ledger.apply(fix)
    assert caught.value.paths == (b"new", b"b.txt")
    assert book.work_files() == before
    assert ledger.runs() == []


def test_an_index_lock_of_another_process_is_respected(book: Book, ledger: Ledger) -> None:
    """A lock before the commit point is a refusal; nothing was recorded."""
    lock = book.root / ".git/index.lock"
    lock.write_bytes(b"")
    with pytest.raises(IndexLocked):
        ledger.apply(patch_to(book, b"a.txt", b"x\n"))
    lock.unlink()
    assert ledger.apply(patch_to(book, b"a.txt", b"x\n")).event


def test_a_projection_that_cannot_follow_is_finished_by_the_next_command(
    book: Book, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event is recorded, the error says so, `status` shows it, and any writing command ends it."""
    from patches.worktree import WorkTree

    first = ledger.apply(patch_to(book, b"b.txt", b"x\n"))

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(WorkTree, "publish", refuse)
        with pytest.raises(ProjectionPending, match=f"{first.started}:4 is recorded"):
            ledger.apply(patch_to(book, b"a.txt", b"x\n"))
    assert book.work_files()[b"a.txt"] == BASE[b"a.txt"]
    assert ledger.status().pending
    ledger.finish()
    assert book.work_files()[b"a.txt"] == File(b"x\n")
    assert not ledger.status().pending
    assert damage(ledger) == []


# HEAD


def test_a_commit_of_the_candidate_is_seen(book: Book, ledger: Ledger) -> None:
    """The next writing command links the commit to the event whose tree it has."""
    applied = ledger.apply(patch_to(book, b"a.txt", b"x\n"))
    book.git("commit", "--quiet", "-m", "candidate")
    ledger.apply(patch_to(book, b"b.txt", b"y\n"))
    seen = [event for event in ledger.events() if isinstance(event, CommitSeen)]
    assert [(event.commit, event.state_v) for event in seen] == [(book.line("rev-parse", "HEAD"), 3)]
    assert seen[0].tree == applied.tree
    assert kinds(ledger) == ["run.started", "policy.set", "patch.applied", "commit.seen", "patch.applied"]


def test_an_amended_message_is_seen_and_amended_content_is_a_move(book: Book, ledger: Ledger) -> None:
    """What counts is the tree that HEAD has."""
    ledger.apply(patch_to(book, b"a.txt", b"x\n"))
    book.git("commit", "--quiet", "-m", "candidate")
    book.git("commit", "--quiet", "--amend", "-m", "better words")
    ledger.apply(patch_to(book, b"b.txt", b"y\n"))
    assert kinds(ledger)[3:] == ["commit.seen", "patch.applied"]
    book.put(b"b.txt", File(b"zzz\n"))
    book.git("commit", "--quiet", "--amend", "--all", "-m", "amended")
    book.put(b"b.txt", File(b"other still\n"))
    with pytest.raises(HeadMoved):
        ledger.record()


@pytest.mark.parametrize("command", ["apply", "record"])
def test_a_foreign_commit_stops_writing_commands(book: Book, ledger: Ledger, command: str) -> None:
    """After a checkout or pull the run's patches would land on a base that they were not made for."""
    ledger.apply(patch_to(book, b"a.txt", b"x\n"))
    tree = book.write_tree({**BASE, b"pulled": File(b"by somebody\n")})
    commit = book.line("commit-tree", "-p", "HEAD", "-m", "pulled", tree)
    book.git("update-ref", "HEAD", commit)
    count = len(list(ledger.events()))
    with pytest.raises(HeadMoved, match=commit[:12]):
        ledger.record() if command == "record" else ledger.apply(patch_to(book, b"b.txt", b"y\n"))
    assert len(list(ledger.events())) == count
    ledger.finish()


def test_record_explains_a_commit_made_by_hand(book: Book, ledger: Ledger) -> None:
    """Edit, commit, then record: one drift event, and the commit is linked to it."""
    ledger.run("work", name="work")
    book.put(b"a.txt", File(b"edited\n"))
    book.git("commit", "--quiet", "--all", "-m", "by hand")
    applied = ledger.record(note="by hand")
    assert applied.tree == book.line("rev-parse", "HEAD^{tree}")
    assert kinds(ledger) == ["run.started", "policy.set", "patch.applied", "commit.seen"]
    assert ledger.event("work:4").state_v == 3  # type: ignore[union-attr]


def test_a_detached_head_is_no_branch(book: Book, ledger: Ledger) -> None:
    """The run names the commit and no branch; the patch applies as ever."""
    book.git("checkout", "--quiet", "--detach")
    ledger.apply(patch_to(book, b"a.txt", b"x\n"))
    started = next(ledger.events())
    assert isinstance(started, RunStarted)
    assert (started.branch, started.head) == (None, book.line("rev-parse", "HEAD"))


def test_an_empty_repository(tmp_path: Path) -> None:
    """Without a commit the base is the empty tree, and the first commit is seen."""
    book = Book(tmp_path / "empty")
    with Ledger.open(book.root) as ledger:
        applied = ledger.apply(book.diff(book.write_tree({}), book.write_tree(BASE)))
        book.assert_followed(applied.tree)
        started = next(ledger.events())
        assert isinstance(started, RunStarted)
        assert (started.head, started.branch) == (None, "main")
        book.git("commit", "--quiet", "-m", "first")
        ledger.finish()
        assert kinds(ledger)[-1] == "run.finished"
        assert damage(ledger) == []


def test_recording_in_an_empty_repository(tmp_path: Path) -> None:
    """Everything that lies there is the first patch."""
    book = Book(tmp_path / "empty")
    book.put(b"x", File(b"x\n"))
    with Ledger.open(book.root) as ledger:
        assert ledger.record().tree == book.write_tree({b"x": File(b"x\n")})


# Several work trees, several processes


def test_linked_work_trees_have_their_own_runs(book: Book, ledger: Ledger, tmp_path: Path) -> None:
    """One ledger, one open run for each work tree; neither is in the other's way."""
    book.git("worktree", "add", "--quiet", str(tmp_path / "other"))
    ledger.apply(patch_to(book, b"a.txt", b"x\n"))
    with Ledger.open(tmp_path / "other") as second:
        assert second.path == ledger.path
        assert second.status().run is None
        applied = second.apply(patch_to(book, b"b.txt", b"y\n"))
        assert (tmp_path / "other/b.txt").read_bytes() == b"y\n"
        assert book.work_files()[b"b.txt"] == BASE[b"b.txt"]
        assert sorted(head.work_tree for head in ledger.runs()) == ["", "other"]
        assert second.resolve("@")[0] == applied.started
        assert ledger.resolve("@")[0] != applied.started
        assert damage(second) == []


def test_a_work_tree_of_a_bare_repository(book: Book, tmp_path: Path) -> None:
    """The layout with a bare repository in the middle: its work trees are full ones."""
    book.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"))
    book.git("-C", str(tmp_path / "bare.git"), "worktree", "add", "--quiet", str(tmp_path / "main"), "main")
    with Ledger.open(tmp_path / "main") as ledger:
        ledger.apply(patch_to(book, b"a.txt", b"x\n"))
        assert (tmp_path / "main/a.txt").read_bytes() == b"x\n"
        (tmp_path / "main/new").write_bytes(b"new\n")
        assert [file.path for file in ledger.record().files] == [b"new"]
        assert damage(ledger) == []


def test_a_bare_repository(book: Book, tmp_path: Path) -> None:
    """Patches apply; there is nothing to record."""
    book.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"))
    with Ledger.open(tmp_path / "bare.git") as ledger:
        applied = ledger.apply(patch_to(book, b"a.txt", b"x\n"))
        assert applied.tree == book.write_tree({**BASE, b"a.txt": File(b"x\n")})
        with pytest.raises(NoWorkTree):
            ledger.record()
        assert ledger.status().drift == ()
        assert damage(ledger) == []


def test_a_repository_whose_git_directory_lies_elsewhere(tmp_path: Path) -> None:
    """`git init --separate-git-dir`: the ledger lies in the Git directory, not beside the files."""
    book = Book(tmp_path / "repo", BASE)
    fix = patch_to(book, b"a.txt", b"x\n")
    book.git("init", "--quiet", "--separate-git-dir", str(tmp_path / "elsewhere.git"))
    with Ledger.open(book.root / "dir") as ledger:
        ledger.apply(fix)
        assert ledger.path == tmp_path / "elsewhere.git/ledger"
    assert book.path(b"a.txt").read_bytes() == b"x\n"


def test_racing_ledgers_end_in_one_order(book: Book) -> None:
    """Many at once on one work tree: each patch lands once or is refused as a whole, never merged."""
    files = {b"f%d" % number: File(b"%d\n" % number) for number in range(8)}
    adds = [patch_to(book, path, file.data) for path, file in files.items()]
    errors: list[BaseException] = []

    def work(mine: list[bytes]) -> None:
        try:
            with Ledger.open(book.root) as each:
                for data in mine:
                    each.apply(data)
        except BaseException as error:  # noqa: BLE001 - shown by the main thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(adds[number::4],)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with Ledger.open(book.root) as ledger:
        assert len(ledger.runs()) == 1
        assert ledger.runs()[0].tree == book.write_tree({**BASE, **files})
        book.assert_followed(ledger.runs()[0].tree)
        assert damage(ledger) == []


def test_a_held_lock_is_waited_for_and_then_named(
    book: Book, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Busy says which lock; nothing was written."""
    monkeypatch.setattr("ledger.workspace.LOCK_TIMEOUT_S", 0.1)
    ledger.run("t")
    with Lock(ledger.path / "locks/tree.main"), pytest.raises(Busy, match=r"tree\.main"):
        ledger.apply(patch_to(book, b"a.txt", b"x\n"))
    book.assert_followed(book.write_tree(BASE))


# What can be made again


def test_deleted_refs_come_back_with_their_objects(book: Book, ledger: Ledger) -> None:
    """Also when Git has pruned every object that only they kept: the log and the base have all of it."""
    trees: list[str] = []
    for number in range(3):
        files = {**BASE, b"a.txt": File(b"%d\n" % number)} if number else BASE
        trees.append(ledger.apply(patch_to(book, b"a.txt", b"%d\n" % (number + 1), files)).tree)
    names = book.git("for-each-ref", "--format=%(objectname) %(refname)", "refs/ledger").decode()
    run = ledger.current_run().name
    book.git("update-ref", "-d", f"refs/ledger/{run}/events")
    book.git("gc", "--quiet", "--prune=now")
    with Ledger.open(book.root) as fresh:
        fresh.finish()
        assert book.git("for-each-ref", "--format=%(objectname) %(refname)", "refs/ledger").decode() == names
        assert [book.line("cat-file", "-t", tree) for tree in trees] == ["tree"] * 3
        assert damage(fresh) == []


def test_deleted_refs_of_finished_runs_come_back(book: Book, ledger: Ledger) -> None:
    """When the next run starts."""
    with ledger.run("one", name="one") as run:
        run.apply(patch_to(book, b"a.txt", b"x\n"))
    names = book.git("for-each-ref", "refs/ledger")
    book.git("update-ref", "-d", "refs/ledger/one/events")
    assert len(damage(ledger)) == 1
    book.git("reset", "--quiet", "--hard")
    ledger.run("two", name="two")
    assert names in book.git("for-each-ref", "refs/ledger")
    assert damage(ledger) == []


@pytest.mark.parametrize("reopen", [False, True])
def test_cache_and_staging_may_go_at_any_time(book: Book, ledger: Ledger, reopen: bool) -> None:
    """Nothing in them is needed, whoever has the ledger open."""
    ledger.apply(patch_to(book, b"a.txt", b"x\n"))
    assert ledger.sql("select count(*) from events").fetchall() == [(3,)]
    for name in ("cache", "staging"):
        shutil.rmtree(ledger.path / name)
    if reopen:
        ledger.close()
        ledger = Ledger.open(book.root)
    assert ledger.status().run is not None
    ledger.apply(patch_to(book, b"b.txt", b"y\n"))
    assert ledger.sql("select count(*) from events").fetchall() == [(4,)]
    assert damage(ledger) == []


def test_reading_makes_no_ledger(book: Book, ledger: Ledger) -> None:
    """Every reading call in a repository without one leaves the Git directory as it is."""
    before = sorted(path.name for path in (book.root / ".git").iterdir())
    assert ledger.status().run is None
    for read in (ledger.runs, ledger.resolve, ledger.state, lambda: ledger.sql("from runs")):
        with pytest.raises(NoLedger):
            read()
    with pytest.raises(LedgerError):
        list(ledger.verify())
    assert sorted(path.name for path in (book.root / ".git").iterdir()) == before


def test_reading_changes_nothing_but_the_cache(book: Book, ledger: Ledger) -> None:
    """Neither repository nor ledger: status with drift stores no object and no index."""
    ledger.apply(patch_to(book, b"a.txt", b"x\n"))
    book.put(b"drift", File(b"drifted\n"))

    def listing() -> dict[str, bytes]:
        paths = (book.root / ".git").rglob("*")
        return {str(p): p.read_bytes() for p in paths if "cache" not in p.parts and p.is_file()}

    before = listing()
    assert [drift.path for drift in ledger.status().drift] == [b"drift"]
    ledger.state()
    list(ledger.replay())
    list(ledger.verify())
    ledger.sql("from patches").fetchall()
    assert listing() == before


def test_a_run_that_is_finished_names_its_tree(book: Book, ledger: Ledger) -> None:
    """The last event says what the candidate was."""
    with ledger.run("r", name="r") as run:
        applied = run.apply(patch_to(book, b"a.txt", b"x\n"))
    last = ledger.event("r:@")
    assert isinstance(last, RunFinished)
    assert last.tree == applied.tree


def test_an_append_that_fails_leaves_nothing_aside(
    book: Book, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that were staged for an event that never came into the log are removed at once."""
    ledger.run("t")
    before = book.work_files()

    def full(store: LocalStore, *arguments: object) -> None:
        staged = list((book.root / ".git/ledger/staging/main").iterdir())
        assert staged, "the new files wait aside at this moment"
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(LocalStore, "append", full)
    with pytest.raises(OSError, match="No space left"):
        ledger.apply(patch_to(book, b"a.txt", b"x\n"))
    assert list((book.root / ".git/ledger/staging/main").iterdir()) == []
    assert book.work_files() == before


def test_a_patch_of_another_run_is_taken_as_a_patch_of_ones_own(ledger: Ledger, book: Book) -> None:
    """Its version means nothing here: the event says `of` only where the patch is the run's own."""
    with ledger.run("first") as run:
        applied = run.apply(patch_to(book, b"a.txt", b"x\n"))
    book.git("checkout", "-q", "HEAD", "--", ".")
    ledger.run("second")
    again = ledger.event(ledger.apply_again(applied.event).event)
    assert isinstance(again, PatchApplied)
    assert again.of is None
    ledger.undo()
    own = ledger.event(ledger.apply_again(again.reference).event)
    assert isinstance(own, PatchApplied)
    assert own.of == again.v
