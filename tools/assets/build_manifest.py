"""Writes the SHA-256 of every tracked file of a repository, as sha256sum does.

    python tools/assets/build_manifest.py [DIR] [-o SHA256SUMS]

It is `ledger audit manifest --write`: see docs/offline.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from checkout import become_ledger

if __name__ == "__main__":
    become_ledger("audit", "manifest", "--write", *sys.argv[1:])
