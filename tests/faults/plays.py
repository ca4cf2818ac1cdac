"""Plays: one command each that can be run again and again from one beginning, and what must hold after a fault.

`PLAYS` is the table of the syscall campaign: a new command is one more entry in it.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn, Protocol

sys.path.insert(0, str(Path(__file__).parent))
from scene import Scene
from tracer import Traced, trace

from ledger.api import Ledger
from ledger.cli.failures import DAMAGED, INTERNAL, report_failure
from ledger.errors import LedgerError
from ledger.events import ApplyOptions as Options
from ledger.events import Event, PatchRefused, RunStarted, body_digest, encode_event
from ledger.stamps import Actor, Stamp
from ledger.store.local import LocalStore
from ledger.store.reader import LogReader

KILLED = -9
FALSE_ALARMS = (DAMAGED.code, INTERNAL.code)
"""How no command may end that met an error: nothing is damaged, and a failing disk is no fault of the program.

Which other code it is depends on what libgit2 makes of the error: to it, a directory that cannot be read
is no repository.
"""


class Play(Protocol):
    """What the campaign asks of a command."""

    root: Path
    """Calls that name something below it are counted."""

    def again(self) -> None:
        """Put everything back as it was before the command."""
        ...

    def command(self) -> NoReturn:
        """Run the command in this process and end it."""
        ...

    def read(self) -> tuple[str, ...]:
        """Return the hashes that a reader sees at this moment."""
        ...

    def check(self, traced: Traced) -> None:
        """Check everything that must hold after a run in which one call went wrong."""
        ...


def read_log(ledger: Path) -> tuple[str, ...]:
    """Return the hash of every frame that a new reader finds, none where there is no ledger yet."""
    if not (ledger / "FORMAT").exists():
        return ()
    return tuple(frame.h for frame in LogReader(ledger).frames())


def assert_prefixes(seen: list[object], last: tuple[str, ...]) -> None:
    """What a reader saw is how the log begins, then and ever after: no event vanished or was altered."""
    for earlier in seen:
        assert isinstance(earlier, tuple)
        assert last[: len(earlier)] == earlier, "a reader saw an event that then vanished"


def assert_reported(traced: Traced) -> None:
    """A command that was not killed either did its work or says in words that it failed, and how."""
    assert "Traceback" not in traced.err, traced.err
    if traced.status not in (0, KILLED):
        assert traced.status not in FALSE_ALARMS, (traced.status, traced.err)
        # In JSON where the command was asked for it.
        assert "error: " in traced.err or '{"schema":"ledger.error/1",' in traced.err, traced.err


# ── the store alone ──────────────────────────────────────────────────────────────────────────────


def _events() -> list[Event]:
    """Return the events of one run, the same at every call: a retry uses the same ids."""
    ticks, numbers = itertools.count(1_700_000_000_000_000_000, 1_000_000), itertools.count()
    stamp = Stamp(
        Actor("agent", "tester", "s1"), lambda: next(ticks), lambda size: next(numbers).to_bytes(size, "big")
    )
    made: list[Event] = []
    for v in range(1, 7):
        at_ns = stamp.clock()
        known = {"id": stamp.new_id(at_ns), "run": "port", "at_ns": at_ns, "actor": stamp.actor}
        if v == 1:
            listing = body_digest(b"")
            tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
            made.append(RunStarted(**known, title="port", work_tree="", head=None, branch=None, base_tree=tree, listing=listing))  # fmt: skip
        else:
            body = b"body %d" % v
            made.append(PatchRefused(**known, base_tree="0" * 40, patch=body_digest(body), patch_size_bytes=len(body), options=Options(), error="HunkMismatch", reason=body_digest(body), source="fix.diff"))  # fmt: skip
    return made


class StorePlay:
    """Three events are there; three more come, one by one: a single event, then a group of two.

    Args:
        torn: the log ends in the first half of an append that was never acknowledged.
        place: in the directory of the test.
    """

    def __init__(self, place: Path, *, torn: bool) -> None:
        self.root, self._pristine = place / "ledger", place / "pristine"
        self.events = _events()
        with_three = LocalStore.open(self._pristine, Stamp(), create=True)
        for v, event in enumerate(self.events[:3], start=1):
            with_three.append([event], v)
        if torn:
            segment = next((self._pristine / "log").iterdir())
            whole = segment.read_bytes()
            segment.write_bytes(whole + whole[whole.rfind(b"\n", 0, -1) + 1 :][:333])
        self.again()

    def again(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(self._pristine, self.root)

    def command(self) -> NoReturn:
        """Append what is missing, and print the id of each event that is acknowledged."""
        code = 70
        try:
            store = LocalStore.open(self.root, Stamp())
            for first, group in ((4, self.events[3:4]), (5, self.events[4:6])):
                for event in group:
                    store.write_body(b"body %d" % (self.events.index(event) + 1))
                store.append(group, first)
                os.write(1, "".join(f"{event.id}\n" for event in group).encode())
            code = 0
        except (LedgerError, OSError) as error:
            code = report_failure(error, debug=False)
        finally:
            sys.stderr.flush()
            os._exit(code)

    def read(self) -> tuple[str, ...]:
        return read_log(self.root)

    def check(self, traced: Traced) -> None:
        assert_reported(traced)
        acknowledged = traced.out.split()
        assert (len(acknowledged) == 3) == (traced.status == 0) or traced.status == KILLED
        found = self._ids()
        assert acknowledged == found[3 : 3 + len(acknowledged)], "an acknowledged event was lost"
        seen = [*traced.seen, self.read()]
        again = trace(self.command, self.root)
        assert again.status == 0, again.err
        assert self._ids() == [event.id for event in self.events], "an event was lost or doubled"
        assert_prefixes([*seen, self.read()], self.read())
        assert list(self.root.glob("unsynced.*")) == []

    def _ids(self) -> list[str]:
        """Return the ids of the run's events, each as it was given and with the version after the one before."""
        events = [frame.event for frame in LogReader(self.root).frames()]
        mine = [event for event in events if event.run == "port"]
        assert [event.v for event in mine] == list(range(1, len(mine) + 1))
        for given, stored in zip(self.events, mine, strict=False):
            expected, got = json.loads(encode_event(given)), json.loads(encode_event(stored))  # type: ignore[arg-type]
            assert {**expected, "v": 0, "prev": ""} == {**got, "v": 0, "prev": ""}
        return [event.id for event in mine]


