"""Finding a repository: whose it is, and what it says when it must not be opened."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pygit2
import pytest

from ledger.errors import NotOwned
from ledger.repository import Repository


def test_somebody_elses_repository(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Libgit2 refuses it for its configuration's sake; the directory that must be trusted is named."""
    owned = repo.parent / "it's"

    def refuse(path: str) -> pygit2.Repository:
        raise pygit2.GitError(f"{path}: repository path '{owned}' is not owned by current user")

    monkeypatch.setattr(pygit2, "Repository", refuse)
    with pytest.raises(NotOwned) as caught:
        Repository.open(repo)
    assert caught.value.path == owned


@pytest.mark.skipif(os.geteuid() != 0, reason="other platform: only root may give files away")
@pytest.mark.parametrize("place", ["repo/src", "linked"])
def test_somebody_elses_repository_for_real(repo: Path, git: Callable[..., str], place: str) -> None:
    """From a directory inside and from a linked work tree: Git would ask for the same directory."""
    git("worktree", "add", "--quiet", "--detach", repo.parent / "linked", cwd=repo)
    for root in (repo, repo.parent / "linked"):
        for path in (root, *root.rglob("*")):
            os.chown(path, 4242, -1)
    with pytest.raises(NotOwned) as caught:
        Repository.open(repo.parent / place)
    said = subprocess.run(
        ["git", "status"], cwd=repo.parent / place, capture_output=True, text=True, check=False
    )
    assert f"--add safe.directory {caught.value.path}\n" in said.stderr
