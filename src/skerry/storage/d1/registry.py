"""Which databases an account has: names and ids, in a file beside theirs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import uuid4

import apsw

from skerry.storage.d1.base import D1Databases, D1Info, DatabaseExists, DatabaseNotFound
from skerry.storage.sqlite import Database

SCHEMA = (
    """
    CREATE TABLE databases (
        uuid TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        created_at TEXT NOT NULL
    );
    """,
)


class EmbeddedDatabases(D1Databases):
    """`erase(uuid)` closes and deletes the file of a database."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float],
        erase: Callable[[str], Awaitable[None]],
    ) -> None:
        self._database = database
        self._clock = clock
        self._erase = erase

    async def create(self, name: str) -> D1Info:
        made = D1Info(str(uuid4()), name, self._now())

        def work(connection: apsw.Connection) -> None:
            if _named(connection, name):
                raise DatabaseExists(name)
            _insert(connection, made)

        await self._database.write(work)
        return made

    async def ensure(self, database: str, name: str) -> None:
        known = await self._database.read(lambda connection: _row(connection, database))
        if known is not None:
            return

        def work(connection: apsw.Connection) -> None:
            if _row(connection, database) is None:
                free = name if name and not _named(connection, name) else database
                _insert(connection, D1Info(database, free, self._now()))

        await self._database.write(work)

    async def get(self, database: str) -> D1Info:
        found = await self._database.read(lambda connection: _row(connection, database))
        if found is None:
            raise DatabaseNotFound(database)
        return found

    async def list(self) -> list[D1Info]:
        sql = "SELECT uuid, name, created_at FROM databases ORDER BY rowid"
        rows = await self._database.read(lambda connection: connection.execute(sql).fetchall())
        return [D1Info(str(uuid), str(name), str(created)) for uuid, name, created in rows]

    async def delete(self, database: str) -> None:
        def work(connection: apsw.Connection) -> None:
            if _row(connection, database) is None:
                raise DatabaseNotFound(database)
            connection.execute("DELETE FROM databases WHERE uuid = ?", (database,))

        await self._database.write(work)
        await self._erase(database)

    def _now(self) -> str:
        now = datetime.fromtimestamp(self._clock(), UTC)
        return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _row(connection: apsw.Connection, database: str) -> D1Info | None:
    sql = "SELECT uuid, name, created_at FROM databases WHERE uuid = ?"
    row = connection.execute(sql, (database,)).fetchone()
    return None if row is None else D1Info(str(row[0]), str(row[1]), str(row[2]))


def _named(connection: apsw.Connection, name: str) -> bool:
    sql = "SELECT 1 FROM databases WHERE name = ?"
    return connection.execute(sql, (name,)).fetchone() is not None


def _insert(connection: apsw.Connection, info: D1Info) -> None:
    values = (info.uuid, info.name, info.created_at)
    connection.execute("INSERT INTO databases VALUES (?, ?, ?)", values)
