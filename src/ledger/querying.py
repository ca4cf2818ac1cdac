"""Asking a ledger in SQL: statements, questions that come with it, and all of it as a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ledger.past import Past

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from ledger.gates.settings import SqlLimits
    from ledger.query.answers import Answer
    from ledger.query.session import Session
    from ledger.reports.contents import Contents
    from ledger.reports.trends import Trend
    from ledger.reports.writing import Written


class QueryablePast(Past):
    """All of `Past`, and SQL over it: the views and macros that ``docs/schema.md`` describes."""

    _session: tuple[int, int | None, Session] | None = None
    """The process that opened it, the memory that it may use, and the session."""

    _configured_limits: SqlLimits | None = None

    def sql(self, query: str, parameters: Mapping[str, object] | None = None) -> DuckDBPyConnection:
        """Run SQL over the views and return DuckDB's result (``fetchall()``, ``df()``, …).

        The result sees every event that was confirmed when this was called. The memory is that of the
        configuration (``sql.memory-limit``); the time is not limited, see `select`.

        Raises:
            duckdb.Error: DuckDB's own error: a mistake in the SQL, or an attempt to leave the ledger.
            RuntimeError: This process was forked from one that had asked SQL through this ledger.
            InvalidConfiguration: The configuration cannot be read.
        """
        return self._sql_session(self.sql_limits().memory_bytes).execute(query, parameters)

    def query(self, name: str, parameters: Mapping[str, object] | None = None) -> DuckDBPyConnection:
        """Ask a question that comes with the ledger, and return DuckDB's result as `sql` does.

        Args:
            name: As `questions` lists it.
            parameters: Values by name; what is not given is NULL, which stands for everything.

        Raises:
            NoSuchQuestion: There is no question of this name.
            UnknownParameter: It has no such parameter.
        """
        from ledger.query.answers import execute
        from ledger.query.questions import read_question

        session = self._sql_session(self.sql_limits().memory_bytes)
        execute(session, read_question(name).text, parameters or {})
        return session

    def select(
        self,
        query: str,
        parameters: Mapping[str, object] | None = None,
        limits: SqlLimits | None = None,
        max_rows: int | None = None,
    ) -> Answer:
        """Run statements of SQL and return all rows of the last, within limits. See `answers.read_answer`.

        Args:
            query: Statements; a parameter that is not given is NULL.
            parameters: Values by name.
            limits: What is not limited there is as the configuration says.
            max_rows: How many rows are returned at most; None for all.

        Raises:
            QueryRefused, QueryForbidden: DuckDB does not take it.
            UnknownParameter: It has no such parameter.
            QueryTooLong, QueryTooLarge: It was stopped at a limit.
            InvalidConfiguration: The configuration cannot be read.
        """
        from ledger.query.answers import read_answer

        limits = self.sql_limits(limits)
        session = self._sql_session(limits.memory_bytes)
        return read_answer(session, query, parameters or {}, limits.timeout_s, max_rows)

    def write_database(self, target: Path, *, force: bool = False) -> None:
        """Write the tables, views and macros as one DuckDB file for any client. See `databases`.

        Raises:
            DatabaseInTheWay: Something lies there, or the place is no place for it.
        """
        from ledger.operations.databases import write_database

        write_database(self.store, self.repository, target, force=force)

    def trends(self, run: str, until_v: int | None = None) -> list[Trend]:
        """Return the deciding number of each gate over a run's versions. See `reports.trends`."""
        from ledger.reports.trends import read_trends

        return read_trends(self._sql_session(self.sql_limits().memory_bytes), run, until_v)

    def report_contents(self, reference: str, limit_bytes: int) -> Contents:
        """Return what a report of a run up to an event says. See `reports.contents`."""
        from ledger.reports.contents import read_contents

        run, v = self.resolve(reference)
        return read_contents(self.store, self.repository, self.events(run, v), limit_bytes)

    def write_report(
        self,
        target: Path | IO[bytes],
        reference: str = "@",
        *,
        limit_bytes: int | None = None,
        force: bool = False,
    ) -> Written:
        """Write a run up to an event as one HTML file that needs no server. See `reports.writing`.

        Args:
            target: The file's path, or an open file, only written to.
            reference: The event; by default the latest of the current run.
            limit_bytes: What patches, contents and texts may have together; by default `LIMIT_BYTES`.
            force: Whether an existing file is replaced.

        Raises:
            UnknownReference: It names no event, or one of no run.
            ReportInTheWay: ``target`` exists, or is in the Git directory. It was left as it is.
        """
        from ledger.moments import show_moment
        from ledger.reports.writing import LIMIT_BYTES, Reported, write_report

        run, v = self.resolve(reference)
        about = Reported(self.store, self.repository, self.events(run, v))
        whole = self.store.heads()[run].v == v
        past = self if whole else self.as_of(f"{run}:{v}")
        connection = past._sql_session(self.sql_limits().memory_bytes)  # noqa: SLF001 - another of this class
        limit = LIMIT_BYTES if limit_bytes is None else limit_bytes
        written_at = show_moment(self._stamp.clock())
        return write_report(about, connection, target, written_at, limit_bytes=limit, force=force)

    def sql_limits(self, limits: SqlLimits | None = None) -> SqlLimits:
        """Return the limits; what is not said is as the configuration said when it was first asked for.

        Raises:
            InvalidConfiguration: The configuration cannot be read.
        """
        from ledger.configurations import configuration_of
        from ledger.gates.settings import SqlLimits

        if self._configured_limits is None:
            self._configured_limits = configuration_of(self.repository).sql
        configured, given = self._configured_limits, limits or SqlLimits()
        return SqlLimits(
            given.memory_bytes or configured.memory_bytes, given.timeout_s or configured.timeout_s
        )

    def _sql_session(self, memory_bytes: int | None) -> DuckDBPyConnection:
        """Return a session that sees what is confirmed now: the one of before where it does."""
        from ledger.query.session import Session

        process = os.getpid()
        if self._session is not None and self._session[0] != process:
            # DuckDB's threads stay behind in the parent, and whoever waits for them waits for ever.
            raise RuntimeError("DuckDB does not survive a fork: ask SQL in a process that was spawned")
        if self._session is None or self._session[1] != memory_bytes:
            self._session = process, memory_bytes, Session(self.store, memory_bytes)
        else:
            self._session[2].catch_up()
        return self._session[2].connection
