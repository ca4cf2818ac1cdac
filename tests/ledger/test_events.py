"""Events: their wire form, their identity, and what is kept of kinds that are not known."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.events import RunStarted, UnknownEvent, encode_event, event_digest, parse_event
from ledger.filerecords import EncodedPath, FileRecord, changes_paths, encode_path, parse_path
from ledger.stamps import Stamp
from patches.model import Entry, FileChange

Started = Callable[[str], RunStarted]


def test_an_event_is_its_own_wire_form(started: Started) -> None:
    """Encoding and parsing give the same event, and the same bytes again."""
    event = started("port")
    data = encode_event(event)
    assert parse_event(data) == event
    assert encode_event(event) == data
    assert json.loads(data)["kind"] == "run.started/1"


@given(st.binary(min_size=1).filter(lambda path: b"\0" not in path))
def test_every_path_survives_the_wire(path: bytes) -> None:
    """A path of any bytes comes back; UTF-8 stays readable."""
    wire = msgspec.json.decode(msgspec.json.encode(encode_path(path)), type=str | EncodedPath)
    assert parse_path(wire) == path


def test_a_path_that_is_not_utf8_is_marked() -> None:
    """Bytes that are no UTF-8 are written as base64, not replaced."""
    assert encode_path(b"caf\xe9") == EncodedPath("Y2Fm6Q==")
    assert encode_path("café".encode()) == "café"


@given(st.integers(0, (1 << 48) - 1), st.binary(min_size=10, max_size=10))
def test_ids_are_uuid_version_7(milliseconds: int, entropy: bytes) -> None:
    """Version, variant and time are where RFC 9562, section 5.7 puts them."""
    made = Stamp(entropy=lambda _: entropy).new_id(milliseconds * 1_000_000)
    parsed = uuid.UUID(made)
    assert str(parsed) == made
    assert parsed.version == 7
    assert parsed.variant == uuid.RFC_4122
    assert parsed.int >> 80 == milliseconds


def test_ids_sort_by_time() -> None:
    """A later millisecond gives a greater id, whatever the random digits are."""
    early = Stamp(entropy=lambda n: b"\xff" * n).new_id(1_000_000)
    late = Stamp(entropy=lambda n: b"\x00" * n).new_id(2_000_000)
    assert early < late


def test_an_unknown_kind_is_kept(started: Started) -> None:
    """A kind from a later version keeps identity and says whether it changes the tree (P9)."""
    fields = json.loads(encode_event(started("port"))) | {
        "kind": "run.teleported/7",
        "result_tree": "ab" * 20,
    }
    event = parse_event(json.dumps(fields).encode())
    assert isinstance(event, UnknownEvent)
    assert (event.kind, event.run, event.result_tree) == ("run.teleported/7", "port", "ab" * 20)


def test_a_known_kind_with_missing_fields_is_no_unknown_event(started: Started) -> None:
    """A damaged event of a known kind is an error, not something to carry along."""
    fields = json.loads(encode_event(started("port")))
    del fields["base_tree"]
    with pytest.raises(msgspec.ValidationError, match="base_tree"):
        parse_event(json.dumps(fields).encode())


def test_fields_of_a_later_minor_writer_are_ignored_not_lost(started: Started) -> None:
    """An extra field does not stop a reader; the digest covers it all the same."""
    data = encode_event(started("port"))
    more = data[:-1] + b',"later":1}'
    assert parse_event(more) == parse_event(data)
    assert event_digest(more) != event_digest(data)


def entry(byte: int) -> Entry:
    """Return an entry whose oid repeats one byte."""
    return Entry(0o100644, bytes([byte]) * 20)


def test_two_files_that_swap_names_both_stay() -> None:
    """The path that one rename leaves is the path that the other one makes."""
    a, b = entry(1), entry(2)
    changes = [
        FileChange(b"b", "rename", a, a, old_path=b"a"),
        FileChange(b"a", "rename", b, b, old_path=b"b"),
    ]
    assert changes_paths(map(FileRecord.of, changes)) == {b"a": b, b"b": a}


def test_a_deleted_path_that_comes_back_in_the_same_patch_stays() -> None:
    """Git writes a type change as a deletion and an addition of one path, in either order."""
    old, new = entry(1), Entry(0o120000, b"\2" * 20)
    pair = [FileChange(b"x", "delete", old, None), FileChange(b"x", "add", None, new)]
    assert changes_paths(map(FileRecord.of, pair)) == {b"x": new}
    assert changes_paths(map(FileRecord.of, reversed(pair))) == {b"x": new}
