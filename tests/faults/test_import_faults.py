"""Imports that die, race or meet a full disk: each run is there whole or not at all, and the same again does the rest."""

from __future__ import annotations

import errno
import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "ledger"))
from book import damage  # pyright: ignore[reportMissingImports] - its folder is added above
from gatebook import die_at, in_a_fork  # pyright: ignore[reportMissingImports]
from second_reader import read_frames  # pyright: ignore[reportMissingImports]
from transferlab import Clone, rich_run  # pyright: ignore[reportMissingImports]

from ledger.api import Ledger
from ledger.projections.refs import RunRef
from ledger.stamps import Stamp
from ledger.store import disk, writer
from ledger.store.bodies import Bodies
from ledger.store.journal import Journal
from ledger.store.local import LocalStore
from ledger.store.marks import DurableMark

STEPS: list[tuple[tuple[Any, str], int]] = [
    ((Bodies, "write"), 1),
    ((Bodies, "write"), 5),
    ((LocalStore, "append_copies"), 1),
    ((LocalStore, "append_copies"), 2),
    ((LocalStore, "_write"), 1),
    ((LocalStore, "_write"), 2),
    ((Journal, "write"), 1),
    ((LocalStore, "_sync"), 1),
    ((DurableMark, "advance"), 2),
    ((RunRef, "_commit"), 2),
    ((RunRef, "_publish"), 1),
    ((RunRef, "_publish"), 4),
]
"""Every named step of an import of two runs, in order."""


def counting(first: int = 0) -> Stamp:
    ticks, counter = itertools.count(1_700_000_000_000_000_000, 1_000_000), itertools.count(first)
    return Stamp(clock=lambda: next(ticks), entropy=lambda size: next(counter).to_bytes(size, "big"))


class Two:
    """Two runs in a file, and a clone that has their bases."""

    def __init__(self, scratch: Path) -> None:
        self.stories = [rich_run(counting(), "one"), rich_run(counting(1 << 30), "two")]
        self.source = Clone(scratch / "source", counting(1 << 40), *self.stories)
        self.source.write(*self.stories)
        self.file = scratch / "two.zip"
        self.source.ledger.export_runs(["one", "two"], self.file)
        self.target = Clone(scratch / "target", counting(1 << 50), *self.stories)
        self.target.ledger.close()
        self.root = self.target.path.parent

    def load(self) -> None:
        with Ledger.open(self.root) as ledger:
            ledger.import_runs(self.file)

    def assert_whole(self) -> None:
        """Both runs are as at home, each taken in once."""
        # What nobody acknowledged `durable` names with the next append, and the second reader knows no other way.
        self.target.write(rich_run(counting(1 << 60), "next"))
        frames = read_frames(self.target.path)
        for story in self.stories:
            stored = [frame.stored for frame in frames if frame.event["run"] == story.run]
            assert stored == self.source.stored(story.run)
        said = [frame.event["of"] for frame in frames if frame.event["kind"] == "run.imported/1"]
        assert sorted(said) == ["one", "two"]
        # The runs that only the store has seen have no refs.
        with Ledger.open(self.root) as ledger:
            assert [each for each in damage(ledger) if "'next'" not in each and "'busy" not in each] == []


