"""The Git repository that a ledger belongs to: where things lie, what HEAD is, what can be trusted.

Only this module finds repositories; everything after it gets a `Repository`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pygit2

from ledger.errors import NotARepository, NotOwned, UnsupportedRepository
from patches.gitindex import unsupported_feature
from patches.objects import Objects
from patches.oids import EMPTY_TREE
from patches.tree import Tree

if TYPE_CHECKING:
    from patches.whitespace import WhitespaceRule

# What libgit2 says of a repository that `safe.directory` does not name; the path is the one to name there.
_NOT_OWNED = re.compile(r"repository path '(.*)' is not owned by current user", re.DOTALL)


class Head(NamedTuple):
    """HEAD at one moment: commit and branch are None where there are none; ``tree`` always is one."""

    commit: str | None
    branch: str | None
    tree: str


class Repository:
    """One repository, seen from one of its work trees (or bare)."""

    def __init__(self, git: pygit2.Repository) -> None:
        self.git = git
        self.git_dir = Path(git.path)
        self.common_dir = _common_dir(self.git_dir)
        self.objects = Objects(git)

    @classmethod
    def open(cls, start: Path) -> Repository:
        """Open the repository that contains ``start``.

        Raises:
            NotARepository: There is none at or above it.
            NotOwned: It belongs to another user, and ``safe.directory`` does not name it.
            UnsupportedRepository: It uses a format that cannot be written safely.
        """
        found = pygit2.discover_repository(str(start)) if start.exists() else None
        if found is None:
            raise NotARepository(start.absolute())
        if feature := unsupported_feature(Path(found)):
            raise UnsupportedRepository(Path(found), feature)
        try:
            # Not ``found``: from there the work tree of a ``.git`` file could only be guessed.
            return cls(pygit2.Repository(str(start)))
        except pygit2.GitError as error:
            if foreign := _NOT_OWNED.search(str(error)):
                raise NotOwned(Path(foreign[1])) from error
            raise UnsupportedRepository(Path(found), str(error)) from error

    @property
    def ledger_dir(self) -> Path:
        """Where this repository's ledger lies, shared by all its work trees."""
        return self.common_dir / "ledger"

    @property
    def work_dir(self) -> Path | None:
        """The work tree's directory, None in a bare repository."""
        return None if self.git.is_bare else Path(self.git.workdir)

    @property
    def work_tree_name(self) -> str:
        """Git's name of this linked work tree, "" for the main one."""
        return "" if self.git_dir == self.common_dir else self.git_dir.name

    @property
    def staging_dir(self) -> Path:
        """Where new files wait before they become visible; may be deleted when no command runs."""
        return self.ledger_dir / "staging" / (self.work_tree_name or "main")

    def head(self) -> Head:
        """Return HEAD; in a repository without a commit its tree is the empty tree."""
        if self.git.head_is_unborn:
            name = self.git.lookup_reference("HEAD").target
            return Head(None, _branch(str(name)), EMPTY_TREE.hex())
        commit = self.git.head.peel(pygit2.Commit)
        branch = None if self.git.head_is_detached else _branch(self.git.head.name)
        return Head(str(commit.id), branch, str(commit.tree_id))

    def find_commit(self, revision: str) -> str | None:
        """Return the id of the commit that a revision names (gitrevisions(7)), None where it names none."""
        try:
            return str(self.git.revparse_single(revision).peel(pygit2.Commit).id)
        except (KeyError, ValueError, pygit2.GitError):
            return None

    def store_empty_tree(self) -> None:
        """Write the tree without entries, the base where there is no commit: libgit2 wants to find it."""
        self.objects.add_tree(b"")
        self.objects.flush()

    def tree(self, oid: str) -> Tree:
        """Return a tree to read, or to change in memory."""
        return Tree(self.objects, bytes.fromhex(oid))

    def read_top_file(self, name: str) -> bytes | None:
        """Return a file at the top of the work tree (where bare: of HEAD's tree), None where none is."""
        if self.work_dir is not None:
            path = self.work_dir / name
            return path.read_bytes() if path.is_file() else None
        entry = self.tree(self.head().tree).entry(name.encode())
        return None if entry is None else self.objects.read_blob(entry.oid)

    def whitespace_rules(self) -> Callable[[bytes], WhitespaceRule]:
        """Return what configuration and attributes count as a whitespace error under each path, as of now."""
        from patches.whitespace import parse_rule, rule_for

        config, said = self.git.config, ""
        if "core.whitespace" in config:
            said = str(config["core.whitespace"])
        configured = parse_rule(said)

        def rule_of(path: bytes) -> WhitespaceRule:
            value = self.git.get_attr(path, "whitespace")
            if isinstance(value, bool):
                value = "set" if value else "unset"
            return rule_for(value, configured)

        return rule_of

    def listing(self, oid: str) -> bytes:
        """Return every file of a tree, byte for byte as ``git ls-tree -r -z`` prints it."""
        return b"".join(
            b"%06o %b %b\t%b\0" % (entry.mode, _KIND.get(entry.mode, b"blob"), entry.oid.hex().encode(), path)
            for path, entry in self.tree(oid).entries()
        )


_KIND = {0o160000: b"commit"}


def _branch(ref: str) -> str:
    return ref.removeprefix("refs/heads/")


def _common_dir(git_dir: Path) -> Path:
    """Return the directory that all work trees share (gitrepository-layout(5), "commondir")."""
    try:
        named = (git_dir / "commondir").read_text("utf-8").strip()
    except FileNotFoundError:
        return git_dir
    return (git_dir / named).resolve()
