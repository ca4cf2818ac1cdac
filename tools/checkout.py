"""This checkout's own `ledger`, for the scripts below ``tools`` that are commands of it by another name."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent


def become_ledger(*arguments: str) -> NoReturn:
    """Run ``ledger`` with arguments in place of this process, by a Python that has it.

    That is the one that runs, else the checkout's ``.venv``; where neither has it, this exits with 2.
    """
    python = sys.executable
    if find_spec("ledger") is None or find_spec("click") is None:
        own = ROOT / ".venv" / "bin" / "python"
        if not own.exists():
            print(
                "error: ledger is not installed for this Python\nhint: `make demo` installs it",
                file=sys.stderr,
            )
            raise SystemExit(2)
        python = str(own)
    sys.stdout.flush()
    os.execv(python, [python, "-m", "ledger.cli", *arguments])  # noqa: S606 - no shell is wanted
