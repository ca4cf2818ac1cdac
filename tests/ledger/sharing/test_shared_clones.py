"""The commands in real clones with homes of their own: work without a network, sync, and each has the other's."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "e2e"))
from shell import Done, Shell  # pyright: ignore[reportMissingImports] - its folder is added above
from tests.ledger.sharing.conftest import DEAD, Clones, own_events

pytestmark = pytest.mark.needs("postgres")


class Person:
    """Somebody with a home and a clone."""

    def __init__(self, clones: Clones, name: str, folder: Path) -> None:
        self.name, self._git = name, clones.git
        self.home = folder / f"home-{name}"
        self.home.mkdir()
        self.root = clones.clone(name)
        self.shell = Shell(self.root)
        self.store = ""
        """What LEDGER_STORE says."""

    def __call__(self, *words: str, code: int = 0) -> Done:
        env = {"HOME": str(self.home), "GIT_CONFIG_GLOBAL": str(self.home / ".gitconfig")}
        done = self.shell(*words, LEDGER_STORE=self.store, LEDGER_ACTOR=f"person:{self.name}", **env)
        assert done.code == code, (words, done.code, done.out, done.err)
        return done

    def json(self, *words: str) -> object:
        return json.loads(self(*words, "--json").out)

    def edit(self, text: bytes) -> None:
        (self.root / "a.txt").write_bytes(text)

    def git(self, *words: str) -> str:
        return self._git(*words, cwd=self.root)


@pytest.fixture
def people(clones: Clones, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Person, Person]:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    return Person(clones, "ann", tmp_path), Person(clones, "bob", tmp_path)


def test_both_work_without_a_network_and_have_each_others_accepted_state(
    people: tuple[Person, Person],
) -> None:
    """Each replays what the other's gates accepted, and gets the very tree; the store fails in the middle, too."""
    accepted: dict[str, str] = {}
    for person in people:
        run = f"of-{person.name}"
        person.store = DEAD
        person("run", "start", f"work of {person.name}", "--name", run)
        person.edit(b"good, says %s\n" % person.name.encode())
        done = person("record", "-m", "by hand")
        assert "3 events wait for the shared store" in done.err
        assert done.err.count("wait for") == 1
        person("gate")
        person.edit(b"bad, says %s\n" % person.name.encode())
        person("record")
        # A strict gate rejects: its exit code is the command's, network or not.
        assert "wait for the shared store" in person("gate", code=1).err
        status = person.json("status")
        assert isinstance(status, dict)
        accepted[run] = status["accepted"]
        assert status["unsent"] == status_events(person)
        assert person.git("rev-parse", f"refs/ledger/{run}/accepted^{{tree}}") == accepted[run]
    ann, bob = people
    ann.store = ""
    ann("sync")
    ann("sync", "git")
    # The store is away in the middle: what Git carries goes on, and what was not sent waits.
    bob("sync", code=8)
    bob("sync", "git")
    bob("phase", "P3")
    bob.store = ""
    bob("sync")
    assert bob("sync").err.startswith("nothing to do")
    for person, other in ((ann, bob), (bob, ann)):
        run = f"of-{other.name}"
        person("sync", "git")
        assert f"pulled {run}" in person("pull").err
        replayed = person.json("replay", "--until", f"{run}:green")
        assert accepted[run] in json.dumps(replayed)
        assert person.git("rev-parse", f"refs/ledger-remotes/origin/{run}/accepted^{{tree}}") == accepted[run]
        assert "damaged" not in person("verify").out
        # What was pulled was said in run `ledger`, and that was sent right away.
        assert person.json("status")["unsent"] == 0  # pyright: ignore[reportIndexIssue]
    ann("run", "finish")
    done = ann("run", "continue", "of-bob", "--name", "of-both", code=7)
    assert "edit" in done.err or "changed" in done.err
    ann.git("reset", "--quiet", "--hard")
    ann("run", "continue", "of-bob", "--name", "of-both")
    assert ann.git("write-tree") == accepted["of-bob"]


