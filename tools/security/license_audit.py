"""Compares the licences of the installed packages with the policy.

    python tools/security/license_audit.py [DIR] [--python PATH] [--list] [--json]

It is `ledger audit licenses`: see docs/offline.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from checkout import become_ledger

if __name__ == "__main__":
    become_ledger("audit", "licenses", *sys.argv[1:])
