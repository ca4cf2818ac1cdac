"""A ledger like that of a platform team, of any size: runs of agents over one large repository.

Every recorded tree is Git's own id of the files that the events lead to, so that an answer about a state can
be checked. Patches are not: their bodies are a few that stand for all, since nothing here replays them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from hashlib import sha1
from itertools import islice
from pathlib import Path

from sample_events import STAMP

from ledger.events import (
    ApplyOptions,
    Event,
    GateMeasured,
    PatchApplied,
    PatchRolledBack,
    PhaseEntered,
    PolicySet,
    RunStarted,
    TicketClosed,
    TicketOpened,
)
from ledger.filerecords import FileRecord
from ledger.policies import Policy, Rule, Step
from ledger.run import Identity, identify
from ledger.store.local import LocalStore

AREAS, PACKAGES_EACH, FILES_EACH = 20, 20, 50
PACKAGES = AREAS * PACKAGES_EACH
PATHS = PACKAGES * FILES_EACH
"""Of the repository: 20 000."""

_AREAS = [b"40000 area%02d\0" % number for number in range(AREAS)]
_PACKAGES = [b"40000 package%02d\0" % number for number in range(PACKAGES_EACH)]
_FILES = [b"100644 module%02d.py\0" % number for number in range(FILES_EACH)]

PATHS_A_PATCH = 3
TOGETHER = 10
"""Runs that go on at one time, their events in turns."""

GROUP = 50
"""Events of a run before it is another's turn: one append."""

BODIES = [b"a patch that stands for all, %d\n" % number for number in range(64)]
GATES = {"lint": "findings", "types": "findings", "tests": "failed", "cov": "percent"}


