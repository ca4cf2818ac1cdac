"""What every store promises, local files and PostgreSQL alike (`ledger.store.interface`)."""

from __future__ import annotations

import multiprocessing
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.postgres_server import Server, fresh

from ledger.errors import DamagedLedger, LedgerError, LostRace, NotACopy
from ledger.events import (
    LEDGER_RUN,
    NO_DIGEST,
    PatchRefused,
    RunImported,
    RunStarted,
    body_digest,
    encode_event,
    event_digest,
    parse_event,
)
from ledger.frames import Frame
from ledger.stamps import Stamp
from ledger.store.interface import FollowedStore
from ledger.store.local import LocalStore
from ledger.store.postgres import PostgresStore

Started = Callable[[str], RunStarted]
Refused = Callable[[str], PatchRefused]
AnyStore = FollowedStore[Any]
HOME = "ab" * 32


def open_store(kind: str, where: str, stamp: Stamp) -> AnyStore:
    """Open a store as another process would."""
    if kind == "local":
        return LocalStore.open(Path(where), stamp, create=True)
    return PostgresStore.connect(where, home=HOME, stamp=stamp)


@pytest.fixture(params=["local", pytest.param("postgres", marks=pytest.mark.needs("postgres"))])
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of store."""
    return str(request.param)


@pytest.fixture
def where(kind: str, root: Path, request: pytest.FixtureRequest) -> str:
    """Where the store is: a directory, or an address."""
    return str(root) if kind == "local" else str(request.getfixturevalue("shared_url"))


@pytest.fixture
def store(kind: str, where: str, stamp: Stamp) -> Iterator[AnyStore]:
    """A new store."""
    store = open_store(kind, where, stamp)
    yield store
    close(store)


def close(store: AnyStore) -> None:
    if isinstance(store, PostgresStore):
        store.close()


@pytest.fixture
def reopen(kind: str, where: str, stamp: Stamp) -> Iterator[Callable[[], AnyStore]]:
    """Opens the store as another process would."""
    opened: list[AnyStore] = []

    def again() -> AnyStore:
        opened.append(open_store(kind, where, stamp))
        return opened[-1]

    yield again
    for each in opened:
        close(each)


def fill(store: AnyStore, started: Started, refused: Refused, count: int = 3, run: str = "port") -> None:
    store.append([started(run)], 1)
    for v in range(2, count + 1):
        store.append([refused(run)], v)


def test_what_was_appended_is_read_in_order(
    store: AnyStore, reopen: Callable[[], AnyStore], started: Started, refused: Refused
) -> None:
    """Versions and chains go on without a gap, for this process and for the next."""
    fill(store, started, refused)
    store.append([started("other")], 1)
    for reader in (store, reopen()):
        events = [frame.event for frame in reader.frames()]
        assert [event.reference for event in events] == ["port:1", "port:2", "port:3", "other:1"]
        stored = [bytes(frame.e) for frame in reader.of_run("port")]
        assert [event.prev for event in events[:3]] == [NO_DIGEST, *map(event_digest, stored[:2])]
        assert {name: head.v for name, head in reader.heads().items()} == {"port": 3, "other": 1}
        assert reader.heads()["port"].digest == event_digest(stored[-1])


def test_an_append_returns_what_is_read(
    store: AnyStore, reopen: Callable[[], AnyStore], started: Started, refused: Refused
) -> None:
    """The frames of an append are those that every reader finds; those of a group count down."""
    frames = store.append([started("port"), refused("port"), refused("port")], 1)
    assert [frame.n for frame in frames] == [2, 1, 0]
    assert list(reopen().frames()) == list(frames)
    assert [group for group, _ in reopen().groups()] == [list(frames)]


@pytest.mark.parametrize("expected", [1, 2, 3, 5, 9])
def test_another_expected_version_is_a_lost_race(
    store: AnyStore, reopen: Callable[[], AnyStore], started: Started, refused: Refused, expected: int
) -> None:
    """The loser appends nothing and is told where the run is; its store's memory does not matter."""
    fill(store, started, refused)
    before = list(store.frames())
    for loser in (store, reopen()):
        with pytest.raises(LostRace) as caught:
            loser.append([refused("port")], expected)
        assert (caught.value.expected, caught.value.head) == (expected, 3)
    assert list(store.frames()) == before


