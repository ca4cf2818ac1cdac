"""The table of `docs/cli-conventions.md`: each point names a test that is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent.parent
ROWS = [
    line.rstrip(" |").rsplit(" | ", 1)
    for line in (ROOT / "docs/cli-conventions.md").read_text("utf-8").splitlines()
    if line.startswith("| ") and not line.startswith(("| what |", "| --- |"))
]


@pytest.mark.parametrize("named", [named for _, named in ROWS])
def test_a_point_names_a_test_that_is_there(named: str) -> None:
    """A test that is renamed or deleted takes its row along."""
    found = re.fullmatch(r"`(tests/[\w/]+\.py)::(test_\w+)`", named)
    assert found, named
    tree = ast.parse((ROOT / found[1]).read_text("utf-8"))
    assert found[2] in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_table_is_read() -> None:
    assert len(ROWS) > 20
