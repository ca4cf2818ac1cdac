"""Runs the ledger's tests marked ``duckdb`` on the DuckDB that this interpreter has, and says which it was.

pytest's "no test was collected" must not pass for a green run: it is let through only while
``src/ledger/query`` holds no code that such a test could reach.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: list[str]) -> int:
    """Run the marked tests.

    Returns:
        pytest's exit code; 0 for "none collected" while there is nothing to test.
    """
    print(f"DuckDB {version('duckdb')}", flush=True)
    options = ["-m", "duckdb", "--hypothesis-profile=brief"]
    code = pytest.main([*options, str(ROOT / "tests/ledger"), *arguments])
    if code == pytest.ExitCode.NO_TESTS_COLLECTED and not list((ROOT / "src/ledger").glob("query/*.py")):
        print("nothing to run yet: src/ledger/query holds no code")
        return 0
    return int(code)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
