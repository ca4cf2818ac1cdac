"""Every system call of a command that touches the repository, failing in every way it can.

Each play (`plays.PLAYS`) is run once to count its calls. Then, for each of them, again: with EIO (not done;
and done all the same), with ENOSPC where the call can give it (once; and from then on), with a short write, and killed before and
after. Short runs take a sample of every kind of call at every kind of place.
"""

from __future__ import annotations

import random
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from plays import PLAYS, Play
from tracer import FULL, SUPPORTED, WRITES, Call, Fault, Traced, place_of, trace

pytestmark = [
    pytest.mark.campaign,
    pytest.mark.needs("strace"),
    pytest.mark.skipif(not SUPPORTED, reason="other platform: the tracer knows Linux on x86-64"),
]

SHORT, LONG = 12, 1_000_000
TRIES = 3


@pytest.fixture(params=PLAYS)
def play(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    return PLAYS[request.param](tmp_path)


def list_faults(calls: Sequence[Call]) -> Iterator[Fault]:
    """Yield everything that can happen to each call. Killing at a call that changes nothing adds nothing."""
    met: Counter[tuple[str, str]] = Counter()
    for call in calls:
        kind = call.name, place_of(call)
        for what in _ways(call):
            yield Fault(*kind, met[kind], what)
        met[kind] += 1


def _ways(call: Call) -> Iterator[str]:
    """Yield what can happen to one call."""
    yield "EIO"
    if call.name in FULL or call.creates:
        yield "ENOSPC"
        yield "full"
    if call.name in WRITES and call.size_bytes > 1:
        yield "short"
    if call.changes:
        yield "kill-before"
        yield "kill-after"
        if call.name not in WRITES and call.name != "flock" and not call.creates:
            yield "EIO-done"


def sample(faults: Sequence[Fault], size: int, seed: str) -> list[Fault]:
    """Return ``size`` faults, as evenly over calls, places and what happens as there is room."""
    strata: dict[tuple[str, str, str], list[Fault]] = defaultdict(list)
    for fault in faults:
        strata[fault.name, fault.place, fault.what].append(fault)
    rng = random.Random(seed)
    groups = list(strata.values())
    chosen: list[Fault] = []
    while groups and len(chosen) < size:
        rng.shuffle(groups)
        chosen += [group.pop(rng.randrange(len(group))) for group in groups]
        groups = [group for group in groups if group]
    return chosen[:size]


def strike(play: Play, fault: Fault) -> Traced:
    """Return a run in which a fault struck: ``fault``, or one like it where its call is not made this time.

    Git looks at files once more where they are as old as its index, so not every call is there each time.
    """
    rng = random.Random(str(fault))
    traced = _run(play, fault)
    for _ in range(TRIES):
        if traced.struck:
            break
        alike = [
            each for each in list_faults(traced.calls) if (each.name, each.what) == (fault.name, fault.what)
        ]
        traced = _run(play, rng.choice(alike or [fault]))
    return traced


def _run(play: Play, fault: Fault) -> Traced:
    play.again()
    return trace(play.command, play.root, fault, play.read)


def test_every_system_call_fails_in_every_way(
    play: Play, rounds: Callable[[int, int], int], request: pytest.FixtureRequest
) -> None:
    """No acknowledged event is lost or doubled, no patch half applied, nothing unreported, nothing seen vanishes."""
    play.again()
    clean = trace(play.command, play.root, observe=play.read)
    assert clean.status == 0, clean.err
    play.check(clean)
    faults = list(list_faults(clean.calls))
    wanted = sample(faults, rounds(SHORT, LONG), request.node.callspec.id)
    failures: list[str] = []
    missed = 0
    for number, fault in enumerate(wanted):
        if number % 100 == 99:
            print(f"{number + 1} of {len(wanted)}, {len(failures)} failures", flush=True)
        traced = strike(play, fault)
        missed += not traced.struck
        try:
            play.check(traced)
        except Exception as error:  # noqa: BLE001 - whatever is wrong is listed with what caused it
            failures.append(f"{fault}: {error!r}"[:600])
            print(failures[-1], flush=True)
    counts = Counter(fault.what for fault in wanted)
    print(
        f"{request.node.callspec.id}: {len(clean.calls)} calls, {len(faults)} faults, {dict(counts)} done, {missed} missed"
    )
    assert failures == [], f"{len(failures)} of {len(wanted)}:\n" + "\n".join(failures)
    assert missed <= len(wanted) // 10, "the calls are not the same each time"
