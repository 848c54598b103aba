"""An index in SQLite, the state of record; what is searched is kept in memory beside it.

Every mutation counts `change` up, and rows bear the change that wrote them: so memory catches up
with what this or another process wrote by reading what is newer.
"""

from __future__ import annotations

import asyncio
import builtins
import itertools
import threading
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import apsw

from skerry.storage.sqlite import Database
from skerry.storage.vectorize import rows
from skerry.storage.vectorize.base import (
    MAX_DELETE,
    MAX_GET,
    MAX_LIST,
    MAX_METADATA_INDEXES,
    MAX_VECTORS,
    IndexDetails,
    IndexState,
    InvalidFilter,
    InvalidQuery,
    Match,
    PropertyType,
    Query,
    Vector,
    VectorError,
    VectorIndex,
    VectorPage,
)
from skerry.storage.vectorize.check import check_query
from skerry.storage.vectorize.filter import (
    check_property,
    conditions,
)
from skerry.storage.vectorize.memory import Floats, Memory, Stored

_PART = 2000
"""Vectors that are read at a time."""
_MANY = 20_000
"""Numbers whose checks would hold up the event loop."""


class EmbeddedIndex(VectorIndex):
    """An index in a file of its own."""

    def __init__(
        self, details: IndexDetails, database: Database, clock: Callable[[], float]
    ) -> None:
        """clock: Unix seconds."""
        self.details = details
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._memory: Memory | None = None
        self._seen = (-1, -1)
        """Epoch and change that `_memory` has."""

    async def insert(self, vectors: Sequence[Vector]) -> str:
        return await self._put(rows.INSERT, vectors)

    async def upsert(self, vectors: Sequence[Vector]) -> str:
        return await self._put(rows.UPSERT, vectors)

    async def _put(self, statement: str, vectors: Sequence[Vector]) -> str:
        mutation, now = self._mutation()
        dimensions = self.details.config.dimensions
        if len(vectors) * dimensions > _MANY:
            stored = await asyncio.to_thread(rows.stored_rows, vectors, dimensions)
        else:
            stored = rows.stored_rows(vectors, dimensions)

        def work(connection: apsw.Connection) -> str:
            change = rows.changed(connection, mutation, now)
            connection.executemany(statement, [(*row, change) for row in stored])
            held: Any = connection.execute("SELECT vectors FROM state").get
            if held > MAX_VECTORS:
                raise VectorError(f"an index holds at most {MAX_VECTORS} vectors", code=40014)
            return mutation

        return await self._database.write(work)

    async def delete_by_ids(self, ids: Sequence[str]) -> str:
        rows.check_count(ids, MAX_DELETE)
        mutation, now = self._mutation()

        def work(connection: apsw.Connection) -> str:
            rows.changed(connection, mutation, now)
            connection.executemany("DELETE FROM vectors WHERE id = ?", [(each,) for each in ids])
            return mutation

        return await self._database.write(work)

    async def query(self, target: Sequence[float] | str, query: Query) -> builtins.list[Match]:
        check_query(query)
        numbers_or_id: Floats | str = (
            target
            if isinstance(target, str)
            else rows.float32(target, self.details.config.dimensions, "query vector")
        )

        def work(connection: apsw.Connection) -> builtins.list[Match]:
            numbers = rows.numbers_of(connection, numbers_or_id)
            if numbers is None:
                return []
            with self._lock:
                memory = self._fresh(connection)
                kinds: dict[str, PropertyType] = {
                    name: column.kind for name, column in memory.columns.items()
                }
                asked = [] if query.filter is None else conditions(query.filter, kinds)
                found = memory.search(numbers, query.top_k, query.namespace, asked)
            return rows.matches(connection, found, query, kinds)

        return await self._database.read(work)

    async def get_by_ids(self, ids: Sequence[str]) -> builtins.list[Vector]:
        rows.check_count(ids, MAX_GET)

        def work(connection: apsw.Connection) -> builtins.list[Vector]:
            out = []
            for ident in ids:
                row: Any = connection.execute(
                    "SELECT numbers, namespace, metadata FROM vectors WHERE id = ?", (ident,)
                ).fetchone()
                if row is not None:
                    numbers, namespace, metadata = row
                    out.append(
                        Vector(
                            id=ident,
                            values=rows.floats(numbers),
                            namespace=namespace,
                            metadata=rows.decoded(metadata),
                        )
                    )
            return out

        return await self._database.read(work)

    async def state(self) -> IndexState:
        def work(connection: apsw.Connection) -> IndexState:
            row: Any = connection.execute(
                "SELECT vectors, mutation, mutation_ms FROM state"
            ).fetchone()
            return IndexState(
                dimensions=self.details.config.dimensions,
                vector_count=row[0],
                mutation=row[1],
                mutation_ms=row[2],
            )

        return await self._database.read(work)

    async def list(self, count: int = 100, cursor: str | None = None) -> VectorPage:
        if not 1 <= count <= MAX_LIST:
            raise InvalidQuery(f"count: {count} is not from 1 to {MAX_LIST}")
        after = 0
        if cursor:
            if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
                raise InvalidQuery(f"cursor: {cursor[:40]!r} is none of a page of this list")
            after = int(cursor)

        def work(connection: apsw.Connection) -> VectorPage:
            found: Any = connection.execute(
                "SELECT seq, id FROM vectors WHERE seq > ? ORDER BY seq LIMIT ?",
                (after, count + 1),
            ).fetchall()
            page = found[:count]
            total: Any = connection.execute("SELECT vectors FROM state").get
            return VectorPage(
                ids=[ident for _, ident in page],
                total=total,
                cursor=str(page[-1][0]) if len(found) > count else None,
            )

        return await self._database.read(work)

    async def metadata_indexes(self) -> dict[str, PropertyType]:
        return await self._database.read(rows.properties)

    async def add_metadata_index(self, name: str, kind: PropertyType) -> str:
        check_property(name)
        mutation, now = self._mutation()

        def work(connection: apsw.Connection) -> str:
            known = rows.properties(connection)
            if name in known:
                raise InvalidFilter(f"{name} has a metadata index, of type {known[name]}")
            if len(known) >= MAX_METADATA_INDEXES:
                raise InvalidFilter(f"an index has at most {MAX_METADATA_INDEXES} metadata indexes")
            connection.execute("INSERT INTO properties VALUES (?, ?)", (name, kind))
            connection.execute("UPDATE state SET epoch = epoch + 1")
            rows.changed(connection, mutation, now)
            return mutation

        return await self._database.write(work)

    async def remove_metadata_index(self, name: str) -> str:
        mutation, now = self._mutation()

        def work(connection: apsw.Connection) -> str:
            connection.execute("DELETE FROM properties WHERE name = ?", (name,))
            if not connection.changes():
                raise InvalidFilter(f"{name[:100]!r} has no metadata index")
            connection.execute("UPDATE state SET epoch = epoch + 1")
            rows.changed(connection, mutation, now)
            return mutation

        return await self._database.write(work)

    def _mutation(self) -> tuple[str, int]:
        return str(uuid.uuid4()), int(self._clock() * 1000)

    def _fresh(self, connection: apsw.Connection) -> Memory:
        """Memory at the state that this connection reads; call with the lock."""
        row: Any = connection.execute("SELECT epoch, change, forgotten FROM state").fetchone()
        epoch, change, forgotten = row
        memory, (seen_epoch, seen) = self._memory, self._seen
        if memory is None or epoch != seen_epoch or seen < forgotten:
            memory, seen = Memory(self.details.config, rows.properties(connection)), -1
        if change != seen:
            # What was deleted and put again is in both lists: deletions come first.
            for (ident,) in connection.execute("SELECT id FROM gone WHERE change > ?", (seen,)):
                memory.remove(str(ident))
            newer = connection.execute(
                "SELECT id, numbers, namespace, metadata FROM vectors WHERE change > ?", (seen,)
            )
            while part := [Stored(*row) for row in itertools.islice(newer, _PART)]:
                if memory.columns:
                    part = [each._replace(metadata=rows.decoded(each.metadata)) for each in part]
                memory.put(part)
        self._memory, self._seen = memory, (epoch, change)
        return memory
