"""`ledger report`, as a user meets it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "e2e"))
from shell import BASE, FIX, Shell  # pyright: ignore[reportMissingImports] - its folder is added above


@pytest.fixture
def shell(make_repo: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A repository with one run, "work", of one patch."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    shell = Shell(make_repo(BASE))
    assert shell("run", "start", "work", "--name", "work").code == 0
    assert shell("apply", shell.file(FIX)).code == 0
    return shell


def test_a_report_is_written_once(shell: Shell, tmp_path: Path) -> None:
    """Its name is printed; a second one takes its place only where that is asked for."""
    target = tmp_path / "run.html"
    first = shell("report", "work", "-o", target)
    assert (first.code, first.out) == (0, f"{target}\n")
    assert "wrote work:" in first.err
    made = target.read_bytes()
    again = shell("report", "work", "-o", target)
    assert again.code == 7
    assert "exists already" in again.err
    assert "`ledger report --force -o FILE`" in again.err
    assert target.read_bytes() == made
    assert shell("report", "work", "-o", target, "--force").code == 0


def test_a_report_goes_to_standard_output(shell: Shell) -> None:
    """A pipe gets the page and nothing else."""
    printed = shell("report", "work:1", "-o", "-")
    assert printed.out.startswith("<!doctype html>")
    assert printed.out.endswith("</html>\n")


def test_there_is_no_report_of_what_is_not_there(shell: Shell, tmp_path: Path) -> None:
    """No file is made."""
    assert shell("report", "none-0001", "-o", tmp_path / "run.html").code == 3
    assert not (tmp_path / "run.html").exists()