# ── the whole command ────────────────────────────────────────────────────────────────────────────


class CommandPlay:
    """A command in a repository with dirt of every kind; see `scene.Scene` for what must hold of the files."""

    def __init__(self, place: Path, command: str, *, open_run: bool) -> None:
        self.scene = Scene(place, command, open_run=open_run)
        self.root = self.scene.place
        self._kinds_after = self.scene.kinds()
        self.scene.again()
        self._kinds_before = self.scene.kinds()

    def again(self) -> None:
        self.scene.again()

    def command(self) -> NoReturn:
        sys.argv = ["ledger", "-C", str(self.root), *self.scene.arguments]
        from ledger.cli.app import main

        main()

    def read(self) -> tuple[str, ...]:
        return read_log(self.root / ".git/ledger")

    def check(self, traced: Traced) -> None:
        assert_reported(traced)
        kinds = self.scene.kinds()
        assert kinds in (self._kinds_before, self._kinds_after), "an append was not atomic"
        if traced.status == 0:
            assert kinds == self._kinds_after, "an acknowledged event was lost"
            assert self.scene.look() == self.scene.after, "it says it is done, and it is not"
        if "nothing was recorded" in traced.err:
            assert kinds == self._kinds_before, "it says that nothing was recorded"
        seen = [*traced.seen, self.read()]
        self.scene.assert_recovers(retry=True)
        assert self.scene.kinds() == self._kinds_after, "an event was lost or doubled"
        assert_prefixes([*seen, self.read()], self.read())


