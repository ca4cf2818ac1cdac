"""`ledger archive`, `ledger gc` and what `ledger status` says of the disk, as a user meets them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "e2e"))
from shell import BASE, FIX, Shell  # pyright: ignore[reportMissingImports] - its folder is added above

from ledger.cli.archiving import parse_age_ns
from ledger.gates.configuration import (
    Configuration,
    InvalidConfiguration,
    encode_policy,
    read_configuration,
)
from ledger.gates.settings import Storage
from ledger.store.usage import Usage, measure_usage


@pytest.fixture
def shell(make_repo, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A repository with one finished run and an open one."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    shell = Shell(make_repo(BASE))
    for words in (
        ("run", "start", "first", "--name", "first"),
        ("apply", shell.file(FIX)),
        ("run", "finish"),
    ):
        assert shell(*words).code == 0
    assert shell("run", "start", "second", "--name", "second").code == 0
    return shell


@pytest.mark.parametrize(
    ("text", "hours"),
    [("24h", 24), ("90d", 90 * 24), ("12w", 12 * 7 * 24), ("0h", 0)],
    ids=str,
)
def test_ages(text: str, hours: int) -> None:
    assert parse_age_ns(text) == hours * 3600 * 10**9


@pytest.mark.parametrize("text", ["", "90", "d", "-1d", "1m", "1.5d", "1d2h", "٣d", " 1d"])
def test_what_is_no_age(text: str) -> None:
    """Minutes and months are one letter: neither is guessed."""
    with pytest.raises(click.BadParameter):
        parse_age_ns(text)


def test_archive_seals_what_dry_run_lists(shell: Shell) -> None:
    """The dry run changes nothing; then everything is sealed, and the second time there is nothing to do."""
    before = shell("log", "first").out + shell("sql", "from events").out
    (listed,) = json.loads(shell("archive", "--dry-run", "--json").out)
    assert not (shell.root / ".git/ledger/sealed").exists()
    (sealed,) = json.loads(shell("archive", "--json").out)
    assert {**listed, "sealed_bytes": None} == {**sealed, "sealed_bytes": None}
    assert sealed["events"] == 6
    assert sealed["sealed_bytes"] == sum(
        p.stat().st_size for p in shell.root.glob(".git/ledger/sealed/*.parquet")
    )
    assert shell("log", "first").out + shell("sql", "from events").out == before
    assert shell("archive", "--json").out.strip() == "[]"
    assert json.loads(shell("archive", "--dry-run", "--json").out) == []
    assert "archive" not in shell("status").out


def test_gc_asks_first(shell: Shell) -> None:
    """Without --apply it lists; with it the event is the last line of stdout, and the run is gone."""
    asked = shell("gc", "--keep", "0h")
    assert (asked.code, "would retire 1 run, 4 events" in asked.err) == (0, True)
    assert [row["run"] for row in json.loads(shell("gc", "--keep", "0h", "--json").out)] == ["first"]
    assert shell("log", "first").code == 0
    assert json.loads(shell("gc", "--keep", "1d", "--json", "--apply").out) == []
    done = shell("gc", "--keep", "0h", "--apply")
    assert (done.code, done.out.splitlines()[-1]) == (0, "ledger:1")
    shell("log", "first").refuses(3, "run first was retired by ledger:1")
    assert shell("run", "finish").code == 0
    shell("run", "start", "again", "--name", "first").refuses(2, "was retired by ledger:1")
    shown = shell("log", "ledger").out
    assert "1 run retired: first" in shown
    assert shell("verify").code == 0


def test_usage_errors(shell: Shell) -> None:
    shell("gc").refuses(2, "--keep")
    shell("gc", "--keep", "soon").refuses(2, "write 90d, 12w or 24h")


def test_status_warns_of_a_large_ledger(shell: Shell) -> None:
    """From the configured size on it says how large the ledger is, and which commands help."""
    usage = measure_usage(shell.root / ".git/ledger")
    paths = [
        path
        for name in ("log", "sealed", "bodies")
        for path in (shell.root / ".git/ledger" / name).rglob("*")
    ]
    assert usage.size_bytes == sum(path.stat().st_size for path in paths if path.is_file())
    assert "warning" not in shell("status").out
    (shell.root / "ledger.toml").write_text("[storage]\nwarn-size-mb = 1\n")
    big = shell.root / ".git/ledger/bodies/00" / ("0" * 64)
    big.parent.mkdir()
    big.touch()
    os.truncate(big, 2 << 20)
    said = shell("status").out
    assert (
        "warning: the ledger takes 2 MiB (storage.warn-size-mb = 1): `ledger archive`, `ledger gc --keep 90d`"
        in said
    )
    assert json.loads(shell("status", "--json").out)["size_bytes"] == usage.size_bytes + (2 << 20)


def test_closed_segments_are_counted(tmp_path: Path) -> None:
    """All but the open one wait; a ledger that is not there takes nothing."""
    assert measure_usage(tmp_path / "none") == Usage()
    (tmp_path / "log").mkdir()
    for first in (1, 5, 9):
        (tmp_path / "log" / f"{first:020d}.jsonl").write_bytes(b"12345")
    assert measure_usage(tmp_path) == Usage(log_size_bytes=15, waiting=2)


def test_the_size_is_configured() -> None:
    """It is no profile's business, is shown with the policy, and an unknown key is an error at its line."""
    read = read_configuration(b"[storage]\nwarn-size-mb = 7\n", None)
    assert read.storage == Storage(7)
    shown = encode_policy(Configuration(profile=read.profile, profiles=read.profiles, storage=read.storage))
    assert read_configuration(shown.encode(), None).storage == Storage(7)
    assert read_configuration(None, None).storage == Storage(1024)
    for bad in (b"[storage]\nwarn-size = 7\n", b"[storage]\nwarn-size-mb = 0\n", b"storage = 7\n"):
        with pytest.raises(InvalidConfiguration) as caught:
            read_configuration(bad, None)
        assert caught.value.line == bad.count(b"\n")
