"""The engine alone, without a ledger: ``python -m patches apply`` takes what ``git apply`` takes."""

from __future__ import annotations

import sys

USAGE = 129


def main(words: list[str]) -> int:
    """Run one command and return its exit code."""
    if words[:1] != ["apply"]:
        print("usage: python -m patches apply [<options>] [<patch>...]", file=sys.stderr)
        return USAGE
    from patches.gitapply.command import run

    return run(words[1:], sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
