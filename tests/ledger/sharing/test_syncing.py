"""The shared store has a ledger's own runs, byte for byte and once, whatever happens on the way."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))
from gatebook import die_at, in_a_fork
from tests.ledger.sharing.conftest import DEAD, Clones, own_events, work

from ledger.api import Ledger
from ledger.events import event_digest
from ledger.projections import shared as projection
from ledger.shared_errors import StoreUnreachable
from ledger.sharing_errors import BadStoreUrl, DivergedHome, NoSharedStore, PasswordInUrl, SetElsewhere
from ledger.store.homes import home_of
from ledger.store.postgres import PostgresStore

pytestmark = pytest.mark.needs("postgres")


def sync(root: Path) -> int:
    """Sync, and return how many events were sent."""
    with Ledger.open(root) as ledger:
        return sum(each.until_v - each.from_v for each in ledger.sync().runs)


def home(root: Path) -> str:
    with Ledger.open(root) as ledger:
        return home_of(ledger.store)


def assert_same(clones: Clones, *roots: Path) -> None:
    """The store has exactly the own runs of these ledgers, and every body that they have."""
    wanted = {(home(root), run): events for root in roots for run, events in own_events(root).items()}
    assert clones.stored() == wanted
    bodies = clones.bodies()
    for root in roots:
        for path in (root / ".git/ledger/bodies").rglob("*/*"):
            assert bodies[path.name] == path.read_bytes()
    assert all(sha256(data).hexdigest() == digest for digest, data in bodies.items())


def test_every_own_run_once_and_byte_for_byte(clones: Clones) -> None:
    """What came since goes up the next time; what is there already is not sent again."""
    one, two = clones.clone("one"), clones.clone("two")
    work(one, "first")
    work(two, "first")
    assert (sync(one), sync(one), sync(two)) == (3, 0, 3)
    assert_same(clones, one, two)
    with Ledger.open(one) as ledger:
        ledger.finish()
    work(one, "second", patches=2)
    before = clones.rows("select max(seq) from ledger.events")
    with Ledger.open(one) as ledger:
        assert ledger.unsent() == 5
        assert ledger.status().unexported == ("first",)
        preview = ledger.sync(dry_run=True)
    assert clones.rows("select max(seq) from ledger.events") == before
    assert {each.run: (each.from_v, each.until_v) for each in preview.runs} == {
        "first": (3, 4),
        "second": (0, 4),
    }
    assert (sync(one), sync(one)) == (5, 0)
    assert_same(clones, one, two)
    with Ledger.open(one) as ledger:
        assert ledger.unsent() == 0
        # The finished run exists elsewhere now.
        assert ledger.status().unexported == ()


def test_the_writers_role_is_enough(clones: Clones, shared_urls) -> None:
    """Whoever syncs needs no right to read what others have sent."""
    one = clones.clone("one", shared_urls.writer)
    work(one, "first")
    assert (sync(one), sync(one)) == (3, 0)
    work(one, "first")
    assert sync(one) == 1
    assert_same(clones, one)


def test_batches_cut_no_group(clones: Clones, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was appended at once is there at once, however small a batch is."""
    monkeypatch.setattr(projection, "_BATCH_EVENTS", 1)
    one = clones.clone("one")
    work(one, "first", patches=3)
    assert sync(one) == 5
    by_transaction = clones.rows("select array_agg(v order by v) from ledger.events group by xid order by 1")
    assert [versions for (versions,) in by_transaction] == [[1, 2], [3], [4], [5]]


def test_imported_runs_are_their_homes_to_send(clones: Clones, tmp_path: Path) -> None:
    one, two = clones.clone("one"), clones.clone("two")
    work(one, "first")
    with Ledger.open(one) as there, Ledger.open(two) as here:
        there.export_runs(["first"], tmp_path / "first.zip")
        here.import_runs(tmp_path / "first.zip")
    assert sync(two) == 1
    assert {run for _, run in clones.stored()} == {"ledger"}


def test_ledgers_that_begin_with_the_same_import_have_homes_of_their_own(
    clones: Clones, tmp_path: Path
) -> None:
    """Their first frames are the same bytes; what they did themselves is not. Nothing later changes a home."""
    one, two, three = (clones.clone(name) for name in ("one", "two", "three"))
    work(one, "first")
    with Ledger.open(one) as there:
        there.export_runs(["first"], tmp_path / "first.zip")
    for root in (two, three):
        with Ledger.open(root) as here:
            here.import_runs(tmp_path / "first.zip")
    with Ledger.open(two) as a, Ledger.open(three) as b:
        firsts = [each.store.segments.first_link() for each in (a, b)]
        assert firsts[0] == firsts[1]
    homes = [home(root) for root in (one, two, three)]
    assert len(set(homes)) == 3
    for root in (two, three):
        work(root, f"child-of-{root.name}")
        with Ledger.open(root) as ledger:
            ledger.finish()
            ledger.archive()
            ledger.collect(0, apply=True)
    assert [home(root) for root in (one, two, three)] == homes
    assert sync(two) > 0
    assert sync(three) > 0


def test_a_copied_ledger_that_has_diverged_is_refused(clones: Clones) -> None:
    """Both digests are named, whole. A copy that is merely old sends nothing, and takes nothing back."""
    one = clones.clone("one")
    work(one, "first")
    copy, old = one.parent / "copy", one.parent / "old"
    shutil.copytree(one, copy)
    shutil.copytree(one, old)
    work(one, "first", patches=2)
    work(copy, "first", patches=3)
    assert sync(one) == 5
    there = clones.stored()
    with pytest.raises(DivergedHome) as refused, Ledger.open(copy) as ledger:
        ledger.sync()
    digests = [event_digest(own_events(root)["first"][4]) for root in (copy, one)]
    assert (refused.value.v, refused.value.here, refused.value.there) == (5, *digests)
    assert all(digest in str(refused.value) for digest in digests)
    with Ledger.open(old) as ledger:
        (said,) = ledger.sync().runs
    assert (said.until_v, said.there_v) == (3, 5)
    # One that has gone on less far than what is there.
    work(old, "first")
    with pytest.raises(DivergedHome) as refused, Ledger.open(old) as ledger:
        ledger.sync()
    assert refused.value.v == 4
    assert clones.stored() == there


