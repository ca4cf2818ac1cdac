"""Health: each ill is made for real, and the doctor says it with what helps; where nothing is ill it is silent.

That nothing is written is compared byte for byte; who holds a lock with the process that does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.api import Ledger
from ledger.health import Check
from ledger.operations.retention import GRACE_NS
from ledger.store.disk import boot_id
from ledger.store.holders import lock_holders

sys.path.insert(0, str(Path(__file__).parents[1]))
from book import Book, File, Files

OFF = "".join(f"[gates.{name}]\nmode = 'off'\nreason = 'slow'\n" for name in ("lint", "tests", "cov"))
CONFIGURED = f'[gates.own]\ncommand = "git --version"\n{OFF}'
BASE: Files = {
    b"a.txt": File(b"one\ntwo\n"),
    b"b.txt": File(b"bee\n"),
    b"ledger.toml": File(CONFIGURED.encode()),
}


@pytest.fixture
def book(tmp_path: Path) -> Book:
    """A repository with an open run that holds one patch: nothing is ill."""
    book = Book(tmp_path / "repo", BASE)
    with Ledger.open(book.root) as ledger:
        ledger.run("work", name="work")
        ledger.apply(book.diff("HEAD", book.write_tree({**BASE, b"a.txt": File(b"one\nzwei\n")})))
    return book


@pytest.fixture
def root(book: Book) -> Path:
    return book.root / ".git" / "ledger"


def examine(book: Book) -> dict[str, Check]:
    with Ledger.open(book.root) as ledger:
        checks = list(ledger.health())
    found = {check.name: check for check in checks}
    assert len(found) == len(checks)
    for check in checks:
        assert check.found
        assert check.state in ("ok", "not-applicable") or check.hint.count("`") >= 2, check
    return found


def ills(book: Book) -> dict[str, str]:
    return {name: check.state for name, check in examine(book).items() if check.state in ("warning", "error")}


def everything(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_healthy_repository_has_no_warning_and_is_as_before(book: Book) -> None:
    """Every check was made; not one byte of repository or ledger is another, caches included."""
    before = everything(book.root)
    found = examine(book)
    assert {check.state for check in found.values()} == {"ok"}, found
    assert found["format"].found.startswith("ledger/1, ")
    assert found["chain"].found.startswith("3 events")
    assert found["gate-tools"].found == book.line("--version").replace(" version", "")
    assert everything(book.root) == before


def test_where_nothing_was_recorded_nothing_is_wrong(tmp_path: Path) -> None:
    book = Book(tmp_path / "repo", BASE)
    before = everything(book.root)
    assert {name: check.state for name, check in examine(book).items()} == {
        "format": "not-applicable",
        "index-lock": "ok",
        "configuration": "ok",
        "gate-tools": "ok",
    }
    assert everything(book.root) == before


def test_another_format_is_an_error_and_nothing_else_is_believed(book: Book, root: Path) -> None:
    (root / "FORMAT").write_bytes(b"ledger/9\n")
    found = examine(book)
    assert found["format"].state == "error"
    assert "ledger/9" in found["format"].found
    assert "chain" not in found


@pytest.mark.parametrize("cached", [True, False])
def test_a_log_that_lost_its_end_is_damaged(book: Book, root: Path, *, cached: bool) -> None:
    """What was acknowledged is gone: whether or not a journal of heads remembers it."""
    (log,) = (root / "log").iterdir()
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))
    if not cached:
        (root / "cache/heads").unlink()
    assert ills(book) == {"chain": "error"}


def test_a_last_event_that_was_changed_is_damaged(book: Book, root: Path) -> None:
    (log,) = (root / "log").iterdir()
    data = bytearray(log.read_bytes())
    data[-10] ^= 1
    log.write_bytes(data)
    assert ills(book) == {"chain": "error"}


def test_a_torn_end_is_a_warning_and_stays_for_a_writer_to_set_aside(book: Book, root: Path) -> None:
    (log,) = (root / "log").iterdir()
    with log.open("ab") as file:
        file.write(b'{"h":"12')
    assert ills(book) == {"chain": "warning"}
    assert log.read_bytes().endswith(b'{"h":"12')
    with Ledger.open(book.root) as ledger:
        ledger.enter_phase("P2")
    found = examine(book)
    assert (found["chain"].state, found["quarantine"].state) == ("ok", "ok")
    assert "8 bytes" in found["quarantine"].found


def test_a_disk_that_refused_is_an_error_until_the_next_start(book: Book, root: Path) -> None:
    (root / "unsynced.another-boot").write_text("[Errno 5] Input/output error\n")
    assert ills(book) == {}
    (root / f"unsynced.{boot_id()}").write_text("[Errno 5] Input/output error\n")
    found = examine(book)
    assert found["sync"].state == "error"
    assert "Input/output error" in found["sync"].found


@pytest.fixture
def holder(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the work tree's lock."""
    code = (
        "import fcntl, sys; file = open(sys.argv[1], 'a'); fcntl.flock(file, fcntl.LOCK_EX);"
        "print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(root / "locks/tree.main")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.communicate(b"")


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not say who holds a lock")
def test_who_holds_a_lock_is_named(book: Book, root: Path, holder: subprocess.Popen[bytes]) -> None:
    """With the id of the very process; one that is free is not."""
    found = examine(book)["holders"]
    assert found.state == "warning"
    assert f"tree.main: process {holder.pid} (" in found.found
    assert [each.pid for each in lock_holders(root / "locks/tree.main") or ()] == [holder.pid]
    holder.communicate(b"")
    assert examine(book)["holders"].state == "ok"


def test_a_lock_that_nobody_lists_is_not_guessed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.store.holders.LOCKS", Path("/nowhere"))
    assert lock_holders(root / "FORMAT") is None


def test_a_locked_index_is_said_with_its_path(book: Book) -> None:
    lock = book.root / ".git/index.lock"
    lock.write_bytes(b"")
    os.utime(lock, (0, 0))
    assert ills(book) == {"index-lock": "warning"}
    assert str(lock) in examine(book)["index-lock"].hint
    assert lock.exists()


def test_drift_is_said_with_the_paths_that_git_names(book: Book) -> None:
    book.put(b"b.txt", File(b"edited\n"))
    book.put(b"new.txt", File(b"new\n"))
    assert ills(book) == {"drift": "warning"}
    found = examine(book)["drift"].found
    assert [name for name in book.line("ls-files", "-mo").split("\n") if name not in found] == []


def test_an_index_that_is_not_the_candidates_is_said(book: Book) -> None:
    book.put(b"b.txt", File(b"staged\n"))
    book.git("add", "b.txt")
    book.put(b"b.txt", BASE[b"b.txt"])
    assert ills(book) == {"index": "warning"}
    assert "b.txt" in examine(book)["index"].found


def test_a_head_that_moved_is_said(book: Book) -> None:
    tree = book.write_tree({b"z.txt": File(b"z\n")})
    commit = book.line("commit-tree", "-m", "elsewhere", "-p", "HEAD", tree)
    book.git("update-ref", "HEAD", commit)
    assert ills(book) == {"head": "warning"}


def test_a_missing_ref_is_said(book: Book) -> None:
    book.git("update-ref", "-d", "refs/ledger/work/events")
    assert ills(book) == {"refs": "warning"}
    assert "work" in examine(book)["refs"].found


def test_an_event_that_has_not_reached_the_work_tree_is_said(book: Book) -> None:
    book.git("update-ref", "refs/ledger/work/events", "refs/ledger/work/events~1")
    assert ills(book) == {"refs": "warning", "work-tree": "warning"}


def test_a_ref_of_no_run_is_said_and_git_takes_it_as_the_hint_says(book: Book) -> None:
    book.git("update-ref", "refs/ledger/gone/events", "HEAD")
    found = examine(book)["foreign-refs"]
    assert (found.state, "refs/ledger/gone/events" in found.found) == ("warning", True)
    book.git(*found.hint.split("`")[1].split(" ")[1:])
    assert ills(book) == {}


def test_a_body_that_no_event_names_is_said_once_it_is_old(book: Book, root: Path) -> None:
    """A new one may be about to be named."""
    with Ledger.open(book.root) as ledger:
        digest = ledger.store.write_body(b"nobody's")
    assert ills(book) == {}
    path = root / "bodies" / digest[:2] / digest
    old_ns = path.stat().st_mtime_ns - GRACE_NS - 10**9
    os.utime(path, ns=(old_ns, old_ns))
    found = examine(book)["bodies"]
    assert (found.state, digest[:12] in found.found, "1 bodies (8 bytes)" in found.found) == (
        "warning",
        True,
        True,
    )


def test_a_cache_file_of_another_layout_is_said(book: Book, root: Path) -> None:
    with Ledger.open(book.root) as ledger:
        ledger.sql("from events").fetchall()
    assert ills(book) == {}
    columns = root / "cache/columns"
    columns.mkdir(exist_ok=True)
    (columns / "v1-1-5-9-1-700-0.duckdb").write_bytes(b"12345")
    assert ills(book) == {"columns": "warning"}


def test_a_finished_run_that_exists_nowhere_else_is_said_until_it_is_exported(
    book: Book, tmp_path: Path
) -> None:
    with Ledger.open(book.root) as ledger:
        ledger.current_run().finish()
        book.git("reset", "--quiet", "--hard")
        assert ills(book) == {"copies": "warning"}
        ledger.export_runs(["work"], tmp_path / "work.ledger")
    assert ills(book) == {}


def test_a_question_that_is_not_in_the_file_yet_is_said(book: Book, root: Path) -> None:
    (root / "cache/questions").mkdir(exist_ok=True)
    (root / "cache/questions/main.pending").write_bytes(b"")
    assert ills(book) == {"questions-file": "warning"}


def test_a_ledger_that_is_larger_than_the_configuration_says_is_a_warning(tmp_path: Path) -> None:
    files = {**BASE, b"ledger.toml": File(f"[storage]\nwarn-size-mb = 1\n{OFF}".encode())}
    book = Book(tmp_path / "repo", files)
    with Ledger.open(book.root) as ledger:
        ledger.run("work", name="work")
        assert ills(book) == {}
        ledger.store.write_body(bytes(1 << 20))
    assert ills(book) == {"disk": "warning"}


@pytest.mark.parametrize(("profile", "state"), [("dev", "warning"), ("release", "error")])
def test_a_gate_without_its_tool_is_worth_what_the_gate_is(tmp_path: Path, profile: str, state: str) -> None:
    """A soft one is a warning; a strict one could never accept anything."""
    own = f'profile = "{profile}"\n[gates.own]\ncommand = "no-such-tool --check"\n{OFF}'
    book = Book(tmp_path / "repo", {**BASE, b"ledger.toml": File(own.encode())})
    found = examine(book)["gate-tools"]
    assert (found.state, "no-such-tool" in found.found, "gate own" in found.found) == (state, True, True)


def test_a_configuration_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    book = Book(tmp_path / "repo", {**BASE, b"ledger.toml": File(b"[gates.lint\n")})
    assert ills(book) == {"configuration": "error"}


def test_a_configuration_that_does_not_count_yet_is_said(book: Book) -> None:
    more = BASE[b"ledger.toml"].data + b"[gates.more]\ncommand = 'git --version'\n"
    book.put(b"ledger.toml", File(more))
    with Ledger.open(book.root) as ledger:
        ledger.record()
    assert ills(book) == {"configuration": "warning"}


def test_a_check_that_cannot_be_done_is_said_and_the_others_go_on(book: Book) -> None:
    """A tree object that is gone: Git cannot compare, everything else can."""
    book.git("read-tree", "--empty")
    tree = book.line("rev-parse", "refs/ledger/work/events^{tree}")
    (book.root / ".git/objects" / tree[:2] / tree[2:]).unlink()
    found = examine(book)
    assert found["index"].state == "error"
    assert "could not be looked at" in found["index"].found
    assert found["columns"].state == "ok"


def test_a_log_without_its_mark_is_no_ill_and_gets_none(book: Book, root: Path) -> None:
    """The mark can be lost without harm; only a writer makes it again."""
    (root / "durable").unlink()
    found = examine(book)["chain"]
    assert (found.state, "no mark" in found.found) == ("ok", True)
    assert not (root / "durable").exists()