class QuestionPlay(CommandPlay):
    """A command that only reads, past an event that nobody has confirmed yet: it gives its answer or none."""

    def __init__(self, place: Path, *words: str) -> None:
        super().__init__(place, "apply", open_run=True)
        (self.scene.pristine / ".git/ledger/durable").unlink()
        self.scene.arguments = list(words)
        self.again()
        self._answer = trace(self.command, self.root).out
        self._log = self._bytes()

    def check(self, traced: Traced) -> None:
        assert_reported(traced)
        if traced.status == 0 and traced.out != self._answer:
            # Shorter is no answer, unless it says that something is missing.
            says = any(traced.out.count(word) > self._answer.count(word) for word in ("unproved", "warning"))
            assert says or "left out" in traced.err, (traced.out, traced.err)
        assert self._bytes() == self._log
        # A sync that failed is marked, and the next writing command has the disk confirm what is there.
        with Ledger.open(self.root) as ledger:
            ledger.store.settle()
        assert trace(self.command, self.root).out == self._answer

    def _bytes(self) -> dict[str, bytes]:
        """Return every file but caches and the mark of a failed sync, which is news that a reader has to tell."""
        ledger = self.root / ".git/ledger"
        files = (path for path in ledger.rglob("*") if path.is_file() and "cache" not in path.parts)
        paths = (path for path in files if not path.name.startswith("unsynced."))
        return {str(path): path.read_bytes() for path in paths}


class KeepingPlay(CommandPlay):
    """A command that moves or adds whole runs: every event of before is there, in order, whatever fails.

    Args:
        place: For its files.
        prepare: Makes what the command needs, and returns its words.
    """

    def __init__(self, place: Path, prepare: Callable[[Scene], list[str]]) -> None:
        super().__init__(place, "apply", open_run=True)
        self.scene.arguments = prepare(self.scene)
        shutil.rmtree(self.scene.pristine)
        shutil.copytree(self.root, self.scene.pristine, symlinks=True)
        self._before = self.read()
        assert trace(self.command, self.root).status == 0
        self._after = len(self.read())

    def check(self, traced: Traced) -> None:
        assert_reported(traced)
        seen = [*traced.seen, self.read()]
        assert_prefixes([self._before], self.read())
        if traced.status == 0:
            assert len(self.read()) == self._after, "it says it is done, and it is not"
        assert len(self.read()) in (len(self._before), self._after), "half of it is there"
        again = trace(self.command, self.root)
        assert again.status == 0, again.err
        assert len(self.read()) == self._after, "an event was lost or doubled"
        assert_prefixes([*seen, self.read()], self.read())
        with Ledger.open(self.root) as ledger:
            said = [each for each in ledger.verify() if each.subject in ("log", "sealed", "bodies")]
            assert {finding.outcome for finding in said} == {"ok"}, said


def prepare_archive(scene: Scene) -> list[str]:
    """Nothing is needed but a log."""
    return ["archive"]


def prepare_import(scene: Scene) -> list[str]:
    """Have a run of another clone exported."""
    other, file = scene.place.parent / "other", scene.place.parent / "guest.zip"
    shutil.copytree(scene.place, other, symlinks=True)
    shutil.rmtree(other / ".git/ledger")
    with Ledger.open(other) as ledger:
        with ledger.run("guest", name="guest") as run:
            run.record(note="what lies about")
        ledger.export_runs(["guest"], file)
    shutil.rmtree(other)
    return ["import", str(file)]


PLAYS: Mapping[str, Callable[[Path], Play]] = {
    "append": lambda place: StorePlay(place, torn=False),
    "recover": lambda place: StorePlay(place, torn=True),
    "apply": lambda place: CommandPlay(place, "apply", open_run=True),
    "apply-first": lambda place: CommandPlay(place, "apply", open_run=False),
    "series": lambda place: CommandPlay(place, "series", open_run=True),
    "record": lambda place: CommandPlay(place, "record", open_run=True),
    "undo": lambda place: CommandPlay(place, "undo", open_run=True),
    "archive": lambda place: KeepingPlay(place, prepare_archive),
    "import": lambda place: KeepingPlay(place, prepare_import),
    "log": lambda place: QuestionPlay(place, "log", "--json"),
    "sql": lambda place: QuestionPlay(place, "sql", "select * from patch_files", "--format", "json"),
    "verify": lambda place: QuestionPlay(place, "verify"),
}