class Files:
    """The repository's files: the object id of each, and that of each directory's tree."""

    def __init__(self) -> None:
        self._oids: list[dict[int, bytes]] = [
            {file: _blob(f"{package} {file}") for file in range(FILES_EACH)} for package in range(PACKAGES)
        ]
        self._trees = [_tree(_FILES, files) for files in self._oids]
        self._tops = [_tree(_PACKAGES, self._within(area)) for area in range(AREAS)]

    def copy(self) -> Files:
        """Return files to be changed apart from these."""
        made = object.__new__(Files)
        made._oids = [dict(files) for files in self._oids]
        made._trees, made._tops = list(self._trees), list(self._tops)
        return made

    def set(self, number: int, oid: bytes | None) -> bytes | None:
        """Set the object of the file of that number, or remove it, and return what it was."""
        files, file = self._oids[number // FILES_EACH], number % FILES_EACH
        old = files.pop(file, None)
        if oid is not None:
            files[file] = oid
        return old

    def tree(self, numbers: Iterable[int] = ()) -> str:
        """Return the id of the whole tree, given the files that changed since the last time."""
        packages = {number // FILES_EACH for number in numbers}
        for package in packages:
            self._trees[package] = _tree(_FILES, self._oids[package])
        for area in {package // PACKAGES_EACH for package in packages}:
            self._tops[area] = _tree(_PACKAGES, self._within(area))
        source = _tree(_AREAS, dict(enumerate(self._tops)))
        return _object("tree", b"40000 src\0" + source).hex()

    def _within(self, area: int) -> dict[int, bytes]:
        packages = range(area * PACKAGES_EACH, (area + 1) * PACKAGES_EACH)
        return {package % PACKAGES_EACH: self._trees[package] for package in packages if self._oids[package]}

    def listing(self) -> bytes:
        """Return what ``git ls-tree -r -z`` prints."""
        return b"".join(
            b"100644 blob %b\t%b\0" % (oid.hex().encode(), path_of(package * FILES_EACH + file).encode())
            for package, files in enumerate(self._oids)
            for file, oid in sorted(files.items())
        )


def path_of(number: int) -> str:
    """Return the path of the file of that number."""
    package, file = divmod(number, FILES_EACH)
    area, package = divmod(package, PACKAGES_EACH)
    return f"src/area{area:02}/package{package:02}/module{file:02}.py"


def _object(kind: str, data: bytes) -> bytes:
    return sha1(b"%b %d\0%b" % (kind.encode(), len(data), data), usedforsecurity=False).digest()


def _tree(names: list[bytes], oids: dict[int, bytes]) -> bytes:
    return _object("tree", b"".join([names[number] + oids[number] for number in sorted(oids)]))


def _blob(text: str) -> bytes:
    return _object("blob", text.encode())


def _rule(gate: str, metric: str) -> Rule:
    better = "higher" if metric == "percent" else "lower"
    mode = "strict" if gate in {"lint", "tests"} else "soft"
    threshold = 80.0 if metric == "percent" else 0.0
    return Rule(mode=mode, steps=(Step(command=(gate,)),), metric=metric, better=better, threshold=threshold)


POLICY = Policy(gates={gate: _rule(gate, metric) for gate, metric in GATES.items()})


class Agent:
    """One run, event after event."""

    def __init__(self, run: str, base: Files, bodies: list[str], listing: str, seed: int) -> None:
        self.run = run
        self._random = random.Random(seed)  # noqa: S311 - no secret
        self._files, self._bodies, self._listing = base.copy(), bodies, listing
        self._live: list[tuple[int, str, list[FileRecord]]] = []
        self._v, self._accepted, self._ticket = 0, 1, 0

    def events(self) -> Iterator[Event]:
        """Yield the run's events without end."""
        for event in self._course():
            self._v += 1
            yield event

    def _identity(self) -> Identity:
        return identify(self.run, STAMP)

    def _course(self) -> Iterator[Event]:
        tree = self._files.tree()
        yield RunStarted(
            **self._identity(),
            title=self.run,
            work_tree="",
            head=None,
            branch="main",
            base_tree=tree,
            listing=self._listing,
        )
        self._live.append((self._v, tree, []))
        yield PolicySet(**self._identity(), profile="release", profiles={"release": POLICY})
        block = 0
        while True:
            if block % 50 == 0:
                yield PhaseEntered(**self._identity(), phase=f"P{block // 50 % 6 + 1}")
            for _ in range(14):
                yield self._patch()
                # What is yielded has its version by the time that the next is asked for.
                self._live[-1] = (self._v, *self._live[-1][1:])
            yield from self._measure(fails=block % 10 == 7)
            if block % 10 == 7 and self._live[-1][0] > self._accepted:
                yield self._roll_back()
            block += 1

    def _patch(self) -> PatchApplied:
        before = self._live[-1][1]
        records: list[FileRecord] = []
        changed = self._random.sample(range(PATHS), PATHS_A_PATCH)
        for number in changed:
            new = None if self._random.random() < 0.02 else self._random.randbytes(20)
            old = self._files.set(number, new)
            if old != new:
                records.append(_record(number, old, new))
        result = self._files.tree(changed)
        self._live.append((0, result, records))
        return PatchApplied(
            **self._identity(),
            cause="diff",
            base_tree=before,
            result_tree=result,
            patch=self._random.choice(self._bodies),
            patch_size_bytes=900,
            options=ApplyOptions(),
            files=tuple(records),
            source="change.diff",
        )

    def _measure(self, *, fails: bool) -> Iterator[Event]:
        state_v, tree, _ = self._live[-1]
        for gate, metric in GATES.items():
            bad = fails and gate in {"tests", "types"}
            value = 91.5 if metric == "percent" else float(bad)
            yield GateMeasured(
                **self._identity(),
                gate=gate,
                tree=tree,
                state_v=state_v,
                definition=POLICY.gates[gate].definition,
                commands=((gate,),),
                place="work-tree",
                tools={"python": "3.13.1", gate: "1.0"},
                configuration={},
                exit_codes=(int(bad),),
                started_at_ns=STAMP.clock(),
                duration_ns=self._random.randrange(10**9),
                metrics={metric: value},
                examined=1200,
                unit="tests" if gate == "tests" else "files",
                problems=(),
                baseline={metric: value, "examined": 1200.0},
                baseline_v=self._accepted,
                verdict="fail" if bad else "pass",
                reasons=(),
                report=None,
                output=self._bodies[0],
                profile="release",
            )
            if gate == "types" and fails and not self._ticket:
                yield TicketOpened(**self._identity(), gate=gate, measured_v=self._v)
                self._ticket = self._v
            elif gate == "types" and self._ticket and not fails:
                yield TicketClosed(
                    **self._identity(), gate=gate, ticket_v=self._ticket, measured_v=self._v, fixed_v=state_v
                )
                self._ticket = 0
        if not fails:
            self._accepted = state_v

    def _roll_back(self) -> PatchRolledBack:
        gone = [state for state in self._live if state[0] > self._accepted]
        self._live = [state for state in self._live if state[0] <= self._accepted]
        before: dict[int, bytes | None] = {}
        for _, _, records in reversed(gone):
            for record in records:
                before[number_of(str(record.path))] = _bytes(record.old_oid)
        found = {number: self._files.set(number, old) for number, old in before.items()}
        records = [
            _record(number, found[number], old) for number, old in before.items() if found[number] != old
        ]
        return PatchRolledBack(
            **self._identity(),
            base_tree=gone[-1][1],
            result_tree=self._files.tree(before),
            to_v=self._live[-1][0],
            patches=tuple(v for v, _, _ in gone),
            files=tuple(records),
        )


def _bytes(oid: str | None) -> bytes | None:
    return None if oid is None else bytes.fromhex(oid)


def number_of(path: str) -> int:
    """Return the number of a file, given its path."""
    area, package, file = (int(part) for part in re.findall("[0-9]+", path))
    return (area * PACKAGES_EACH + package) * FILES_EACH + file


def _record(number: int, old: bytes | None, new: bytes | None) -> FileRecord:
    return FileRecord(
        path=path_of(number),
        operation="add" if old is None else "delete" if new is None else "modify",
        old_mode=None if old is None else "100644",
        old_oid=None if old is None else old.hex(),
        mode=None if new is None else "100644",
        oid=None if new is None else new.hex(),
        added=int(new is not None) * 3,
        removed=int(old is not None) * 2,
    )


def fill_runs(root: Path, events: int, runs: int) -> LocalStore:
    """Return a store with that many events of that many runs of equal length."""
    store = LocalStore.open(root, STAMP, create=True)
    base = Files()
    bodies = [store.write_body(body) for body in BODIES]
    listing = store.write_body(base.listing())
    each = events // runs
    for first in range(0, runs, TOGETHER):
        agents = [
            Agent(f"run-{number:03}", base, bodies, listing, number)
            for number in range(first, min(first + TOGETHER, runs))
        ]
        courses = [agent.events() for agent in agents]
        for begun in range(0, each, GROUP):
            for course in courses:
                size = min(GROUP, each - begun)
                store.append(list(islice(course, size)))
    return store
