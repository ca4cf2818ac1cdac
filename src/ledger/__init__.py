"""ledger: an event-sourced run ledger with a Git patch engine.

Importing this package loads neither DuckDB nor any other heavy library; each is imported where
it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ledger.api import Ledger, Run
    from ledger.errors import LedgerError
    from ledger.operations.outcome import Applied
    from ledger.stamps import Actor
    from ledger.status import Status

__version__ = "0.1.0"
__all__ = ["Actor", "Applied", "Ledger", "LedgerError", "Run", "Status", "__version__"]

_HOMES = {
    "Actor": "ledger.stamps",
    "Applied": "ledger.operations.outcome",
    "Ledger": "ledger.api",
    "LedgerError": "ledger.errors",
    "Run": "ledger.api",
    "Status": "ledger.status",
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first used (PEP 562): `ledger --help` needs none of them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
