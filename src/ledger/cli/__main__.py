"""``python -m ledger.cli``: the command line."""

from ledger.cli.app import main

main()
