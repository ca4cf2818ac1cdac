"""Every patch of the corpus gives the tree that it is right for, or one of the refusals that are right.

The trees are made by libgit2 from the corpus; the engine goes the way of ``ledger apply``, in memory.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pygit2
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from corpus import Case, Files, read_cases, read_tree

from patches.apply import apply_patch
from patches.dialects.reading import PatchReader
from patches.dialects.series import split_series
from patches.errors import PatchError
from patches.model import MODE_GITLINK
from patches.objects import Objects
from patches.options import ApplyOptions
from patches.tree import Tree

if TYPE_CHECKING:
    from patches.model import Oid, Patch

CASES = read_cases()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> pygit2.Repository:
    return pygit2.init_repository(str(tmp_path_factory.mktemp("golden")), bare=True)


def _tree_of(repository: pygit2.Repository, files: Files) -> Oid:
    index = pygit2.Index()
    for path, (mode, content) in files.items():
        oid = pygit2.Oid(hex=content.decode()) if mode == MODE_GITLINK else repository.create_blob(content)
        index.add(pygit2.IndexEntry(path, oid, mode))  # pyright: ignore[reportArgumentType]
    return index.write_tree(repository).raw


def _options(words: tuple[str, ...]) -> ApplyOptions:
    options = ApplyOptions()
    for word in words:
        if word == "-R":
            options = msgspec.structs.replace(options, reverse=True)
        elif word == "--unidiff-zero":
            options = msgspec.structs.replace(options, unidiff_zero=True)
        elif word.startswith("--directory="):
            options = msgspec.structs.replace(options, directory=word.partition("=")[2].encode())
        else:
            options = msgspec.structs.replace(options, strip=int(word.removeprefix("-p")))
    return options


class _Application:
    """One case's patches on the tree that they make of one another, and what was done to read them."""

    def __init__(self, repository: pygit2.Repository, base: Oid, options: ApplyOptions) -> None:
        self._objects = Objects(repository)
        self._tree = Tree(self._objects, base)
        self._options = options
        self.steps: list[str] = []

    def apply(self, data: bytes) -> Oid:
        """Apply every patch of a text; return the tree.

        Raises:
            PatchError: one of them is refused; the tree is as that one found it.
        """
        for message in split_series(data):
            if message.data != data:
                self.steps.append("mail")
            self._apply_one(message.data)
        return self.tree()

    def tree(self) -> Oid:
        return self._tree.write()

    def _apply_one(self, text: bytes) -> None:
        reading = PatchReader(self._read, self._options, self._apply_strictly).read(text)
        if reading.error is not None:
            raise reading.error
        self.steps += reading.steps

    def _apply_strictly(self, _: bytes, patch: Patch) -> None:
        apply_patch(self._tree, patch, self._options)

    def _read(self, path: bytes) -> bytes | None:
        entry = self._tree.entry(path)
        return None if entry is None or entry.mode == MODE_GITLINK else self._objects.read_blob(entry.oid)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_golden_patch_gives_its_tree_or_its_refusal(repository: pygit2.Repository, case: Case) -> None:
    """And where it is certain what has to be done to its text, that is what was done."""
    before = _tree_of(repository, read_tree(case.before))
    application = _Application(repository, before, _options(case.options))
    if case.after is None:
        with pytest.raises(PatchError) as refusal:
            application.apply(case.data)
        names = {base.__name__ for base in type(refusal.value).__mro__}
        assert names & set(case.errors), refusal.value
        assert str(refusal.value)
        assert application.tree() == before
    else:
        assert application.apply(case.data) == _tree_of(repository, read_tree(case.after))
    if case.steps is not None:
        assert tuple(dict.fromkeys(application.steps)) == case.steps


def test_the_corpus_is_whole() -> None:
    """Each patch has a case, as the other way round, and there are as many as the issue asks for."""
    assert len(CASES) > 300
    assert {case.name for case in CASES} == {
        f"{path.parent.name}/{path.stem}" for path in (Path(__file__).parent / "patches").glob("*/*.patch")
    }
