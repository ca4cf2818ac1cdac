"""The command line: the only place for argv, stdout and exit codes."""

from ledger.cli.app import main

__all__ = ["main"]
