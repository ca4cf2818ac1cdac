"""A ledger on a network file system is used all the same, and people are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ledger.cli.app import cli
from ledger.store import mounts


@pytest.fixture
def run(repo: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    runner = CliRunner()
    return lambda *words: runner.invoke(cli, ["-C", str(repo), *words])


@pytest.fixture
def on_nfs(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system says that the repository is mounted from a server."""
    table = tmp_path / "mountinfo"
    table.write_text(f"1 0 0:1 / / rw - ext4 a rw\n2 1 0:2 / {repo.resolve()} rw - nfs4 server:/ rw\n")
    monkeypatch.setattr(mounts, "MOUNTS", table)


def said(result: Result) -> int:
    assert result.exit_code == 0, result.output
    return result.stderr.count("network file system (nfs4)")


def test_the_first_write_and_every_status_say_it(repo: Path, run, on_nfs: None) -> None:
    """Said when the ledger is made, not with each command after; `status` always knows, in JSON as a field."""
    assert said(run("status")) == 1
    assert said(run("run", "start", "port")) == 1
    assert said(run("phase", "P2")) == 0
    assert said(run("status")) == 1
    told = run("status", "--json")
    assert json.loads(told.stdout)["network"] == "nfs4"


def test_a_local_file_system_is_not_worth_a_word(run) -> None:
    """No warning, and null in JSON."""
    assert run("run", "start", "port").stderr.count("network") == 0
    told = run("status", "--json")
    assert json.loads(told.stdout)["network"] is None
