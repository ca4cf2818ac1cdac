"""Tries what this installation can do and prints it as JSON, with the evidence.

    python tools/status/capability_autodiscovery.py [--only NAME]

It is `ledger doctor --json`: see docs/offline.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from checkout import become_ledger

if __name__ == "__main__":
    become_ledger("doctor", "--json", *sys.argv[1:])
