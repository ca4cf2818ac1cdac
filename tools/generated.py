"""A generated document: written, or compared with what is there."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def publish(name: str, text: str, program: str, arguments: list[str]) -> int:
    """Write a document, or with ``--check`` compare it; nothing is written then.

    Args:
        name: Its path from the repository's top.
        text: The whole document.
        program: The file that generates it, from the repository's top.
        arguments: The command line, less the program.

    Returns:
        1 if it was to be checked and is not current.
    """
    target = ROOT / name
    if arguments != ["--check"]:
        target.write_text(text, "utf-8")
    elif not target.exists() or target.read_text("utf-8") != text:
        print(f"{name} is not current: run {program}", file=sys.stderr)
        return 1
    return 0
