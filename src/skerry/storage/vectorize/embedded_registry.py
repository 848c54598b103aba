"""The indexes of an account: a list in SQLite, and a file for each, named by its id."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import apsw

from skerry.storage.sqlite import Database
from skerry.storage.vectorize.base import (
    IndexConfig,
    IndexDetails,
    IndexExists,
    IndexNotFound,
    VectorIndex,
    VectorIndexes,
)
from skerry.storage.vectorize.check import check_index

if TYPE_CHECKING:
    from skerry.storage.vectorize.embedded import EmbeddedIndex

SCHEMA = (
    """
    CREATE TABLE indexes (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        dimensions INTEGER NOT NULL,
        metric TEXT NOT NULL,
        description TEXT NOT NULL,
        created_ms INTEGER NOT NULL
    ) STRICT;
    """,
)

_SUFFIX = ".index.sqlite"


class Databases(Protocol):
    """Whatever opens files: storage.open.Stores."""

    def database(self, path: Path, schema: tuple[str, ...], /) -> Database:
        """The one Database of a file."""

    async def forget(self, path: Path, /) -> None:
        """Close it."""


class EmbeddedIndexes(VectorIndexes):
    """All indexes of one account, in one folder."""

    def __init__(self, folder: Path, databases: Databases, clock: Callable[[], float]) -> None:
        """clock: Unix seconds."""
        self._folder = folder
        self._databases = databases
        self._clock = clock
        self._open: dict[str, EmbeddedIndex] = {}

    def _list(self) -> Database:
        return self._databases.database(self._folder / "vectorize.sqlite", SCHEMA)

    async def create(self, name: str, config: IndexConfig, description: str = "") -> IndexDetails:
        check_index(name, config)
        made = IndexDetails(
            id=secrets.token_hex(16),
            name=name,
            config=config,
            description=description,
            created_ms=int(self._clock() * 1000),
        )

        def work(connection: apsw.Connection) -> None:
            try:
                connection.execute(
                    "INSERT INTO indexes VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        made.id,
                        name,
                        config.dimensions,
                        config.metric,
                        description,
                        made.created_ms,
                    ),
                )
            except apsw.ConstraintError as error:
                raise IndexExists(name) from error

        await self._list().write(work)
        return made

    async def list(self) -> list[IndexDetails]:
        return await self._list().read(
            lambda connection: [
                _details(row) for row in connection.execute("SELECT * FROM indexes ORDER BY name")
            ]
        )

    async def _get(self, name: str) -> IndexDetails:
        def work(connection: apsw.Connection) -> IndexDetails:
            row = connection.execute("SELECT * FROM indexes WHERE name = ?", (name,)).fetchone()
            if row is None:
                raise IndexNotFound(name)
            return _details(row)

        return await self._list().read(work)

    async def open(self, name: str) -> VectorIndex:
        details = await self._get(name)
        known = self._open.get(details.id)
        if known is None:
            from skerry.storage.vectorize.embedded import EmbeddedIndex
            from skerry.storage.vectorize.rows import SCHEMA as INDEX_SCHEMA

            database = self._databases.database(self._file(details.id), INDEX_SCHEMA)
            known = self._open[details.id] = EmbeddedIndex(details, database, self._clock)
        return known

    async def delete(self, name: str) -> None:
        details = await self._get(name)

        def work(connection: apsw.Connection) -> None:
            connection.execute("DELETE FROM indexes WHERE id = ?", (details.id,))

        await self._list().write(work)
        self._open.pop(details.id, None)
        await self._databases.forget(self._file(details.id))
        await self._sweep()

    async def _sweep(self) -> None:
        """Delete files of no index, also those that a crash has left behind.

        An index is listed before its file is made, so what is found first and then in no list
        has none.
        """
        found = await asyncio.to_thread(lambda: list(self._folder.glob(f"*{_SUFFIX}*")))
        listed = {each.id for each in await self.list()}
        for path in found:
            if path.name.partition(".")[0] not in listed:
                await asyncio.to_thread(path.unlink, missing_ok=True)

    def _file(self, ident: str) -> Path:
        return self._folder / f"{ident}{_SUFFIX}"


def _details(row: Any) -> IndexDetails:
    ident, name, dimensions, metric, description, created = row
    return IndexDetails(
        id=ident,
        name=name,
        config=IndexConfig(dimensions=dimensions, metric=metric),
        description=description,
        created_ms=created,
    )
