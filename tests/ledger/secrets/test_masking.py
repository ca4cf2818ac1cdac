"""Masking: nothing of a secret is left in a text, and nothing else of it is touched."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1]))
from fakes import AWS, CLEAN, FAKES, GITHUB, JWT, KEY, drawn

from ledger.secrets.masking import mask, mask_text


@pytest.mark.parametrize("secret", [AWS, GITHUB, JWT])
def test_a_secret_is_replaced_by_its_kind(secret: str) -> None:
    """Each time it occurs, and the text around stays."""
    masked = mask_text(f"first {secret}\nthen again: {secret}.")
    # Of a web token the signature may stay: without what it signs it opens nothing.
    assert (secret.rpartition(".")[0] or secret) not in masked
    assert masked.startswith("first [redacted: ")
    assert masked.count("[redacted: ") == 2
    assert "then again: [redacted: " in masked


@pytest.mark.parametrize("end", ["", "\n-----END RSA " + "PRIVATE KEY-----", "\ncut off"])
def test_a_private_key_goes_with_its_content(end: str) -> None:
    """The armour tells the detector; the key between is what must not stay, also where it is cut off."""
    body = KEY.rpartition("\n")[0]
    masked = mask_text(f"before\n{body}{end}")
    assert masked == "before\n[redacted: Private Key]"


def test_a_text_without_secrets_is_the_same_object() -> None:
    """The usual case costs no copy."""
    data = CLEAN.encode()
    assert mask(data) is data
    assert mask_text(CLEAN) is CLEAN


@pytest.mark.parametrize("kind", sorted(FAKES))
def test_every_kind_is_masked(kind: str) -> None:
    """And once it is, there is nothing more to find."""
    masked = mask(FAKES[kind].encode())
    assert f"[redacted: {kind}]".encode() in masked
    assert mask(masked) == masked


@given(st.text(), st.text())
def test_any_text_around_survives(before: str, after: str) -> None:
    """Whatever surrounds a secret, in whatever script, is what it was."""
    assert mask_text(f"{before}\n{GITHUB}\n{after}") == f"{before}\n[redacted: GitHub Token]\n{after}"


def test_bytes_that_are_no_text_survive() -> None:
    """Output of tools has any bytes."""
    noise = bytes(range(256))
    masked = mask(noise + b"\n" + GITHUB.encode() + b"\n" + noise)
    assert masked == noise + b"\n[redacted: GitHub Token]\n" + noise


def test_a_short_password_is_no_secret_to_hide() -> None:
    """`password = "…"` is masked where the value looks drawn at random, and stays readable elsewhere."""
    line = "pass" + 'word = "{}"'
    assert mask_text(line.format("letmein")) == line.format("letmein")
    assert drawn(20) not in mask_text(line.format(drawn(20)))
