"""Errors of questions in SQL: which one is asked, with what, and what it may take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ledger.errors import LedgerError


class NoSuchQuestion(LedgerError):
    """No question of this name comes with the ledger. Nothing was asked."""

    hint = "`ledger query` lists the questions; a file of your own is named with its directory: `./mine.sql`"

    def __init__(self, name: str, near: Sequence[str]) -> None:
        self.name, self.near = name, tuple(near)
        meant = f"; did you mean {' or '.join(near)}?" if near else ""
        super().__init__(f"no question is called {name!r}{meant}")


class NoSuchRelation(LedgerError):
    """The documented schema has no view or macro of this name."""

    hint = "`ledger schema` lists them all"

    def __init__(self, name: str, near: Sequence[str]) -> None:
        self.name, self.near = name, tuple(near)
        meant = f"; did you mean {' or '.join(near)}?" if near else ""
        super().__init__(f"no view or macro is called {name!r}{meant}")


class UnknownParameter(LedgerError):
    """A statement has no parameter of this name. Nothing was asked."""

    hint = "`ledger query` lists the questions with their parameters; in SQL one is written `$name`"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name, self.known = name, tuple(known)
        super().__init__(f"there is no parameter {name!r}; there are {', '.join(known) or 'none'}")


class QueryTooLong(LedgerError):
    """A statement took longer than it may, and was stopped. Nothing was written."""

    hint = "give it more, `ledger sql --timeout 10m …`, or `timeout` of `[tool.ledger.sql]`; or ask for less"

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        super().__init__(f"the query was stopped: it may take {timeout_s:g} s")


class QueryTooLarge(LedgerError):
    """A statement needed more memory than it may, and was stopped. Nothing was written."""

    hint = (
        "give it more, `ledger sql --memory-limit 8GiB …`, or `memory-limit` of `[tool.ledger.sql]`; "
        "or ask for less"
    )

    def __init__(self, limit: str) -> None:
        self.limit = limit
        super().__init__(f"the query was stopped: it may use {limit} of memory")


class DatabaseInTheWay(LedgerError):
    """A file lies where a database is to be written. It was left as it is."""

    hint = "name another file; a database that was written before is replaced by `ledger db --force FILE`"

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")
