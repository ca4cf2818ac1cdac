"""Looks for secrets in the tracked files of a repository; never shows one.

    python tools/security/scan_repo.py [DIR] [--update-baseline] [--json]

It is `ledger audit secrets`: see docs/offline.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from checkout import become_ledger

if __name__ == "__main__":
    become_ledger("audit", "secrets", *sys.argv[1:])
