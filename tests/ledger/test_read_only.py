"""Where nothing can be written, everything can be read, and what would write says so and changes nothing."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.api import Ledger

sys.path.insert(0, str(Path(__file__).parent))
from book import Book, File

BASE = {b"a.txt": File(b"one\ntwo\n"), b"b.txt": File(b"bee\n")}
READING = [
    ["status"],
    ["log"],
    ["show", "@"],
    ["sql", "from patch_files"],
    ["state", "--candidate"],
    ["replay"],
    ["verify"],
    ["run", "list"],
    ["tickets"],
    ["path"],
    ["policy", "show"],
]
WRITING = [["record"], ["undo"], ["phase", "P2"], ["run", "finish"], ["mv", "b.txt", "c.txt"], ["gate"]]


def everything(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    """A repository that its owner may read and not write.

    Its last event was never confirmed: `durable` is gone, so that a reader has to sync the log itself.
    """
    book = Book(tmp_path / "repo", BASE)
    with Ledger.open(book.root) as ledger:
        tree = book.write_tree({**BASE, b"a.txt": File(b"one\nzwei\n")})
        ledger.apply(book.diff("HEAD", tree))
        book.put(b"b.txt", File(b"edited by hand\n"))
    (book.root / ".git/ledger/durable").unlink()
    yield book
    protect(book.root, 0o755)


def protect(root: Path, mode: int) -> None:
    for path in [root, *root.rglob("*")]:
        if not path.is_symlink():
            path.chmod(mode if path.is_dir() else mode & 0o666)


def obey_permissions() -> None:
    """Let what this process becomes do without root's right to pass over permissions (capabilities(7))."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP; who is not root has none


def command(book: Book, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the real command as somebody whom permissions hold."""
    protect(book.root, 0o555)
    return subprocess.run(
        [Path(sys.executable).with_name("ledger"), "-C", book.root, *words],
        preexec_fn=obey_permissions,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_everything_can_be_read(book: Book, words: list[str]) -> None:
    """No cache and no mark is needed, the unconfirmed tail is synced through a descriptor for reading."""
    before = everything(book.root)
    done = command(book, *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout != ""
    assert everything(book.root) == before


@pytest.mark.parametrize("words", WRITING, ids=" ".join)
def test_what_would_write_says_what_it_may_not(book: Book, words: list[str]) -> None:
    """One line that names the path and the reason, exit code 8, and nothing is changed."""
    before = everything(book.root)
    done = command(book, *words)
    assert done.returncode == 8, (done.stdout, done.stderr)
    assert done.stdout == ""
    assert done.stderr.splitlines() == [f"error: {book.root}/.git/ledger/locks/tree.main: Permission denied"]
    assert everything(book.root) == before


def test_the_status_of_a_repository_without_commits_or_ledger(book: Book) -> None:
    """Where nothing was ever recorded or committed there is nothing to write either."""
    book.git("update-ref", "-d", "HEAD")
    book.git("reset", "--quiet")
    for path in sorted((book.root / ".git/ledger").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (book.root / ".git/ledger").rmdir()
    before = everything(book.root)
    done = command(book, "status")
    assert done.returncode == 0, done.stderr
    assert "a.txt" in done.stdout
    assert everything(book.root) == before
