"""Runs of other ledgers, out of the shared store: proved before anything is written, and the same bytes then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from tests.ledger.sharing.conftest import Clones, work

from ledger.api import Ledger
from ledger.sharedarchive.moving import move_closed
from ledger.sharing_errors import (
    AmbiguousRun,
    ArchivedRun,
    BaseElsewhere,
    NoSharedRun,
    NoSharedStore,
    UnprovenRun,
)
from ledger.stamps import Stamp
from ledger.store.postgres import PostgresStore
from ledger.store.postgres.archival import Archival
from ledger.transfer_errors import DivergedRun

pytestmark = pytest.mark.needs("postgres")


def sync(root: Path) -> None:
    with Ledger.open(root) as ledger:
        ledger.sync()


def stored(root: Path, run: str) -> list[bytes]:
    with Ledger.open(root) as ledger:
        return [bytes(frame.e) for frame in ledger.store.of_run(run)]


@pytest.fixture
def sent(clones: Clones) -> Path:
    """A clone whose run is in the store."""
    one = clones.clone("one")
    work(one, "first", patches=2)
    sync(one)
    return one


def test_the_same_bytes_and_the_same_trees(clones: Clones, sent: Path) -> None:
    """Twice is once; what the home sends later comes as well; the home is told from one's own runs."""
    two = clones.clone("two")
    with Ledger.open(two) as here:
        (listed,) = here.list_shared()
        assert (listed.run, listed.label, listed.v, listed.here_v, listed.fits) == (
            "first",
            "hub",
            4,
            0,
            True,
        )
        (pulled,) = here.pull()
        assert pulled.imported is not None
        assert (pulled.imported.appended, pulled.imported.proved_v) == (4, 4)
        position = here.store.position()
        (again,) = here.pull(["first"])
        assert again.imported is None
        assert here.store.position() == position
    assert stored(two, "first") == stored(sent, "first")
    work(sent, "first")
    sync(sent)
    with Ledger.open(two) as here:
        assert [each.here_v for each in here.list_shared()] == [4]
        (more,) = here.pull()
        assert more.imported is not None
        assert more.imported.appended == 1
        *_, last = here.replay("first")
    with Ledger.open(sent) as there:
        assert there.list_shared() == []
        assert last.tree == there.status().candidate
    assert stored(two, "first") == stored(sent, "first")
    said = [event for event in Ledger.open(two).store.frames() if event.event.kind == "run.imported/1"]
    assert {getattr(frame.event, "source") for frame in said} == {clones.url}  # noqa: B009 - of this kind


def test_the_readers_role_is_enough(clones: Clones, sent: Path, shared_urls) -> None:
    two = clones.clone("two", shared_urls.reader)
    with Ledger.open(two) as here:
        assert [each.run.run for each in here.pull()] == ["first"]
    assert stored(two, "first") == stored(sent, "first")


def test_what_was_archived_is_listed_and_said(
    clones: Clones, sent: Path, shared_urls, tmp_path: Path
) -> None:
    """Not as if it were gone: whoever has it is in step, and nobody else gets half of it."""
    two, three = clones.clone("two"), clones.clone("three")
    with Ledger.open(sent) as ledger:
        ledger.finish()
    sync(sent)
    with Ledger.open(two) as here:
        here.pull()
    archival = Archival.connect(shared_urls.archiver)
    (moved,) = move_closed(archival, tmp_path / "archive", 1 << 62)
    archival.close()
    assert moved.seal.runs == 1
    for root, here_v in ((two, 5), (three, 0)):
        with Ledger.open(root) as here:
            (listed,) = here.list_shared()
            assert (listed.run, listed.here_v, listed.fits) == ("first", here_v, False)
            assert listed.archive == str(tmp_path / "archive")
            assert here.pull() == []
    with Ledger.open(two) as here:
        assert [each.imported for each in here.pull(["first"])] == [None]
    with Ledger.open(three) as here:
        with pytest.raises(ArchivedRun, match=str(tmp_path / "archive")):
            here.pull(["first"])
        assert here.runs() == []
    sync(sent)
    assert clones.stored() == {}
    shared = PostgresStore.connect(clones.url, home=listed.home, stamp=Stamp())
    assert shared.heads() == {}
    shared.close()


