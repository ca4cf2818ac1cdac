"""A sync that is killed at any moment, or whose server goes away: nothing is there twice, nothing is missing in the end."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))
from gatebook import in_a_fork
from tests.ledger.sharing.conftest import Clones, own_events, work
from tests.postgres_server import Server

from ledger.api import Ledger
from ledger.projections import shared as projection
from ledger.shared_errors import StoreUnreachable

pytestmark = [pytest.mark.needs("postgres"), pytest.mark.campaign]


def sync(root: Path) -> None:
    with Ledger.open(root) as ledger:
        ledger.sync()


def killed_after(delay_s: float, root: Path) -> Callable[[], None]:
    """Return a sync that a SIGKILL ends after a while, if it is not done before."""

    def syncing() -> None:
        def kill() -> None:
            time.sleep(delay_s)
            os.kill(os.getpid(), signal.SIGKILL)

        Thread(target=kill, daemon=True).start()
        # Whose connection is cut while it is opened is told at once.
        with suppress(StoreUnreachable):
            sync(root)

    return syncing


def cut(url: str, until: list[bool], rng: random.Random) -> None:
    """Take connections away from whoever has one, until told to stop."""
    query = b"select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'ledger'"
    with psycopg.connect(url, autocommit=True) as connection:
        while not until:
            time.sleep(rng.uniform(0.01, 0.1))
            connection.execute(query)


def assert_beginnings(clones: Clones, root: Path) -> int:
    """What is there is a beginning of each run, each event once, with its bodies; returns how many."""
    wanted, count = own_events(root), 0
    bodies = clones.bodies()
    for (_, run), events in clones.stored().items():
        assert wanted[run][: len(events)] == events
        count += len(events)
        assert bodies.keys() >= {
            path.name
            for path in (root / ".git/ledger/bodies").rglob("*/*")
            if any(path.name.encode() in event for event in events)
        }
    return count


def test_kills_and_lost_connections(
    clones: Clones,
    postgres: Server,
    rounds: Callable[[int, int], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After each, a beginning is there; at the end, and after a crash of the server, exactly what the log has."""
    monkeypatch.setattr(projection, "_BATCH_EVENTS", 1)
    seed = int(os.environ.get("LEDGER_SEED", "0")) or random.randrange(1 << 30)
    print(f"LEDGER_SEED={seed}")
    rng = random.Random(seed)
    root = clones.clone("one")
    work(root, "first")
    began_s = time.monotonic()
    assert in_a_fork(lambda: sync(root)) == 0
    whole_s = time.monotonic() - began_s
    admin = clones.url.replace("//wr@", "//postgres@")
    killed, total = 0, rounds(8, 300)
    for index in range(total):
        work(root, "first", patches=rng.randint(1, 3))
        stop: list[bool] = []
        cutting = Thread(target=cut, args=(admin, stop, random.Random(rng.random())))
        if rng.random() < 0.5:
            cutting.start()
        code = in_a_fork(killed_after(rng.uniform(0, 1.5 * whole_s), root))
        stop.append(True)
        if cutting.ident:
            cutting.join()
        assert code in (0, -signal.SIGKILL)
        killed += code != 0
        assert_beginnings(clones, root)
        if index == total // 2:
            postgres.stop()
            postgres.start()
    assert killed
    sync(root)
    assert assert_beginnings(clones, root) == sum(map(len, own_events(root).values()))