def status_events(person: Person) -> int:
    return sum(map(len, own_events(person.root).values()))


def test_each_command_sends_what_it_recorded(people: tuple[Person, Person], clones: Clones) -> None:
    """Also one that fails; a rehearsal sends nothing, nor does any where it is turned off. Outputs stay as they are."""
    ann, _ = people
    ann("run", "start", "x", "--name", "x")
    assert list(clones.stored().values()) == [own_events(ann.root)["x"]]
    (ann.root.parent / "wrong.diff").write_text("--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-nowhere\n+x\n")
    ann("apply", "../wrong.diff", code=3)
    assert list(clones.stored().values()) == [own_events(ann.root)["x"]]
    ann("error", "--step", "1:x", "boom", "--dry-run")
    ann("error", "--step", "1:x", "boom", "-n", "--json")
    assert list(clones.stored().values()) == [own_events(ann.root)["x"]]
    ann.store = "none"
    assert "shared" not in ann("error", "--step", "1:x", "boom").err
    assert len(own_events(ann.root)["x"]) == 5
    assert [len(events) for events in clones.stored().values()] == [4]
    ann.store = DEAD
    document = json.loads(ann("error", "--step", "1:x", "other", "--json").out)
    assert [event["kind"] for event in document["events"]] == ["error.captured/1"]
    assert "6 events not in the shared store yet" in ann("status").out
    ann.store = ""
    ann("phase", "P3")
    assert list(clones.stored().values()) == [own_events(ann.root)["x"]]
    assert "not in the shared store" not in ann("status").out


def test_the_store_is_shown_set_and_unset(people: tuple[Person, Person], clones: Clones) -> None:
    ann, _ = people
    assert ann("store").out == f"{clones.url}\n"
    said = ann.json("store")
    assert isinstance(said, dict)
    assert (said["url"], said["schema"]) == (clones.url, "ledger.store/1")
    ann("store", "postgresql://ann:Sekr3t@db.example/x", code=2).refuses(2, "db.example", "PGPASSFILE")
    assert "Sekr3t" not in (ann.root / ".git/config").read_text()
    ann("store", "--unset")
    assert "none is set" in ann("store").err
    ann("sync", code=2).refuses(2, "ledger store postgresql://")
    ann("store", "--migrate", code=2)


def test_a_database_is_prepared_by_its_owner(people: tuple[Person, Person], clones: Clones, postgres) -> None:
    """Before, everybody is told what to do; the second time changes nothing."""
    postgres.execute("create database bare owner ledger_owner")
    ann, _ = people
    owner, both = postgres.url("bare", "ledger_owner"), postgres.url("bare", "wr")
    ann("store", both)
    assert "2 events wait for the shared store" in ann("run", "start", "x", "--name", "x").err
    ann("sync", code=2).refuses(2, "ledger store --migrate")
    ann("store", "--migrate", owner)
    ann("store", "--migrate", owner)
    assert ann("sync").out == "x:2\n"
    postgres.execute("create database foreign_one owner postgres")
    ann("store", "--migrate", postgres.url("foreign_one", "wr"), code=7).refuses(7, "permission denied")


def test_listing_and_pulling(people: tuple[Person, Person]) -> None:
    """What there is as a table and for programs; what is not there says where to look."""
    ann, bob = people
    ann("run", "start", "x", "--name", "x")
    (row,) = bob.json("pull", "--list")  # pyright: ignore[reportGeneralTypeIssues]
    assert (row["run"].rpartition("/")[2], row["repository"], row["fits"]) == ("x", "hub", True)
    bob("pull", "y", code=3).refuses(3, "`ledger pull --list`")
    (row,) = bob.json("pull", "x")  # pyright: ignore[reportGeneralTypeIssues]
    assert (row["v"], row["appended"]) == (2, 2)
    assert bob("pull", "x").out == "x:2\n"
    assert "run imported" in bob("pull", "x", "--dry-run").out or bob("pull", "-n").code == 0
