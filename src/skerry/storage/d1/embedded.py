"""A D1 database in a SQLite file of its own: reads run beside the one writer."""

from __future__ import annotations

import hashlib
import re
import weakref
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import apsw

from skerry.storage.d1 import limits
from skerry.storage.d1.base import (
    D1Answer,
    D1Database,
    D1Dump,
    D1Error,
    D1ImportResult,
    D1Statement,
)
from skerry.storage.d1.counter import Moves
from skerry.storage.d1.dump import dumped
from skerry.storage.d1.run import NeedsWriter, Runner, size
from skerry.storage.d1.split import split
from skerry.storage.sqlite import Database

T = TypeVar("T")

SCHEMA = (
    """
    CREATE TABLE _cf_METADATA (key INTEGER PRIMARY KEY, value INTEGER NOT NULL);
    INSERT INTO _cf_METADATA VALUES (1, 0);
    """,
)
"""Row 1 counts the transactions that wrote: the bookmark of sessions."""

_COMMITS = "SELECT value FROM _cf_METADATA WHERE key = 1"
_COMMIT = "UPDATE _cf_METADATA SET value = value + 1 WHERE key = 1"
_READING = re.compile(r"\s*(?:select|with|values|explain|pragma)\b", re.IGNORECASE)
_COMMENTS = re.compile(r"\s+|--[^\n]*(?:\n|$)|/\*(?:[^*]|\*(?!/))*(?:\*/)?")


class Connections:
    """The Runner of each connection of a file; `setup` is for Database."""

    def __init__(self, moves: Moves | None, seconds: float = limits.SECONDS) -> None:
        self._moves = moves
        self._seconds = seconds
        self._runners: weakref.WeakKeyDictionary[apsw.Connection, Runner] = (
            weakref.WeakKeyDictionary()
        )

    def setup(self, connection: apsw.Connection) -> None:
        """Limits, authorizer and clock, before anything of a user runs."""
        writes = not connection.pragma("query_only")
        self._runners[connection] = Runner(
            connection, self._moves, writes=writes, seconds=self._seconds
        )

    def __getitem__(self, connection: apsw.Connection) -> Runner:
        return self._runners[connection]


class EmbeddedD1(D1Database):
    """One database. `opened` gives the file, which may have been closed and opened again."""

    def __init__(
        self,
        database: str,
        opened: Callable[[], Awaitable[tuple[Database, Connections]]],
    ) -> None:
        self._tail = hashlib.md5(database.encode(), usedforsecurity=False).hexdigest()
        self._opened = opened

    async def query(self, statements: Sequence[D1Statement]) -> D1Answer:
        if not statements:
            raise D1Error(limits.NO_STATEMENT)
        return await self._run(statements)

    async def script(self, sql: str, params: list[Any] | None = None) -> D1Answer:
        parts = [D1Statement(part) for part in split(sql)]
        if not parts:
            raise D1Error(limits.NO_STATEMENT)
        parts[-1] = D1Statement(parts[-1].sql, params)
        return await self._run(parts)

    async def _run(self, statements: Sequence[D1Statement]) -> D1Answer:
        file, connections = await self._opened()
        if all(_reads(each.sql) for each in statements):
            try:
                return await file.read(
                    lambda connection: D1Answer(
                        connections[connection].run(connection, statements),
                        self._bookmark(connection),
                    )
                )
            except NeedsWriter:
                pass

        def work(connection: apsw.Connection) -> D1Answer:
            connection.execute(_COMMIT)
            results = connections[connection].run(connection, statements)
            return D1Answer(results, self._bookmark(connection))

        return await file.write(work)

    async def load(self, sql: str) -> D1ImportResult:
        file, connections = await self._opened()

        def work(connection: apsw.Connection) -> D1ImportResult:
            connection.execute(_COMMIT)
            count, meta = connections[connection].load(connection, split(sql))
            if not count:
                raise D1Error(limits.NO_STATEMENT)
            return D1ImportResult(count, meta, self._bookmark(connection))

        return await file.write(work)

    async def dump(self, what: D1Dump) -> str:
        file, _ = await self._opened()
        return await file.read(lambda connection: dumped(connection, what))

    async def size(self) -> tuple[int, int]:
        file, _ = await self._opened()
        sql = (
            "SELECT count(*) FROM sqlite_master WHERE type = 'table'"
            " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\'"
        )

        def work(connection: apsw.Connection) -> tuple[int, int]:
            row = connection.execute(sql).fetchone()
            return size(connection), int(str(row[0])) if row else 0

        return await file.read(work)

    def _bookmark(self, connection: apsw.Connection) -> str:
        row = connection.execute(_COMMITS).fetchone()
        commits = int(str(row[0])) if row else 0
        return f"{commits:08x}-00000000-00000000-{self._tail}"


def _reads(sql: str) -> bool:
    """Does it look as if all of this only reads? A wrong yes costs a NeedsWriter."""
    at = 0
    while (match := _COMMENTS.match(sql, at)) is not None:
        at = match.end()
    return _READING.match(sql, at) is not None
