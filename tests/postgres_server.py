"""A real PostgreSQL for tests: one server for each worker, a fresh migrated database for each test.

Its programs are Debian's or those of the ``pgserver`` wheel. PostgreSQL refuses to run as root, so that a root
hands over to an unprivileged user. It listens on a socket in a directory of its own, and nowhere else.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
from psycopg import sql
from tests.conftest import postgres_bin

from ledger.store.postgres import PostgresStore

_START_TIMEOUT_S = 60
_SETTINGS = {
    "listen_addresses": "",
    "autovacuum": "off",  # Its transactions would hold back what followers may read.
    "max_connections": "100",
    "shared_buffers": "64MB",
    "timezone": "UTC",
}
_NUMBERS = itertools.count(1)


class Server:
    """A server in a directory of its own, run by an unprivileged user."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self.programs, self.data = folder, programs, folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._user: str | None = None
        if os.geteuid() == 0:
            names = {each.pw_name for each in pwd.getpwall()}
            self._user = "postgres" if "postgres" in names else "nobody"
            self._make_reachable()
            os.chown(folder, pwd.getpwnam(self._user).pw_uid, -1)
        self._run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")

    def _make_reachable(self) -> None:
        """Copy the wheel's programs to where the other user may read them."""
        if "pgserver" in self.programs.parts:
            packages = self.programs.parents[2]
            for name in ("pgserver", "pgserver.libs"):
                shutil.copytree(packages / name, self.folder / "programs" / name)
            self.programs = self.folder / "programs" / "pgserver" / "pginstall" / "bin"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), "-D", str(self.data), *arguments]
        done = subprocess.run(
            command, user=self._user, cwd=self.folder, env=_environment(), capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()

    def url(self, database: str, user: str = "postgres") -> str:
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def start(self) -> None:
        command = [str(self.programs / "postgres"), "-D", str(self.data), "-k", str(self.folder)]
        for name, value in _SETTINGS.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, user=self._user, cwd=self.folder, env=_environment(), stdout=log, stderr=log
            )
        until = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                log_text = (self.folder / "server.log").read_text()
                assert self._process.poll() is None, log_text
                assert time.monotonic() < until, log_text
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Stop at once, as a crash does: what was committed has to be found by the next start."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None

    def execute(self, statement: str, database: str = "postgres", user: str = "postgres") -> None:
        with psycopg.connect(self.url(database, user), autocommit=True) as connection:
            connection.execute(sql.SQL(statement))  # pyright: ignore[reportArgumentType] - a test's own


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"}


@contextmanager
def running_server() -> Generator[Server]:
    """Make a server and run it; all that it wrote is gone afterwards."""
    programs = postgres_bin()
    assert programs is not None
    # The path of a socket is short: a test's own directory is too deep for one.
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as folder:
        server = Server(Path(folder), programs)
        try:
            server.start()
            yield server
        finally:
            server.stop()


class Urls(NamedTuple):
    """A database of a shared ledger, as seen by each role."""

    owner: str
    writer: str
    reader: str
    both: str
    """May write and read, as whoever syncs and pulls."""
    archiver: str


@pytest.fixture(scope="session")
def postgres() -> Generator[Server]:
    """A server with the roles of `Urls`, and a migrated database to copy."""
    with running_server() as server:
        prepare(server)
        yield server


def prepare(server: Server) -> None:
    """Make roles and the database that fresh ones are copied from."""
    server.execute("create role ledger_owner login createrole")
    server.execute("create database ledger_template owner ledger_owner")
    PostgresStore.migrate(server.url("ledger_template", "ledger_owner"))
    server.execute("create role w login in role ledger_writer")
    server.execute("create role r login in role ledger_reader")
    server.execute("create role wr login in role ledger_writer, ledger_reader")
    server.execute("create role archiver login in role ledger_archiver")


def fresh(server: Server) -> Urls:
    """Make a migrated database, and return its addresses."""
    name = f"shared{next(_NUMBERS)}"
    server.execute(f"create database {name} template ledger_template owner ledger_owner")
    return Urls(*(server.url(name, role) for role in ("ledger_owner", "w", "r", "wr", "archiver")))


@pytest.fixture
def shared_urls(postgres: Server) -> Urls:
    """The addresses of a fresh migrated database, by role."""
    return fresh(postgres)


@pytest.fixture
def shared_url(shared_urls: Urls) -> str:
    """The address of a fresh migrated database, for a role that may write and read."""
    return shared_urls.both
