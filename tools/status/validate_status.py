"""Validates the status of this installation against its JSON Schema.

    python tools/status/validate_status.py [FILE]

FILE is what ``capability_autodiscovery.py`` printed; without one it is run. Each fault is a line on standard
error. Exits with 0 where there is none, 1 where there is, 2 where the status is no JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

HERE = Path(__file__).resolve().parent


def read_schema() -> dict[str, Any]:
    """Return the schema, itself checked."""
    schema: dict[str, Any] = json.loads((HERE / "status.schema.json").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    return schema


def find_faults(status: Any) -> list[str]:
    """Return what is wrong with a status, each with where it stands in it."""
    errors = Draft202012Validator(read_schema()).iter_errors(status)
    return [f"{error.json_path}: {error.message}" for error in sorted(errors, key=lambda e: e.json_path)]


def discover() -> bytes:
    """Return what this installation says of itself: a status, whether or not it is healthy."""
    command = [sys.executable, str(HERE / "capability_autodiscovery.py")]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout


def main(arguments: Sequence[str]) -> int:
    """Validate, and return the exit code."""
    data = Path(arguments[0]).read_bytes() if arguments else discover()
    try:
        status = json.loads(data)
    except ValueError as error:
        print(f"error: the status is no JSON: {error}", file=sys.stderr)
        return 2
    faults = find_faults(status)
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    if not faults:
        there = sum(each["available"] for each in status["capabilities"])
        print(f"the status fits its schema: {there} of {len(status['capabilities'])} capabilities are there")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