@pytest.fixture
def two(tmp_path: Path) -> Two:
    return Two(tmp_path)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("step", "nth"), STEPS, ids=lambda each: str(each[1] if isinstance(each, tuple) else each)
)
def test_killed_at_every_step(two: Two, step: tuple[type, str], nth: int, after: bool) -> None:
    """What a reader sees then is some of the runs, whole; the same import again ends it."""

    def dying() -> None:
        die_at(step, nth, after=after)
        two.load()

    assert in_a_fork(dying) == 9
    with Ledger.open(two.root) as ledger:
        if (two.target.path / "FORMAT").exists():
            seen = ledger.store.heads()
            for story in two.stories:
                assert story.run not in seen or seen[story.run].v == story.v
                assert story.run not in seen or seen[story.run].imported
    two.load()
    two.assert_whole()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_write_that_fails(two: Two, monkeypatch: pytest.MonkeyPatch, code: int, nth: int) -> None:
    """The log is as it was before that run; bodies may be there that nobody names."""
    calls = itertools.count(1)

    def failing(fd: int, data: bytes) -> None:
        if next(calls) == nth:
            os.write(fd, data[: len(data) // 2])
            raise OSError(code, os.strerror(code))
        real(fd, data)

    real = disk.write_all
    monkeypatch.setattr(writer, "write_all", failing)
    with pytest.raises(OSError, match=os.strerror(code)):
        two.load()
    with Ledger.open(two.root) as ledger:
        assert sorted(run for run in ledger.store.heads() if run != "ledger") == ["one"][: nth - 1]
        # ``ledger.recovered`` would say that half an append was left.
        assert [frame.event.kind for frame in ledger.store.frames()].count("ledger.recovered/1") == 0
    monkeypatch.undo()
    two.load()
    two.assert_whole()


def test_several_imports_at_once(two: Two) -> None:
    """Each run is taken in once, whoever comes first."""
    assert _at_once([two.load] * 4) == [0] * 4
    two.assert_whole()


def test_imports_while_writers_append(two: Two) -> None:
    """Writers of other runs lose nothing and wait for no proof; positions have no gap."""
    stories = [rich_run(counting(n << 20), f"busy{n}") for n in range(1, 4)]
    LocalStore.open(two.target.path, counting(), create=True)

    def write(story: Any) -> Callable[[], None]:
        def writing() -> None:
            for v in range(story.v):
                two.target.write(story, after_v=v, until_v=v + 1)

        return writing

    assert _at_once([two.load, *map(write, stories), two.load]) == [0] * 5
    two.assert_whole()
    with Ledger.open(two.root) as ledger:
        frames = list(ledger.store.frames())
        assert [frame.s for frame in frames] == list(range(1, len(frames) + 1))
        heads = ledger.store.heads()
        assert [heads[story.run].v for story in stories] == [story.v for story in stories]


def _at_once(works: list[Callable[[], None]]) -> list[int]:
    """Do several things in processes of their own, all at once, and return their exit codes."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(in_a_fork, works))


def test_the_commands_in_a_real_clone(repo: Path, tmp_path: Path, git: Callable[..., str]) -> None:
    """`export` here, `git clone`, `import` there: log, show, state, replay, SQL and verify answer the same."""
    command = [str(Path(sys.executable).with_name("ledger")), "-C"]

    def ledger(root: Path, *arguments: str | Path, code: int = 0) -> str:
        done = subprocess.run([*command, root, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    ledger(repo, "run", "start", "clone me", "--name", "cloned")
    (repo / "notes.txt").write_bytes(b"one\n2\nthree\n")
    ledger(repo, "record", "-m", "by hand")
    git("commit", "--all", "--quiet", "--message", "two", cwd=repo)
    ledger(repo, "mv", "tool.sh", "bin.sh")
    ledger(repo, "run", "finish")
    file, clone = tmp_path / "cloned.ledger", tmp_path / "clone"
    assert "exists nowhere else (`ledger export cloned -o FILE`)" in ledger(repo, "status")
    assert ledger(repo, "export", "-o", file).strip() == str(file)
    assert "nowhere else" not in ledger(repo, "status")
    with (tmp_path / "piped").open("wb") as piped:
        subprocess.run([*command, repo, "export", "cloned", "-o", "-"], check=True, stdout=piped)
    assert (tmp_path / "piped").read_bytes() == file.read_bytes()
    git("clone", "--quiet", repo, clone)
    assert ledger(clone, "import", file).strip().startswith("cloned:")
    for arguments in (
        ("log", "cloned", "--json"),
        ("show", "cloned:3", "--json"),
        ("state", "--at", "cloned", "--candidate", "--json"),
        ("replay", "--until", "cloned", "--json"),
        ("sql", "select * from patch_files order by all", "--json"),
    ):
        assert ledger(clone, *arguments) == ledger(repo, *arguments)
    assert "imported" in ledger(clone, "run", "list")
    assert "damaged" not in ledger(clone, "verify")
    assert "exists already" in ledger(repo, "export", "--all", "-o", file, code=7)
    file.write_bytes(file.read_bytes()[:-50])
    assert "hint: export the run again" in ledger(clone, "import", file, code=1)
    orphan = tmp_path / "orphan"
    git("init", "--quiet", orphan)
    assert "git fetch" in ledger(orphan, "import", tmp_path / "piped", code=3)
    assert not (orphan / ".git/ledger/log").exists() or not list((orphan / ".git/ledger/log").iterdir())
