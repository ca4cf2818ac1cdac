"""A repository and the real command in it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from shell import BASE, SECOND, Shell


@pytest.fixture
def shell(make_repo: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    return Shell(make_repo(BASE))


@pytest.fixture
def started(shell: Shell) -> Shell:
    """A repository with an open run `work` of one patch: versions 1 to 3, the second its policy."""
    assert shell("run", "start", "work", "--name", "work").code == 0
    assert shell("apply", shell.file(SECOND)).code == 0
    return shell
