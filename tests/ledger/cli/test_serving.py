"""`ledger ui`, as far as it comes without a browser."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from ledger import Ledger
from ledger.cli.app import cli
from ledger.cli.failures import hint_of
from ledger.web.errors import WebMissing


def test_without_the_extra_it_says_what_to_install(
    make_repo: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package that is missing, and the name of the extra."""
    root = make_repo({"a": b"1"})
    for name in [
        each for each in sys.modules if each.partition(".")[0] == "uvicorn" or each == "ledger.web.app"
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(WebMissing, match="uvicorn") as missing:
        cli.main(["-C", str(root), "ui", "--no-browser"], standalone_mode=False)
    assert "patch-ledger[web]" in hint_of(missing.value)


def test_it_shows_the_present(make_repo: Callable[..., Path], identity: object) -> None:
    """The past is where its slider goes: `--at` is refused."""
    root = make_repo({"a": b"1"})
    with Ledger.open(root) as ledger:
        ledger.run("t", name="t-0001")
    with pytest.raises(click.UsageError, match="--at"):
        cli.main(["-C", str(root), "--at", "@", "ui", "--no-browser"], standalone_mode=False)
