"""The fixture of the engine's tests, and the way to the modules that they share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from patch_lab import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A bare repository with the engine and git on it."""
    return Bench(tmp_path / "bench.git")