def test_a_stale_store_appends_at_the_head(
    store: AnyStore, reopen: Callable[[], AnyStore], started: Started, refused: Refused
) -> None:
    """What others appended meanwhile is followed, with an expected version and without one."""
    fill(store, started, refused)
    other = reopen()
    assert other.append([refused("port")], 4)[-1].event.v == 4
    assert store.append([refused("port")], 5)[-1].event.v == 5
    assert other.append([refused("port")])[-1].event.v == 6
    assert store.append([refused("port")])[-1].event.v == 7
    assert [frame.event.v for frame in reopen().of_run("port")] == list(range(1, 8))


def test_the_same_event_again_is_the_same_event(
    store: AnyStore, reopen: Callable[[], AnyStore], started: Started, refused: Refused
) -> None:
    """A retry after an answer that never arrived returns the first frames and appends nothing (P7)."""
    group = [started("port"), refused("port")]
    first = store.append(group, 1)
    store.append([refused("port")], 3)
    again = reopen().append(group, 1)
    assert [(frame.h, frame.n) for frame in again] == [(frame.h, frame.n) for frame in first]
    assert len(list(reopen().frames())) == 3


def test_another_event_of_the_same_id_is_a_lost_race(
    store: AnyStore, reopen: Callable[[], AnyStore], started: Started, refused: Refused
) -> None:
    """The same id with other content is not the same event."""
    from msgspec.structs import replace

    fill(store, started, refused)
    event = refused("port")
    store.append([event], 4)
    with pytest.raises(LostRace):
        reopen().append([replace(event, error="AmbiguousHunk")], 4)


def test_a_given_id_is_used_once(
    store: AnyStore, reopen: Callable[[], AnyStore], started: Started, refused: Refused
) -> None:
    """An id that a request gave is refused to another run."""
    from msgspec.structs import replace

    fill(store, started, refused)
    event = replace(refused("port"), request="ab" * 32)
    store.append([event], 4)
    with pytest.raises(LostRace):
        reopen().append([replace(event, run="other")])
    assert "other" not in store.heads()


@pytest.mark.parametrize(("after", "until"), [(0, None), (1, None), (2, 4), (0, 3), (4, 9), (9, None)])
def test_a_part_of_a_run(
    store: AnyStore, started: Started, refused: Refused, after: int, until: int | None
) -> None:
    """Versions past one up to another; what is not there yet is not waited for."""
    fill(store, started, refused, 5)
    fill(store, started, refused, 2, "other")
    found = [frame.event.v for frame in store.of_run("port", after, until)]
    assert found == [v for v in range(1, 6) if after < v <= (until or 5)]
    assert list(store.of_run("none")) == []


def test_groups_go_on_from_a_place(
    store: AnyStore, reopen: Callable[[], AnyStore], started: Started, refused: Refused
) -> None:
    """Whoever keeps the place of what it has consumed gets the rest, once, whole groups of it."""
    store.append([started("port"), refused("port")], 1)
    store.append([refused("port")], 3)
    store.append([started("other"), refused("other")], 1)
    places = list(reopen().groups())
    assert [[frame.event.reference for frame in group] for group, _ in places] == [
        ["port:1", "port:2"],
        ["port:3"],
        ["other:1", "other:2"],
    ]
    for number, (_, place) in enumerate(places, 1):
        assert [group for group, _ in reopen().groups(place)] == [group for group, _ in places[number:]]