def test_what_was_dropped_is_not_sent(clones: Clones) -> None:
    """The event that says so is; of what was sent before, the redaction names the store."""
    one = clones.clone("one")
    work(one, "first", patches=2)
    with Ledger.open(one) as ledger:
        event = ledger.event("first:3")
        note = str(getattr(event, "note"))  # noqa: B009 - of a patch
        dropped = ledger.redact("first:3", names=["note"])
        assert not [copy for copy in dropped.copies if copy.where == "shared store"]
        ledger.sync()
        assert note not in clones.bodies()
        assert len(clones.bodies()) == len(list((one / ".git/ledger/bodies").rglob("*/*")))
        sent = ledger.redact("first:4", names=["note"])
        assert [copy.where for copy in sent.copies].count("shared store") == 1
    assert sync(one) == 1


def test_where_the_store_is_set(clones: Clones, git: Callable[..., str], monkeypatch) -> None:
    """In the repository's configuration, for all its work trees; the environment goes first; none is an error."""
    one = clones.clone("one")
    with Ledger.open(one) as ledger:
        assert git("config", "ledger.store", cwd=one) == clones.url
        monkeypatch.setenv("LEDGER_STORE", DEAD)
        assert (ledger.shared_store() or ("",))[0] == DEAD
        monkeypatch.setenv("LEDGER_STORE", "none")
        assert ledger.shared_store() is None
        monkeypatch.delenv("LEDGER_STORE")
        assert ledger.unset_store()
        assert not ledger.unset_store()
        with pytest.raises(NoSharedStore):
            ledger.sync()
        git("config", "--global", "ledger.store", DEAD)
        with pytest.raises(SetElsewhere):
            ledger.unset_store()
    with Ledger.open(one) as ledger:
        assert (ledger.shared_store() or ("",))[0] == DEAD


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:Sekr3t@db.example/ledger",
        "postgresql://ann@db.example/ledger?password=Sekr3t",
        "postgres://:Sekr3t@db.example/ledger?sslmode=verify-full",
        "postgresql://db.example/ledger?sslmode=require&sslpassword=Sekr3t",
    ],
)
def test_a_password_is_never_kept_or_shown(clones: Clones, url: str, monkeypatch) -> None:
    one = clones.clone("one")
    before = (one / ".git/config").read_bytes()
    work(one, "first")
    with Ledger.open(one) as ledger:
        with pytest.raises(PasswordInUrl) as refused:
            ledger.set_store(url)
        assert "Sekr3t" not in str(refused.value)
        assert "db.example" in str(refused.value)
        monkeypatch.setenv("LEDGER_STORE", url)
        with pytest.raises(PasswordInUrl):
            ledger.sync()
        assert "Sekr3t" not in ledger.status().shared
        strange = ("mysql://db/ledger", "db.example", "postgresql://[db/x", "postgresql://ann:Se/Kr3t@db/x")
        for other in strange:
            monkeypatch.setenv("LEDGER_STORE", other)
            assert "Kr3t" not in ledger.status().shared
            with pytest.raises(BadStoreUrl) as bad:
                ledger.set_store(other)
            assert "Kr3t" not in str(bad.value)
    assert (one / ".git/config").read_bytes() == before


def test_a_store_that_is_not_there_is_an_error_of_sync_alone(clones: Clones) -> None:
    one = clones.clone("one", DEAD)
    work(one, "first")
    with Ledger.open(one) as ledger:
        with pytest.raises(StoreUnreachable):
            ledger.sync()
        assert ledger.unsent() == 3


STEPS: list[tuple[tuple[object, str], int]] = [
    ((PostgresStore, "_register"), 1),
    ((PostgresStore, "_put_bodies"), 2),
    ((PostgresStore, "append_copies"), 1),
    ((PostgresStore, "append_copies"), 4),
    ((projection, "write_cached"), 2),
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("step", "nth"), STEPS, ids=lambda each: str(each[1] if isinstance(each, tuple) else each)
)
def test_killed_on_the_way(
    clones: Clones, step: tuple[type, str], nth: int, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is there then is a beginning of each run, with its bodies; the next time ends it, and sends the rest alone."""
    monkeypatch.setattr(projection, "_BATCH_EVENTS", 1)
    one = clones.clone("one")
    work(one, "first", patches=3)
    with Ledger.open(one) as ledger:
        ledger.finish()
    work(one, "second")

    def dying() -> None:
        die_at(step, nth, after=after)
        sync(one)

    assert in_a_fork(dying) == 9
    wanted, there = own_events(one), clones.stored()
    had = 0
    for (_, run), events in there.items():
        assert wanted[run][: len(events)] == events
        had += len(events)
    assert sync(one) == sum(map(len, wanted.values())) - had
    assert_same(clones, one)


def test_several_at_once(clones: Clones) -> None:
    """Two commands that send the same in one moment send it once."""
    from concurrent.futures import ThreadPoolExecutor

    one = clones.clone("one")
    work(one, "first", patches=4)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(in_a_fork, [lambda: sync(one)] * 4)) == [0] * 4
    assert_same(clones, one)
