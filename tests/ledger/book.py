"""A real repository whose every state is known: what Git says of it is the oracle of the recorded path."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pygit2

from ledger.api import Ledger
from ledger.errors import LedgerError
from ledger.events import tree_after
from ledger.state import tree_oid
from patches.model import MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK, MODE_SYMLINK, Entry

IDENTITY = {
    f"GIT_{role}_{field}": value
    for role in ("AUTHOR", "COMMITTER")
    for field, value in (("NAME", "Ada"), ("EMAIL", "ada@example.com"), ("DATE", "2024-01-02T03:04:05+0000"))
}


class File(NamedTuple):
    """What lies at a path. A symlink's data is its target, a submodule's the hexadecimal id of its commit."""

    data: bytes
    mode: int = MODE_FILE


Files = Mapping[bytes, File]


class Book:
    """One repository with a work tree, driven by the real git."""

    def __init__(self, root: Path, files: Files | None = None, **config: str) -> None:
        self.root = root
        root.mkdir(parents=True)
        self.git("init", "--quiet", "--template=", "--initial-branch=main")
        for key, value in config.items():
            self.git("config", key.replace("_", "."), value)
        self.repo = pygit2.Repository(str(root))
        self._index = root / ".git" / "oracle-index"
        if files is not None:
            commit = self.git("commit-tree", "-m", "base", self.write_tree(files)).decode().strip()
            self.git("update-ref", "HEAD", commit)
            self.git("reset", "--quiet", "--hard")

    def git(self, *arguments: str | bytes, data: bytes = b"", index: Path | None = None) -> bytes:
        env = {} if index is None else {"GIT_INDEX_FILE": str(index)}
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            input=data,
            capture_output=True,
            env=os.environ | IDENTITY | env,
            check=False,
        )
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    def line(self, *arguments: str) -> str:
        return self.git(*arguments).decode().strip()

    # Trees

    def write_tree(self, files: Files) -> str:
        """Return the tree that Git makes of ``files``; neither index nor work tree is touched."""
        lines = b"".join(
            b"%o %b\t%b\0" % (file.mode, self._oid(file), path) for path, file in sorted(files.items())
        )
        self._index.unlink(missing_ok=True)
        self.git("update-index", "-z", "--index-info", data=lines, index=self._index)
        return self.git("write-tree", index=self._index).decode().strip()

    def _oid(self, file: File) -> bytes:
        return file.data if file.mode == MODE_GITLINK else str(self.repo.create_blob(file.data)).encode()

    def diff(self, old: str, new: str) -> bytes:
        """Return Git's patch between two trees (or commits)."""
        return self.git("diff", "--binary", "--full-index", "-M", "-C", old, new)

    def listing(self, tree: str) -> dict[bytes, Entry]:
        """Return every file of a tree, as Git lists it."""
        found: dict[bytes, Entry] = {}
        for line in self.git("ls-tree", "-r", "-z", tree).split(b"\0")[:-1]:
            facts, _, path = line.partition(b"\t")
            mode, _, oid = facts.decode().split(" ")
            found[path] = Entry(int(mode, 8), bytes.fromhex(oid))
        return found

    # The work tree

    def path(self, path: bytes) -> Path:
        return Path(os.fsdecode(os.fsencode(self.root) + b"/" + path))

    def put(self, path: bytes, file: File | None) -> None:
        """Do to one path what a person would, with the file system alone."""
        target = self.path(path)
        if target.is_symlink() or target.is_file():
            target.unlink()
        elif target.is_dir():
            remove_directory(target)
        if file is None:
            parent = target.parent
            while parent != self.root and parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()
                parent = parent.parent
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.mode == MODE_SYMLINK:
            target.symlink_to(os.fsdecode(file.data))
        elif file.mode == MODE_GITLINK:
            target.mkdir()
        else:
            target.write_bytes(file.data)
            target.chmod(0o755 if file.mode == MODE_EXECUTABLE else 0o644)

    def work_files(self) -> dict[bytes, File]:
        """Return what lies in the work tree, but for the questions file: that is the ledger's own."""
        found = read_files(self.root)
        found.pop(b"docs/reference/codex_questions.md", None)
        return found

    def status(self) -> list[bytes]:
        return self.git("status", "--porcelain", "-z", "--no-renames").split(b"\0")[:-1]

    def assert_followed(self, tree: str) -> None:
        """The index is ``tree``, and nothing in the work tree differs from it or is unknown to it."""
        assert self.line("write-tree") == tree
        loose = [line for line in self.status() if line[1:2] != b" "]
        assert loose == []


def read_files(root: Path) -> dict[bytes, File]:
    """Return what lies in a directory; an empty directory is a submodule that is not checked out."""
    return dict(_walk(os.fsencode(root), b""))


def _walk(directory: bytes, prefix: bytes) -> Iterator[tuple[bytes, File]]:
    for entry in os.scandir(directory):
        path = prefix + entry.name
        if path == b".git":
            continue
        if entry.is_symlink():
            yield path, File(os.readlink(entry.path), MODE_SYMLINK)  # noqa: PTH115 - bytes
        elif entry.is_dir():
            if not os.listdir(entry.path):
                yield path, File(b"", MODE_GITLINK)
            yield from _walk(entry.path, path + b"/")
        else:
            data = Path(os.fsdecode(entry.path)).read_bytes()
            executable = entry.stat().st_mode & stat.S_IXUSR
            yield path, File(data, MODE_EXECUTABLE if executable else MODE_FILE)


def remove_directory(directory: Path) -> None:
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            remove_directory(path)
        else:
            path.unlink()
    directory.rmdir()


def on_disk(files: Files) -> dict[bytes, File]:
    """Return what `Book.work_files` gives where exactly ``files`` lie there."""
    return {p: File(b"", f.mode) if f.mode == MODE_GITLINK else f for p, f in files.items()}


def recorded_trees(ledger: Ledger, run: str) -> dict[int, str]:
    """Return the candidate tree after every version of a run, as the events recorded it."""
    trees: dict[int, str] = {}
    tree = ""
    for event in ledger.events(run):
        tree = tree_after(event) or tree
        trees[event.v] = tree
    return trees


def assert_state(ledger: Ledger, book: Book, run: str, v: int, tree: str) -> None:
    """Fold, SQL and replay each give, at one event, exactly the tree that Git has (P3, P4)."""
    listed = book.listing(tree)
    fold = ledger.state(f"{run}:{v}")
    assert fold.files == listed
    assert tree_oid(fold.files).hex() == tree == fold.recorded_tree
    rows = ledger.sql("select mode, oid, path_bytes from state_at($run, $v)", {"run": run, "v": v}).fetchall()
    by_path = [(path, Entry(int(mode, 8), bytes.fromhex(oid))) for mode, oid, path in rows]
    assert by_path == sorted(listed.items())
    assert tree_oid(dict(by_path)).hex() == tree
    assert list(ledger.replay(f"{run}:{v}"))[-1].tree == tree


def damage(ledger: Ledger) -> list[str]:
    """Return what `verify` calls damaged, or a warning."""
    try:
        return [str(finding) for finding in ledger.verify() if finding.outcome in ("damaged", "warning")]
    except LedgerError as error:
        return [str(error)]
