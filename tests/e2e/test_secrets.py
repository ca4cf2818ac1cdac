"""Secrets at the command line: what a person reads, what a program gets, and what is left on the disk."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from shell import BASE, Shell

# Of the right shape, and put together here so that no source file holds one.
AWS = "AK" + "IA" + "QWERTYUIOPASDF12"
GITHUB = "gh" + "p_" + "Zx81Lm" * 6
PATCH = "--- a/b.txt\n+++ b/b.txt\n@@ -1 +1,2 @@\n bee\n+key = '{}'\n"
ENDING = "--- a/b.txt\n+++ b/b.txt\n@@ -1,2 +1 @@\n bee\n-key = '{}'\n"


@pytest.fixture
def ledger(make_repo: Callable[..., Path], identity: dict[str, str]) -> Shell:
    return Shell(make_repo(BASE))


def test_a_secret_stops_apply_and_nothing_is_left_of_it(ledger: Shell) -> None:
    """Exit code 7, the kind and the line, a hint; not a byte is written, and the secret is nowhere said."""
    file = ledger.file(PATCH.format(AWS))
    ledger("run", "start", "safe")
    before = ledger.everything()
    done = ledger("apply", file)
    done.refuses(7, "AWS Access Key at b.txt:2", "--allow-secrets", "pragma: allowlist secret")
    assert AWS not in done.err
    assert ledger.everything() == before
    ledger("--debug", "apply", file).err.index("SecretFound")
    assert ledger.everything() == before


def test_an_allowed_secret_is_shown_and_redacted(ledger: Shell) -> None:
    """`show` has what was allowed; after `redact` it says what dropped the patch, and the log verifies."""
    added = ledger("apply", ledger.file(PATCH.format(AWS)), "--allow-secrets", "-m", f"like {GITHUB}")
    assert added.code == 0
    assert "AWS Access Key at b.txt:2" in added.err
    shown = ledger("show").out
    assert '["AWS Access Key at b.txt:2"]' in shown
    assert "like [redacted: GitHub Token]" in shown
    ending = ledger("apply", ledger.file(ENDING.format(AWS)))
    assert f"`ledger redact {ending.out.strip()}` drops it" in ending.err
    event = added.out.strip()
    dry = ledger("redact", event, "--dry-run")
    assert dry.code == 0
    assert dry.out.startswith("body.dropped/1  ledger:1\n")
    for reference in (event, ending.out.strip()):
        done = ledger("redact", reference, "--body", "patch", "--reason", "it was in there")
        assert done.code == 0, done.err
        assert "history: refs/ledger/" in done.err
    assert done.out == "ledger:2\n"
    assert "dropped by ledger:1" in ledger("show", event).out
    assert "1 text of" in ledger("log", "ledger").out
    assert ledger("verify").code == 0
    kept = {name: data for name, data in ledger.everything().items() if AWS.encode() in data}
    assert kept == {}
    ledger("apply", "--again", event).refuses(3, "dropped by ledger:1")


def test_a_message_that_quotes_a_secret_is_masked(ledger: Shell) -> None:
    """What does not apply is quoted: the file's line with the key, as the patch's."""
    (ledger.root / "b.txt").write_text(f"bee\nkey = '{AWS}'\n", "utf-8")
    assert ledger("record", "--allow-secrets").code == 0
    done = ledger("apply", ledger.file("--- a/b.txt\n+++ b/b.txt\n@@ -1,2 +1 @@\n bee\n-other\n"))
    done.refuses(3, "[redacted: AWS Access Key]")
    assert AWS not in done.err