def test_an_event_is_found_by_its_id(store: AnyStore, started: Started, refused: Refused) -> None:
    """In any run; None where no event has it."""
    fill(store, started, refused)
    event = refused("port")
    store.append([event])
    found = store.find(event.id)
    assert found is not None
    assert found.reference == "port:4"
    assert store.find(refused("port").id) is None


def test_heads_are_the_fold_of_every_event(
    store: AnyStore, reopen: Callable[[], AnyStore], started: Started, refused: Refused
) -> None:
    """A head says what a run's events say, read at once or followed."""
    from ledger.heads import Step, advance

    followed = reopen()
    for name in ("port", "other"):
        fill(store, started, refused, 3, name)
        followed.heads()
        frames = list(store.of_run(name))
        steps = [Step(frame.event, event_digest(frame.e), frame.s) for frame in frames]
        assert reopen().heads()[name] == followed.heads()[name] == advance(None, steps)


@pytest.mark.parametrize("data", [b"", b"text\n", bytes(range(256)) * 9000])
def test_a_body_is_named_by_its_digest(store: AnyStore, reopen: Callable[[], AnyStore], data: bytes) -> None:
    """Any bytes come back as they were, for every process; the same again is the same."""
    assert store.write_body(data) == store.write_body(data) == body_digest(data)
    assert reopen().read_body(body_digest(data)) == data


def test_a_missing_body_is_damage(store: AnyStore) -> None:
    """Nothing stands in for a body that is not there."""
    with pytest.raises(DamagedLedger, match="missing"):
        store.read_body(body_digest(b"never written"))


# Copies.


def copies_of(started: Started, refused: Refused, count: int, root: Path, stamp: Stamp) -> list[bytes]:
    """Return the stored events of a run of another ledger."""
    source = LocalStore.open(root / "source", stamp, create=True)
    fill(source, started, refused, count)
    return [bytes(frame.e) for frame in source.of_run("port")]


def imported(stamp: Stamp) -> RunImported:
    at_ns = stamp.clock()
    return RunImported(
        id=stamp.new_id(at_ns),
        run=LEDGER_RUN,
        at_ns=at_ns,
        actor=stamp.actor,
        of="port",
        last_v=3,
        digest="ab" * 32,
    )


def test_copies_are_kept_byte_for_byte(
    store: AnyStore,
    reopen: Callable[[], AnyStore],
    started: Started,
    refused: Refused,
    tmp_path: Path,
    stamp: Stamp,
) -> None:
    """What was stored elsewhere is stored here, and the run goes on behind it."""
    copies = copies_of(started, refused, 5, tmp_path, stamp)
    frames = store.append_copies(copies[:3], [imported(stamp)])
    assert [bytes(frame.e) for frame in frames[:3]] == copies[:3]
    assert [frame.event.reference for frame in frames[3:]] == ["ledger:1"]
    reopen().append_copies(copies[3:], [imported(stamp)])
    assert [bytes(frame.e) for frame in reopen().of_run("port")] == copies
    assert reopen().heads()["port"].v == 5


@pytest.mark.parametrize("damage", ["gap", "order", "prev", "run", "begin"])
def test_copies_that_do_not_follow_are_refused(
    store: AnyStore, started: Started, refused: Refused, tmp_path: Path, stamp: Stamp, damage: str
) -> None:
    """A chain with a fault is appended neither in part nor at all."""
    copies = copies_of(started, refused, 4, tmp_path, stamp)
    store.append_copies(copies[:1], [imported(stamp)])
    rest = copies[1:]
    match damage:
        case "gap":
            rest = [rest[0], rest[2]]
        case "order":
            rest = [rest[0], rest[2], rest[1]]
        case "prev":
            rest = [rest[0], rest[1].replace(event_digest(rest[0]).encode(), b"0" * 64), rest[2]]
        case "run":
            rest = [rest[0], rest[1].replace(b'"run":"port"', b'"run":"sort"'), rest[2]]
        case _:
            rest = rest[1:]
    before = list(store.frames())
    with pytest.raises(NotACopy):
        store.append_copies(rest, [imported(stamp)])
    assert list(store.frames()) == before


