"""A shared store whose writers are killed, whose connections are cut and whose server crashes."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import psycopg
import pytest
from tests.faults.shared_processes import HOME, STAMP, acknowledged, event_of, follow, write
from tests.postgres_server import Server, fresh, prepare, running_server

from ledger.events import NO_DIGEST, event_digest
from ledger.store.postgres import PostgresStore

WRITERS, FOLLOWERS = 8, 4
pytestmark = [pytest.mark.needs("postgres"), pytest.mark.campaign]


class Crowd:
    """Writers and followers at work on one database, and what happens to them."""

    def __init__(self, server: Server, folder: Path, count: int) -> None:
        self.server, self.folder, self.count = server, folder, count
        self.urls = fresh(server)
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["tests.faults.shared_processes"])
        self.writers = [self._writer(number) for number in range(WRITERS)]
        self.followers = [
            self._start(follow, self.urls.reader, folder / f"follower{number}", folder / "end")
            for number in range(FOLLOWERS)
        ]
        self.done: list[str] = []

    def _start(self, what: Callable[..., None], *words: object) -> ForkServerProcess:
        process = self.context.Process(target=what, args=words)
        process.start()
        return process

    def _writer(self, number: int) -> ForkServerProcess:
        return self._start(write, self.urls.writer, number, self.count, self.log(number))

    def log(self, number: int) -> Path:
        return self.folder / f"writer{number}"

    def acknowledged(self) -> int:
        return sum(acknowledged(self.log(number)) for number in range(WRITERS))

    def kill(self, number: int) -> None:
        """Kill a writer and begin it anew."""
        process = self.writers[number]
        if process.is_alive() and process.pid:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            self.writers[number] = self._writer(number)
            self.done.append("kill")

    def cut(self) -> None:
        """Cut some connections, as a network does."""
        with psycopg.connect(self.server.url("postgres"), autocommit=True) as connection:
            found = connection.execute(
                "select count(pg_terminate_backend(pid)) from (select pid from pg_stat_activity"
                " where application_name = 'ledger' order by random() limit 3) found"
            ).fetchone()
        self.done += ["cut"] * (found[0] if found else 0)

    def crash(self) -> None:
        """Stop the server at once, without a checkpoint, and start it again."""
        self.server.stop()
        time.sleep(0.1)
        self.server.start()
        self.done.append("crash")

    def finish(self) -> None:
        for writer in self.writers:
            writer.join()
        assert [writer.exitcode for writer in self.writers] == [0] * WRITERS
        (self.folder / "end").touch()
        for follower in self.followers:
            follower.join()
        assert [follower.exitcode for follower in self.followers] == [0] * FOLLOWERS


def test_every_acknowledged_event_is_there_once(
    tmp_path: Path, rounds: Callable[[int, int], int], sealed: Path
) -> None:
    """Kills, cut connections and a crash of the server lose, double and reorder nothing, for four followers too.

    Eight processes append, two to a run, and are begun again where they are killed, with the same ids.
    """
    count = rounds(24, 2000)
    dice = random.Random(os.environ.get("CI", "") and 7)
    with running_server() as server:
        prepare(server)
        crowd = Crowd(server, tmp_path, count)
        total = WRITERS * count
        while crowd.acknowledged() < total // 8:
            time.sleep(0.02)
        crowd.crash()
        while crowd.acknowledged() < total and any(writer.is_alive() for writer in crowd.writers):
            dice.choice([crowd.cut, lambda: crowd.kill(dice.randrange(WRITERS))])()
            if crowd.done.count("crash") < 2 and crowd.acknowledged() > total // 2:
                crowd.crash()
            time.sleep(dice.uniform(0.05, 0.3))
        crowd.finish()
        assert {"kill", "cut", "crash"} <= set(crowd.done)
        stored = check_runs(crowd)
    check_followers(crowd, stored)


def check_runs(crowd: Crowd) -> dict[str, list[str]]:
    """Check that each run holds what its writers were to append, once, in one chain; return its ids."""
    store = PostgresStore.connect(crowd.urls.reader, home=HOME, stamp=STAMP)
    stored: dict[str, list[str]] = {}
    for run in sorted(store.heads()):
        frames = list(store.of_run(run))
        events = [frame.event for frame in frames]
        assert [event.v for event in events] == list(range(1, len(events) + 1))
        chain = [NO_DIGEST, *(event_digest(frame.e) for frame in frames)]
        assert [event.prev for event in events] == chain[:-1]
        assert store.heads()[run].digest == chain[-1]
        stored[run] = [event.id for event in events]
    store.close()
    for number in range(WRITERS):
        wanted = [event_of(number, n).id for n in range(crowd.count)]
        assert crowd.log(number).read_text().split() == wanted, "what was acknowledged, in its order"
        found = [id_ for id_ in stored[f"run{number // 2}"] if id_ in set(wanted)]
        assert found == wanted, "each once, and in the order in which its writer sent it"
    assert sum(map(len, stored.values())) == WRITERS * crowd.count
    return stored


def check_followers(crowd: Crowd, stored: dict[str, list[str]]) -> None:
    """Check that each follower has seen every event once, those of each run in order."""
    for number in range(FOLLOWERS):
        seen: dict[str, list[str]] = {}
        for line in (crowd.folder / f"follower{number}").read_text().splitlines():
            run, v, id_ = line.split()
            seen.setdefault(run, []).append(id_)
            assert len(seen[run]) == int(v), "no version is left out, none comes again"
        assert seen == stored


def test_numbers_alone_would_miss_events(tmp_path: Path, sealed: Path) -> None:
    """An event that is committed after a later one is not lost to a follower that was there in between."""
    with running_server() as server:
        prepare(server)
        urls = fresh(server)
        late = psycopg.connect(urls.both)
        late.execute("select ledger.register(%s, '')", [HOME])
        late.commit()
        store = PostgresStore.connect(urls.both, home=HOME, stamp=STAMP)
        first = event_of(0, 0)
        data = b'{"kind":"x/1","id":"%b","run":"late","v":1,"prev":"%b","at_ns":1,"actor":{}}'
        late.execute(
            "select ledger.append(%s, 'late', %s::bytea[])",
            [HOME, [data % (first.id.encode(), NO_DIGEST.encode())]],
        )
        store.append([event_of(2, 0)])
        follower = PostgresStore.connect(urls.reader, home=HOME, stamp=STAMP)
        early = [found.run for batch in follower.tail() for found in batch.events]
        late.commit()
        runs: list[str] = []
        for batch in follower.tail():
            runs += [found.run for found in batch.events]
        assert (early, runs) == ([], ["late", "run1"]), "neither is final before both are"
        late.close()
        store.close()
        follower.close()
