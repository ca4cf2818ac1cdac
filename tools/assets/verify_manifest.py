"""Compares the tracked files of a repository with its manifest.

    python tools/assets/verify_manifest.py [DIR] [-o SHA256SUMS] [--json]

It is `ledger audit manifest`: see docs/offline.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from checkout import become_ledger

if __name__ == "__main__":
    become_ledger("audit", "manifest", *sys.argv[1:])
