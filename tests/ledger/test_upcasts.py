"""Upcasts: what an old release wrote is read as the newest version, and the log stays as it is (P9)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pytest

from ledger.api import Ledger
from ledger.errors import UnknownKind
from ledger.events import RunStarted, UnknownEvent, encode_event, event_digest, parse_event
from ledger.frames import encode_frame
from ledger.upcasts import UPCASTS, upcast

Started = Callable[[str], RunStarted]
Fields: TypeAlias = dict[str, Any]


@pytest.fixture
def upcasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Version 0 of ``run.started`` called the title ``name``; the steps of ``run.begun`` lead nowhere."""

    def rename(fields: Fields) -> Fields:
        return {"title" if name == "name" else name: value for name, value in fields.items()}

    monkeypatch.setitem(UPCASTS, ("run.started", 0), rename)
    monkeypatch.setitem(UPCASTS, ("run.begun", 1), dict)
    monkeypatch.setitem(UPCASTS, ("run.begun", 2), dict)


def old(event: RunStarted, kind: str = "run.started/0", **more: object) -> bytes:
    """Return what the old release wrote for an event."""
    fields = json.loads(encode_event(event))
    fields["name"] = fields.pop("title")
    return json.dumps({**fields, "kind": kind, **more}, separators=(",", ":")).encode()


def test_an_old_event_is_the_newest(started: Started, upcasts: None) -> None:
    """It decodes to the same value as if it were written today; its digest is that of its own bytes."""
    event = started("port")
    assert parse_event(old(event)) == event
    assert event_digest(old(event)) != event_digest(encode_event(event))


def test_nothing_is_upcast_without_an_upcast(started: Started) -> None:
    """The same bytes are an unknown kind, kept, where the table is empty."""
    found = parse_event(old(started("port")))
    assert isinstance(found, UnknownEvent)
    assert found.kind == "run.started/0"


def test_steps_that_lead_nowhere_leave_the_event_as_it_is(started: Started, upcasts: None) -> None:
    """Two steps, and then a version that nobody knows: an unknown kind, with its own name."""
    found = parse_event(old(started("port"), "run.begun/1"))
    assert isinstance(found, UnknownEvent)
    assert found.kind == "run.begun/1"


def test_several_steps_follow_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step sees what the one before made, and none sees the kind."""
    seen: list[Fields] = []

    def step(fields: Fields) -> Fields:
        seen.append(dict(fields))
        return {**fields, "steps": fields["steps"] + 1}

    for version in (1, 2):
        monkeypatch.setitem(UPCASTS, ("a.b", version), step)
    assert upcast({"kind": "a.b/1", "steps": 0}, {"a.b/3"}) == {"kind": "a.b/3", "steps": 2}
    assert upcast({"kind": "a.b/2", "steps": 0}, {"a.b/3"}) == {"kind": "a.b/3", "steps": 1}
    assert seen == [{"steps": 0}, {"steps": 1}, {"steps": 0}]


def test_an_old_event_without_its_fields_is_damage(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that misses what it needs, and a step whose result is none: an error, no unknown event."""
    monkeypatch.setitem(
        UPCASTS, ("run.started", 0), lambda fields: {"title": fields.pop("missing"), **fields}
    )
    with pytest.raises(msgspec.ValidationError, match="missing"):
        parse_event(old(started("port")))
    monkeypatch.setitem(UPCASTS, ("run.started", 0), lambda fields: fields)
    with pytest.raises(msgspec.ValidationError, match="title"):
        parse_event(old(started("port")))


@pytest.mark.parametrize("kind", ["run.started/2", "run.started/x", "run.started", "run.started/10"])
def test_a_later_version_is_an_unknown_kind(started: Started, upcasts: None, kind: str) -> None:
    """Kept as it is, never taken for the version that is known."""
    found = parse_event(old(started("port"), kind, result_tree="ab" * 20))
    assert isinstance(found, UnknownEvent)
    assert (found.kind, found.result_tree) == (kind, "ab" * 20)


def _write_log(root: Path, *stored: bytes) -> None:
    lines, before = b"", "0" * 64
    for position, event in enumerate(stored, start=1):
        line, before = encode_frame(event, before, position, 0, 0)
        lines += line
    for name in ("log", "bodies", "cache", "quarantine", "locks"):
        (root / name).mkdir(parents=True)
    (root / "log" / f"{1:020d}.jsonl").write_bytes(lines)
    (root / "FORMAT").write_bytes(b"ledger/1\n")


def test_a_ledger_of_an_old_release_is_read_and_gone_on_with(
    repo: Path, started: Started, upcasts: None
) -> None:
    """Heads, states and SQL are as if it were written today; what is appended follows the old bytes."""
    with Ledger.open(repo) as ledger:
        first = old(started("port"), v=1, prev="0" * 64)
        _write_log(ledger.path, first)
        ledger.store.write_body(b"")
        (head,) = ledger.runs()
        assert (head.title, head.digest, head.open) == ("port", event_digest(first), True)
        assert ledger.sql("select title, events from runs").fetchall() == [("port", 1)]
        assert ledger.state("port:1").files == {}
        assert ledger.finish().event == "port:2"
        assert bytes(next(iter(ledger.store.frames())).e) == first
        assert ledger.event("port:2").prev == event_digest(first)


def test_a_later_version_that_changes_the_tree_ends_the_fold(repo: Path, started: Started) -> None:
    """Everything before it, and everything that needs no state, goes on."""
    first = encode_event(msgspec.structs.replace(started("port"), v=1, prev="0" * 64))
    later = old(started("port"), "patch.applied/2", v=2, prev=event_digest(first), result_tree="ab" * 20)
    with Ledger.open(repo) as ledger:
        _write_log(ledger.path, first, later)
        ledger.store.write_body(b"")
        assert ledger.state("port:1").files == {}
        with pytest.raises(UnknownKind, match=r"patch\.applied/2"):
            ledger.state("port:2")
        rows = ledger.sql("select kind, kind_version from columns.event order by position").fetchall()
        assert rows == [("run.started", 1), ("patch.applied", 2)]
