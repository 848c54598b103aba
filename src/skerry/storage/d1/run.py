"""Running a user's statements on a connection, and the account of what they did."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import apsw

from skerry.storage.d1 import limits
from skerry.storage.d1.base import D1Error, D1Meta, D1Result, D1Statement
from skerry.storage.d1.counter import Moves
from skerry.storage.d1.guard import Guard
from skerry.storage.d1.meter import Meter
from skerry.storage.d1.split import split
from skerry.storage.d1.values import bound, shown
from skerry.storage.d1.words import OF_THE_FILE, d1_error

SERVED_BY = "skerry"

_SIZE = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"

_TAKEN = """
SELECT 1 FROM sqlite_master WHERE name LIKE '\\_cf\\_%' ESCAPE '\\' AND name <> '_cf_METADATA'
"""


class NeedsWriter(Exception):
    """A statement that looked like a reading one would write."""


class Runner:
    """Runs statements on one connection; used by one thread."""

    def __init__(
        self,
        connection: apsw.Connection,
        moves: Moves | None,
        *,
        writes: bool,
        seconds: float = limits.SECONDS,
    ) -> None:
        self._guard = Guard(connection, seconds)
        self._meter = Meter(connection, moves)
        self._writes = writes
        self._columns: list[str] | None = []
        self._room = 0

    def run(self, connection: apsw.Connection, statements: Sequence[D1Statement]) -> list[D1Result]:
        """One result for each. Raises D1Error; where this connection only reads, NeedsWriter."""
        with self._request(connection):
            return [self._one(connection, each, keep=True) for each in statements]

    def load(self, connection: apsw.Connection, statements: Iterable[str]) -> tuple[int, D1Meta]:
        """Run statements for their effects; how many, and their accounts added up."""
        count = changes = read = written = 0
        duration = 0.0
        with self._request(connection):
            for sql in statements:
                meta = self._step(connection, sql, (), keep=False).meta
                count += 1
                changes += meta.changes
                read += meta.rows_read
                written += meta.rows_written
                duration += meta.duration
        return count, D1Meta(
            served_by=SERVED_BY,
            duration=round(duration, 4),
            changes=changes,
            last_row_id=connection.last_insert_rowid(),
            changed_db=written > 0 or changes > 0,
            size_after=size(connection),
            rows_read=read,
            rows_written=written,
        )

    @contextmanager
    def _request(self, connection: apsw.Connection) -> Iterator[None]:
        """What one request changes of the connection ends with it.

        A deferred foreign key that is still broken fails here: the commit is not this request's
        alone, and must not fail for the others.
        """
        self._room = limits.RESULT
        try:
            yield
            if self._writes and connection.status(apsw.SQLITE_DBSTATUS_DEFERRED_FKS)[0]:
                raise D1Error(limits.FOREIGN_KEY)
        finally:
            if self._guard.used_pragma:
                self._guard.used_pragma = False
                connection.execute(limits.RESET, can_cache=False)

    def _one(self, connection: apsw.Connection, statement: D1Statement, keep: bool) -> D1Result:
        parts = list(split(statement.sql))
        if not parts:
            raise D1Error(limits.NO_STATEMENT)
        for part in parts[:-1]:
            self._step(connection, part, (), keep=False)
        return self._step(connection, parts[-1], bound(statement.params), keep=keep)

    def _step(
        self, connection: apsw.Connection, sql: str, params: tuple[Any, ...], *, keep: bool
    ) -> D1Result:
        began = time.perf_counter()
        before = connection.total_changes()
        self._forget()
        cursor = connection.cursor()
        cursor.exec_trace = self._traced
        self._meter.start()
        self._guard.start()
        try:
            rows = self._rows(cursor.execute(sql, params or None), keep)
            if self._columns is None:
                self._columns = _columns_of(connection, sql, params)
        except OF_THE_FILE:
            raise
        except apsw.ReadOnlyError as error:
            raise NeedsWriter from error
        except apsw.Error as error:
            raise d1_error(error) from error
        except UnicodeDecodeError as error:
            raise D1Error("a text of the result is not UTF-8; CAST it to BLOB") from error
        finally:
            self._guard.stop()
        if self._writes and "alter" in sql[:1000].lower():
            self._check_names(connection)
        changes = connection.total_changes() - before
        read, written = self._meter.stop(connection, len(rows), changes)
        return D1Result(
            self._columns or [],
            rows if keep else [],
            D1Meta(
                served_by=SERVED_BY,
                duration=round((time.perf_counter() - began) * 1000, 4),
                changes=changes,
                last_row_id=connection.last_insert_rowid(),
                changed_db=written > 0 or changes > 0,
                size_after=size(connection),
                rows_read=read,
                rows_written=written,
            ),
        )

    def _forget(self) -> None:
        self._columns = None

    def _check_names(self, connection: apsw.Connection) -> None:
        """The authorizer is not told what a table is renamed to."""
        if connection.execute(_TAKEN).fetchone() is not None:
            raise D1Error("not authorized: SQLITE_AUTH")

    def _rows(self, cursor: apsw.Cursor, keep: bool) -> list[list[Any]]:
        out: list[list[Any]] = []
        for row in cursor:
            if self._columns is None:
                self._columns = _names(cursor)
            self._room -= 16 * len(row) + sum(
                len(value) for value in row if isinstance(value, str | bytes)
            )
            if self._room < 0:
                raise D1Error(limits.TOO_LARGE)
            out.append(shown(row) if keep else [])
        return out

    def _traced(self, cursor: apsw.Cursor, sql: str, bindings: Any) -> bool:
        """Called by apsw once a statement is prepared, before its first step."""
        if cursor.is_explain:
            self._columns = _names(cursor)
            return True
        if not self._writes and not cursor.is_readonly:
            raise NeedsWriter
        # The first step prepares anew what was prepared before another connection changed the
        # schema, and `*` then stands for other columns. So what reads is asked after that.
        self._columns = None if cursor.is_readonly else _names(cursor)
        self._guard.stop()
        self._meter.prepared(cursor.connection, sql, bindings)
        self._guard.start()
        return True


def _names(cursor: apsw.Cursor) -> list[str]:
    return [column[0] for column in cursor.get_description()]


def _columns_of(connection: apsw.Connection, sql: str, params: tuple[Any, ...]) -> list[str]:
    """The columns of a statement that gave no row, as the schema is now."""
    found: list[str] = []

    def stop(cursor: apsw.Cursor, sql: str, bindings: Any) -> bool:
        found.extend(_names(cursor))
        return False

    cursor = connection.cursor()
    cursor.exec_trace = stop
    with suppress(apsw.ExecTraceAbort):
        cursor.execute(sql, params or None, can_cache=False)
    return found


def size(connection: apsw.Connection) -> int:
    """Bytes of the database."""
    row = connection.execute(_SIZE).fetchone()
    assert row is not None
    return int(str(row[0]))