def test_other_copies_are_refused(
    store: AnyStore, started: Started, refused: Refused, tmp_path: Path, stamp: Stamp
) -> None:
    """Another history of a run that is here changes nothing."""
    store.append_copies(copies_of(started, refused, 3, tmp_path, stamp), [imported(stamp)])
    before = list(store.frames())
    with pytest.raises(LedgerError):
        store.append_copies(copies_of(started, refused, 3, tmp_path / "other", stamp), [imported(stamp)])
    assert list(store.frames()) == before


# Writers at once.


def append_many(kind: str, where: str, run: str, count: int) -> None:
    """Append to a run as one of several processes: at any version."""
    stamp = Stamp()
    store = open_store(kind, where, stamp)
    for number in range(count):
        at_ns = stamp.clock()
        store.append([
            RunStarted(
                id=stamp.new_id(at_ns), run=run, at_ns=at_ns, actor=stamp.actor, title=f"{number}", work_tree="",
                head=None, branch=None, base_tree="0" * 40, listing="",
            )
        ])  # fmt: skip
    close(store)


def test_processes_append_without_gaps(kind: str, where: str, store: AnyStore) -> None:
    """Four writers at once, two to a run: each run's versions in order, one chain, nothing lost (P7)."""
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=append_many, args=(kind, where, f"run{number % 2}", 25)) for number in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    for run in ("run0", "run1"):
        frames: list[Frame] = list(store.of_run(run))
        assert [frame.event.v for frame in frames] == list(range(1, 51))
        chain = [NO_DIGEST, *(event_digest(frame.e) for frame in frames)]
        assert [frame.event.prev for frame in frames] == chain[:-1]
        assert len({frame.event.id for frame in frames}) == 50


# Against a model.


@pytest.fixture(scope="module")
def one_url(postgres: Server) -> str:
    """One database for every example: each has a home of its own in it."""
    return fresh(postgres).both


STEPS = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 3), st.sampled_from([None, 0, -1, 1])), max_size=8
)


@pytest.mark.needs("postgres")
@given(steps=STEPS)
def test_both_stores_hold_the_same_bytes(
    steps: list[tuple[str, int, int | None]], one_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever is appended, at the right version or a wrong one, both stores agree on it byte for byte."""
    stamp = Stamp(clock=iter(range(10**18, 10**19, 10**6)).__next__)
    stores: list[AnyStore] = [
        LocalStore.open(tmp_path_factory.mktemp("model") / "ledger", stamp, create=True),
        PostgresStore.connect(one_url, home=secrets.token_hex(32), stamp=stamp),
    ]
    versions = {"a": 0, "b": 0}
    for run, size, wrong in steps:
        at_ns = stamp.clock()
        events = [
            RunStarted(
                id=stamp.new_id(at_ns), run=run, at_ns=at_ns, actor=stamp.actor, title=f"é{number}", work_tree="",
                head=None, branch=None, base_tree="0" * 40, listing="",
            )
            for number in range(size)
        ]  # fmt: skip
        expected = None if wrong is None else versions[run] + 1 + wrong
        outcomes: list[object] = []
        for store in stores:
            try:
                outcomes.append([bytes(frame.e) for frame in store.append(events, expected)])
            except LostRace as error:
                outcomes.append((error.run, error.expected, error.head))
        assert outcomes[0] == outcomes[1]
        versions[run] += size if isinstance(outcomes[0], list) else 0
    stored = [{run: [bytes(f.e) for f in store.of_run(run)] for run in versions} for store in stores]
    assert stored[0] == stored[1]
    assert {run: len(found) for run, found in stored[0].items()} == versions
    assert [parse_event(data).v for data in stored[1]["a"]] == list(range(1, versions["a"] + 1))
    assert all(encode_event(parse_event(data)) == data for data in stored[1]["a"])  # pyright: ignore[reportArgumentType]
    close(stores[1])
