"""Checkpoints as text: three lines, one way to write them, and several after one another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.checkpoint_errors import BadNote
from ledger.checkpoints import Checkpoint, encode_checkpoint, parse_checkpoint, parse_checkpoints
from ledger.signednotes import is_key_name

LEDGER = "030ca83d95bd312a434a430d13978fdabee780466ba7437d223718fcb4d36efe"
HEAD = "3fb3006ac60236a7e4a47e5efc5fc5df34e5414fd7778a7aa721b4d41ac60e29"
TEXT = f"ledger/1 chain {LEDGER}\n5\nP7MAasYCNqfkpH5e/F/F3zTlQU/Xd4p6pyG01BrGDik=\n".encode()
SIGNED = TEXT + "\n— a AAAAAAAA\n— b BBBBBBBB\n".encode()


def test_the_bytes_of_the_document() -> None:
    """The example of `docs/format.md`, both ways."""
    assert encode_checkpoint(Checkpoint(LEDGER, 5, HEAD)) == TEXT
    assert parse_checkpoint(TEXT) == Checkpoint(LEDGER, 5, HEAD)


def test_the_first_line_is_no_name_of_a_key() -> None:
    """A client of transparency logs compares it with the key's name: ours can never be one."""
    assert not is_key_name(TEXT.decode().partition("\n")[0])


DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)


@given(st.builds(Checkpoint, ledger=DIGESTS, size=st.integers(1, 10**20 - 1), head=DIGESTS))
def test_what_is_written_is_read_back(checkpoint: Checkpoint) -> None:
    """Every checkpoint has one text, and that text is no other's."""
    assert parse_checkpoint(encode_checkpoint(checkpoint)) == checkpoint


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"ledger/1 chain ", b"ledger/2 chain ", "its first line"),
        (b"ledger/1 chain ", b"example.com/log ", "its first line"),
        (b"030ca8", b"030CA8", "its first line"),
        (b"\n5\n", b"\n05\n", "its second line"),
        (b"\n5\n", b"\n0\n", "its second line"),
        (b"\n5\n", b"\n-5\n", "its second line"),
        (b"\n5\n", b"\n5 \n", "its second line"),
        (b"\n5\n", "\n\u0665\n".encode(), "its second line"),
        (b"Dik=", b"Dik", "its third line"),
        (b"Dik=", b"Dil=", "its third line"),
        (b"Dik=", b"Dik= ", "its third line"),
        (b"P7MAasYC", b"", "its third line"),
        (b"\n5\n", b"\n", "fewer than three|its second"),
        (b"\n", b"\r\n", "control character"),
        (TEXT, b"", "empty"),
        (TEXT, b"\n\n", "empty"),
        (TEXT, b"ledger/1 chain \xff\n", "UTF-8"),
    ],
)
def test_what_is_no_checkpoint(old: bytes, new: bytes, reason: str) -> None:
    """Anything but the one way to write it is refused, with the line that is wrong."""
    with pytest.raises(BadNote, match=reason):
        parse_checkpoints(TEXT.replace(old, new))


def test_extension_lines_are_ignored() -> None:
    """A later version may say more below the third line."""
    assert parse_checkpoint(TEXT + b"seen by nobody\n") == Checkpoint(LEDGER, 5, HEAD)


@pytest.mark.parametrize("joint", [b"", b"\n", b"\n\n\n"])
def test_several_stand_after_one_another(joint: bytes) -> None:
    """Joined as `git notes append` joins, signed or not, each comes back as it was."""
    found = parse_checkpoints(joint.join([TEXT, SIGNED, TEXT, SIGNED]))
    assert [each.checkpoint for each in found] == [Checkpoint(LEDGER, 5, HEAD)] * 4
    assert [[line.name for line in each.note.signatures] for each in found] == [[], ["a", "b"]] * 2
    assert {each.note.text for each in found} == {TEXT}


@pytest.mark.parametrize("junk", [b"hello\n", b"hello\n\n"])
def test_something_else_beside_it_is_refused(junk: bytes) -> None:
    """Nothing is skipped in order to find a checkpoint behind it."""
    with pytest.raises(BadNote):
        parse_checkpoints(junk + TEXT)
