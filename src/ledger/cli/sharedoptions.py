"""The option that says which shared ledger a command is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])


def store_option(command: _Command) -> _Command:
    """Give a command ``--store``, by default what the environment says; ``none`` is none."""
    return click.option(
        "--store",
        envvar="LEDGER_STORE",
        metavar="URL",
        callback=_none,
        help="With --shared: the server, postgresql://…; by default LEDGER_STORE.",
    )(command)


def _none(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    return None if value in ("", "none") else value
