"""The option that says which shared ledger a command is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ledger.cli.globaloptions import session_of

_Command = TypeVar("_Command", bound=Callable[..., Any])


def store_option(command: _Command) -> _Command:
    """Give a command ``--store``; `named_store` says what it comes to."""
    return click.option(
        "--store",
        metavar="URL",
        help="With --shared: the server, postgresql://…, or none; by default that of `ledger store`.",
    )(command)


def named_store(said: str | None) -> str | None:
    """Return the URL that ``--store`` names, or that is set, also outside of a repository; None for none.

    Raises:
        BadStoreUrl: It names no database, or has a password in it.
    """
    from ledger.errors import NotARepository
    from ledger.repository import Repository
    from ledger.sharing import check_url, configured_store

    if said is not None:
        return None if said in ("", "none") else check_url(said)
    try:
        repository = Repository.open(session_of(click.get_current_context()).directory)
    except NotARepository:
        repository = None
    found = configured_store(repository)
    return None if found is None else found[0]
