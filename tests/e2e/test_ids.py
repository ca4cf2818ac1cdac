"""``--id`` on the command line: an agent that lost an answer asks again."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from shell import FIX, SECOND, Shell


def test_asking_again_gives_the_same_answer(shell: Shell) -> None:
    """The event on stdout is the same, nothing is appended, and the exit code is 0."""
    id_ = shell("id").out.strip()
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", id_)
    first = shell("apply", "--id", id_, "-", data=FIX.encode())
    again = shell("apply", "--id", id_.upper(), "-", data=FIX.encode())
    assert (first.code, first.out) == (again.code, again.out)
    assert "done before" in again.err
    assert id_ in shell("show", first.out.strip()).out
    assert shell("apply", "-", data=SECOND.encode()).out.strip() == first.out.strip()[:-1] + "4"


def test_what_an_id_cannot_be_given_for(shell: Shell) -> None:
    """Another request, several patches, several measurements, and what is no id."""
    id_ = shell("id").out.strip()
    assert shell("apply", "--id", id_, "-", data=FIX.encode()).code == 0
    shell("apply", "--id", id_, "-", data=SECOND.encode()).refuses(2, id_, "in other words", "`ledger id`")
    shell("phase", "P2", "--id", id_).refuses(2, "in other words")
    shell("phase", "P2", "--id", "1").refuses(2, "UUID", "`ledger id`")
    shell("apply", "--id", shell("id").out.strip(), "a", "b").refuses(2, "one patch")
    shell("gate", "--each", "--id", shell("id").out.strip()).refuses(2, "--each")


CHANGING = (
    "apply",
    "record",
    "undo",
    "redo",
    "restore",
    "mv",
    "canonicalize",
    "gate",
    "phase",
    "commit",
    "policy accept",
    "error",
)
RUNS = ("run start", "run finish", "run rebase")


@pytest.mark.parametrize(
    "command", [*CHANGING, *RUNS, "answer", "retire", "redact", "import runs", "import errors", "gc"]
)
def test_every_writing_command_takes_one(shell: Shell, command: str) -> None:
    """Its help says so."""
    assert "--id UUID" in shell(*command.split(), "--help").out
