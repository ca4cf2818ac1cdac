"""The doctor as a command: its exit codes, and its document held to its JSON Schema.

What the installation can do is tried elsewhere, in seconds; here it is one that works.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from validate_status import find_faults

from ledger.audits.capabilities import Capability, Status
from ledger.cli.app import cli

sys.path.insert(0, str(Path(__file__).parents[1]))
from book import Book, File

QUIET = "".join(f"[gates.{name}]\nmode = 'off'\nreason = 'slow'\n" for name in ("lint", "tests", "cov"))
MISSING = "[gates.own]\ncommand = 'no-such-tool'\n"


@pytest.fixture(autouse=True)
def works(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation of which one thing was tried, and works."""

    def discover(_: Path, names: Sequence[str]) -> Status:
        tried = Capability(
            name="git", part="core", purpose="x", available="broken" not in names, evidence="x"
        )
        return Status(
            ledger="1.0", python="3.11", platform="x", at_ns=1, healthy=tried.available, capabilities=(tried,)
        )

    monkeypatch.setattr("ledger.audits.capabilities.discover", discover)


def doctor(directory: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["-C", str(directory), "doctor", *words], prog_name="ledger")


def book_of(tmp_path: Path, configuration: str) -> Book:
    book = Book(tmp_path / "repo", {b"ledger.toml": File((configuration + QUIET).encode())})
    subprocess.run(
        [Path(sys.executable).with_name("ledger"), "run", "start", "work"], cwd=book.root, check=True
    )
    return book


@pytest.mark.parametrize(
    ("configuration", "format_", "code"),
    [
        ("", b"ledger/1\n", 0),
        (MISSING, b"ledger/1\n", 0),
        (f'profile = "release"\n{MISSING}', b"ledger/1\n", 4),
        (f'profile = "release"\n{MISSING}', b"ledger/9\n", 5),
    ],
)
def test_the_exit_code_says_how_bad_it_is(
    tmp_path: Path, configuration: str, format_: bytes, code: int
) -> None:
    """The worst counts, and the document fits its schema whatever it is."""
    book = book_of(tmp_path, configuration)
    (book.root / ".git/ledger/FORMAT").write_bytes(format_)
    done = doctor(book.root, "--json")
    assert done.exit_code == code, done.output
    document = json.loads(done.stdout)
    assert next(iter(document)) == "schema"
    assert (document["schema"], document["healthy"]) == ("ledger.doctor/1", code == 0)
    assert find_faults(document) == []
    bad = [check for check in document["checks"] if check["state"] in ("warning", "error")]
    assert [check["hint"] in done.stderr for check in bad] == [True] * len(bad)
    assert (bad != []) == (configuration != "")


def test_a_check_that_failed_is_a_failure_and_damage_goes_first(tmp_path: Path) -> None:
    book = book_of(tmp_path, "")
    book.put(b"ledger.toml", File(b"[gates.own\n"))
    assert doctor(book.root).exit_code == 1
    book.git("checkout", "--quiet", "ledger.toml")
    assert doctor(book.root).exit_code == 0
    boot = Path("/proc/sys/kernel/random/boot_id")
    mark = f"unsynced.{boot.read_text().strip() if boot.exists() else ''}"
    (book.root / ".git/ledger" / mark).write_bytes(b"refused\n")
    assert doctor(book.root).exit_code == 1
    (log,) = (book.root / ".git/ledger/log").iterdir()
    log.write_bytes(b"")
    assert doctor(book.root).exit_code == 5


def test_only_leaves_the_repository_out(tmp_path: Path) -> None:
    book = book_of(tmp_path, "")
    done = doctor(book.root, "--only", "broken", "--json")
    assert (done.exit_code, json.loads(done.stdout)["checks"]) == (1, [])


def test_outside_of_a_repository_there_is_nothing_to_check(tmp_path: Path) -> None:
    done = doctor(tmp_path, "--json")
    assert (done.exit_code, json.loads(done.stdout)["checks"]) == (0, [])


def test_the_table_has_both_in_one_form(tmp_path: Path) -> None:
    rows = doctor(book_of(tmp_path, "").root, "--format", "csv").stdout.splitlines()
    assert rows[0] == "what,part,state,version,found"
    assert {row.split(",")[1] for row in rows[1:]} == {"repository", "core"}