def test_which_run_is_meant(clones: Clones, sent: Path, make_repo: Callable[..., Path]) -> None:
    """A name that several homes have takes its home, or the repository's label, in front."""
    other = make_repo({"elsewhere": b"x\n", "a.txt": b"y\n"}, name="other")
    with Ledger.open(other) as ledger:
        ledger.set_store(clones.url)
    work(other, "first")
    with Ledger.open(sent) as ledger:
        ledger.finish()
    work(sent, "second")
    sync(other)
    sync(sent)
    two = clones.clone("two")
    with Ledger.open(two) as here:
        # Without a name, what begins in this repository: not the other one's.
        with pytest.raises(NoSharedRun):
            here.pull(["nobody"])
        with pytest.raises(AmbiguousRun) as asked:
            here.pull(["first"])
        names = asked.value.candidates
        assert len(names) == 2
        assert sorted(each.run.run for each in here.pull()) == ["first", "second"]
        with pytest.raises(DivergedRun):
            here.pull(["other/first"])
        (own,) = set(names) - {each.name for each in here.list_shared() if each.label == "other"}
        assert [each.imported for each in here.pull([own])] == [None]
    with Ledger.open(clones.clone("three")) as here:
        with pytest.raises(BaseElsewhere) as foreign:
            here.pull(["other/first"])
        assert "ledger sync git" in foreign.value.hint


def test_another_run_of_the_name_is_refused(clones: Clones, sent: Path) -> None:
    """What is here stays, and the other runs are taken in all the same, which the error says."""
    with Ledger.open(sent) as ledger:
        ledger.finish()
    work(sent, "second")
    sync(sent)
    two = clones.clone("two")
    work(two, "first")
    before = stored(two, "first")
    with pytest.raises(DivergedRun) as refused, Ledger.open(two) as here:
        here.pull()
    assert stored(two, "first") == before
    assert stored(two, "second") == stored(sent, "second")
    assert refused.value.__notes__ == ["taken in: second:3"]


def test_a_base_that_came_through_git_alone(clones: Clones, git: Callable[..., str]) -> None:
    """A run on a commit that nobody pushed can be pulled once its refs were synced, and goes on from there."""
    one, two = clones.clone("one"), clones.clone("two")
    (one / "d/b.txt").write_bytes(b"not pushed\n")
    git("commit", "--all", "--quiet", "--message", "here alone", cwd=one)
    work(one, "first")
    sync(one)
    with Ledger.open(two) as here:
        assert [each.fits for each in here.list_shared()] == [False]
        assert here.pull() == []
        with pytest.raises(BaseElsewhere):
            here.pull(["first"])
        assert not here.path.joinpath("log").exists() or here.store.position() == 0
    with Ledger.open(one) as there:
        there.sync_refs()
    with Ledger.open(two) as here:
        here.sync_refs()
        (pulled,) = here.pull()
        assert pulled.imported is not None
        from ledger.sharing_errors import ElsewhereAtHead

        with pytest.raises(ElsewhereAtHead) as refused:
            here.continue_run("first", candidate=True)
    git("switch", "--quiet", "--detach", refused.value.commit, cwd=two)
    with Ledger.open(two) as here:
        done = here.continue_run("first", candidate=True)
        with Ledger.open(one) as there:
            assert done.tree == there.status().candidate


def test_what_was_dropped_at_home_is_said(clones: Clones) -> None:
    """The run comes without it, although the store was sent it before; so much is proved as can be."""
    one, two = clones.clone("one"), clones.clone("two")
    work(one, "first", patches=2)
    sync(one)
    with Ledger.open(one) as ledger:
        ledger.redact("first:4", names=["patch"], reason="a key")
        ledger.sync()
    with Ledger.open(two) as here:
        (pulled,) = here.pull()
        assert pulled.imported is not None
        assert (pulled.imported.proved_v, pulled.imported.appended) == (3, 4)
        assert len(here.store.dropped()) == 1


TAMPERING = {
    "an event": "update ledger.events set stored = overlay(stored placing 'X' from 200) where v = 3",
    "the last one": "delete from ledger.events where v = 4",
    "a body": "update ledger.bodies set data = data || 'x'",
    "bodies": "delete from ledger.bodies",
}


@pytest.mark.parametrize("statement", TAMPERING.values(), ids=TAMPERING)
def test_what_a_server_was_made_to_say_is_not_believed(
    clones: Clones, sent: Path, shared_urls, statement: str
) -> None:
    """Whoever can turn the triggers off there gets nothing into a ledger here."""
    owner = shared_urls.owner.replace("ledger_owner", "postgres")
    with psycopg.connect(owner) as connection:
        connection.execute(b"set session_replication_role = replica")
        connection.execute(statement.encode())
    two = clones.clone("two")
    with Ledger.open(two) as here:
        with pytest.raises(UnprovenRun):
            here.pull(["first"])
        assert not here.path.joinpath("log").exists() or here.store.position() == 0


def test_a_run_that_takes_too_much(clones: Clones, sent: Path) -> None:
    with (
        pytest.raises(UnprovenRun, match="more bytes than are allowed"),
        Ledger.open(clones.clone("two")) as here,
    ):
        here.pull(limit_bytes=10)


def test_without_a_store(clones: Clones) -> None:
    two = clones.clone("two")
    with Ledger.open(two) as here:
        here.unset_store()
        for asking in (here.pull, here.list_shared):
            with pytest.raises(NoSharedStore):
                asking()
