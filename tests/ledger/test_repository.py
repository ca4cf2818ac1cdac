"""Finding a repository: whose it is, and what it says when it must not be opened."""

from __future__ import annotations

from pathlib import Path

import pygit2
import pytest

from ledger.errors import NotOwned
from ledger.repository import Repository


@pytest.mark.parametrize("inside", ["", "src"])
def test_somebody_elses_repository(repo: Path, monkeypatch: pytest.MonkeyPatch, inside: str) -> None:
    """Libgit2 refuses it for its configuration's sake; the directory that must be trusted is named."""

    def refuse(path: str) -> pygit2.Repository:
        raise pygit2.GitError(f"repository path '{path}' is not owned by current user")

    monkeypatch.setattr(pygit2, "Repository", refuse)
    with pytest.raises(NotOwned) as caught:
        Repository.open(repo / inside)
    assert caught.value.path == repo
