"""Lists the open questions of the log and of the tracked Markdown of a repository.

    python tools/docs/harvest_open_questions.py [DIR] [--fail-on-open] [--json]

It is `ledger audit questions`: see docs/offline.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from checkout import become_ledger

if __name__ == "__main__":
    become_ledger("audit", "questions", *sys.argv[1:])
