"""The wheel: what an installation has beside the code."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = "import sys; from hatchling import build; print(build.build_wheel(sys.argv[1]))"
ASK = """
from ledger.query.questions import _directory, find_questions
from ledger.query.schema import read_schema
print(_directory(), len(find_questions()), len(read_schema()))
"""


def test_questions_and_views_are_in_the_wheel(tmp_path: Path) -> None:
    """Built without an index, every SQL file is in it, and what is installed finds them there."""
    done = subprocess.run(
        [sys.executable, "-c", BUILD, tmp_path], cwd=ROOT, capture_output=True, check=True, text=True
    )
    installed = tmp_path / "installed"
    with zipfile.ZipFile(tmp_path / done.stdout.split()[-1]) as wheel:
        names = wheel.namelist()
        wheel.extractall(installed)
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"ledger", "patches", "codex_ml", "ingestion"}
    for folder, source in (
        ("queries", ROOT / "queries"),
        ("views", ROOT / "src/ledger/views"),
        ("store/postgres/migrations", ROOT / "src/ledger/store/postgres/migrations"),
    ):
        packed = {name for name in names if name.startswith(f"ledger/{folder}/")}
        assert packed == {f"ledger/{folder}/{path.name}" for path in source.glob("*.sql")} != set()
    environment = os.environ | {"PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", ASK]
    said = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, check=True, text=True
    ).stdout.split()
    assert said[0] == str(installed / "ledger/queries")
    assert int(said[1]) == len(list((ROOT / "queries").glob("*.sql")))
    assert int(said[2]) > 20
