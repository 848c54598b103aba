"""An index in SQLite, the state of record; what is searched is kept in memory beside it.

Every mutation counts `change` up, and rows bear the change that wrote them: so memory catches up
with what this or another process wrote by reading what is newer.
"""

from __future__ import annotations

import builtins
import threading
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import apsw
import msgspec
import numpy as np

from skerry.storage.sqlite import Database
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
    TooMany,
    Vector,
    VectorError,
    VectorIndex,
    VectorPage,
)
from skerry.storage.vectorize.check import check_query, check_values, check_vector
from skerry.storage.vectorize.filter import (
    check_property,
    conditions,
    indexed_value,
    property_of,
)
from skerry.storage.vectorize.memory import Memory

SCHEMA = (
    """
    CREATE TABLE state (
        change INTEGER NOT NULL,
        epoch INTEGER NOT NULL,      -- counts the changes of metadata indexes
        forgotten INTEGER NOT NULL,  -- deletions up to this change are in no list any more
        vectors INTEGER NOT NULL,
        mutation TEXT NOT NULL,
        mutation_ms INTEGER NOT NULL
    ) STRICT;
    INSERT INTO state VALUES (0, 0, 0, 0, '', 0);
    CREATE TABLE vectors (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        namespace TEXT,
        numbers BLOB NOT NULL,       -- little-endian float32
        metadata TEXT,
        change INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX vectors_change ON vectors (change);
    CREATE TABLE gone (change INTEGER NOT NULL, id TEXT NOT NULL) STRICT;
    CREATE INDEX gone_change ON gone (change);
    CREATE TABLE properties (name TEXT PRIMARY KEY, type TEXT NOT NULL) STRICT;
    CREATE TRIGGER vector_in AFTER INSERT ON vectors BEGIN
        UPDATE state SET vectors = vectors + 1;
    END;
    CREATE TRIGGER vector_out AFTER DELETE ON vectors BEGIN
        UPDATE state SET vectors = vectors - 1;
        INSERT INTO gone SELECT change, old.id FROM state;
    END;
    """,
)

_KEPT = 10_000
"""Changes whose deletions stay listed; memory that is further behind is built anew."""

_INSERT = (
    "INSERT INTO vectors (id, namespace, numbers, metadata, change) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (id) DO NOTHING"
)
_UPSERT = (
    "INSERT INTO vectors (id, namespace, numbers, metadata, change) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (id) DO UPDATE SET namespace = excluded.namespace, numbers = excluded.numbers,"
    " metadata = excluded.metadata, change = excluded.change"
)


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
        return await self._put(_INSERT, vectors)

    async def upsert(self, vectors: Sequence[Vector]) -> str:
        return await self._put(_UPSERT, vectors)

    async def _put(self, statement: str, vectors: Sequence[Vector]) -> str:
        mutation, now = self._mutation()
        dimensions = self.details.config.dimensions
        rows = [_row(each, dimensions) for each in vectors]

        def work(connection: apsw.Connection) -> str:
            change = _changed(connection, mutation, now)
            connection.executemany(statement, [(*row, change) for row in rows])
            held: Any = connection.execute("SELECT vectors FROM state").get
            if held > MAX_VECTORS:
                raise VectorError(f"an index holds at most {MAX_VECTORS} vectors", code=40014)
            return mutation

        return await self._database.write(work)

    async def delete_by_ids(self, ids: Sequence[str]) -> str:
        _count(ids, MAX_DELETE)
        mutation, now = self._mutation()

        def work(connection: apsw.Connection) -> str:
            _changed(connection, mutation, now)
            connection.executemany("DELETE FROM vectors WHERE id = ?", [(each,) for each in ids])
            return mutation

        return await self._database.write(work)

    async def query(self, target: Sequence[float] | str, query: Query) -> builtins.list[Match]:
        check_query(query)
        if not isinstance(target, str):
            check_values(target, self.details.config.dimensions, "query vector")

        def work(connection: apsw.Connection) -> builtins.list[Match]:
            numbers = _numbers(connection, target)
            if numbers is None:
                return []
            with self._lock:
                memory = self._fresh(connection)
                kinds: dict[str, PropertyType] = {
                    name: column.kind for name, column in memory.columns.items()
                }
                asked = [] if query.filter is None else conditions(query.filter, kinds)
                found = memory.search(numbers, query.top_k, query.namespace, asked)
            return _matches(connection, found, query, kinds)

        return await self._database.read(work)

    async def get_by_ids(self, ids: Sequence[str]) -> builtins.list[Vector]:
        _count(ids, MAX_GET)

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
                            values=_floats(numbers),
                            namespace=namespace,
                            metadata=_decoded(metadata),
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
            rows: Any = connection.execute(
                "SELECT seq, id FROM vectors WHERE seq > ? ORDER BY seq LIMIT ?",
                (after, count + 1),
            ).fetchall()
            page = rows[:count]
            total: Any = connection.execute("SELECT vectors FROM state").get
            return VectorPage(
                ids=[ident for _, ident in page],
                total=total,
                cursor=str(page[-1][0]) if len(rows) > count else None,
            )

        return await self._database.read(work)

    async def metadata_indexes(self) -> dict[str, PropertyType]:
        return await self._database.read(_properties)

    async def add_metadata_index(self, name: str, kind: PropertyType) -> str:
        check_property(name)
        mutation, now = self._mutation()

        def work(connection: apsw.Connection) -> str:
            known = _properties(connection)
            if name in known:
                raise InvalidFilter(f"{name} has a metadata index, of type {known[name]}")
            if len(known) >= MAX_METADATA_INDEXES:
                raise InvalidFilter(f"an index has at most {MAX_METADATA_INDEXES} metadata indexes")
            connection.execute("INSERT INTO properties VALUES (?, ?)", (name, kind))
            connection.execute("UPDATE state SET epoch = epoch + 1")
            _changed(connection, mutation, now)
            return mutation

        return await self._database.write(work)

    async def remove_metadata_index(self, name: str) -> str:
        mutation, now = self._mutation()

        def work(connection: apsw.Connection) -> str:
            connection.execute("DELETE FROM properties WHERE name = ?", (name,))
            if not connection.changes():
                raise InvalidFilter(f"{name[:100]!r} has no metadata index")
            connection.execute("UPDATE state SET epoch = epoch + 1")
            _changed(connection, mutation, now)
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
            memory, seen = Memory(self.details.config, _properties(connection)), -1
        if change != seen:
            # What was deleted and put again is in both lists: deletions come first.
            for (ident,) in connection.execute("SELECT id FROM gone WHERE change > ?", (seen,)):
                memory.remove(str(ident))
            rows: Any = connection.execute(
                "SELECT id, numbers, namespace, metadata FROM vectors WHERE change > ?", (seen,)
            )
            for ident, numbers, namespace, metadata in rows:
                memory.put(ident, numbers, namespace, _decoded(metadata) if memory.columns else {})
        self._memory, self._seen = memory, (epoch, change)
        return memory


def _row(vector: Vector, dimensions: int) -> tuple[str, str | None, bytes, str | None]:
    """Id, namespace, numbers and metadata as they are stored. Raises InvalidVector."""
    metadata = check_vector(vector, dimensions)
    numbers = np.asarray(vector.values, dtype="<f4").tobytes()
    return vector.id, vector.namespace, numbers, metadata


def _changed(connection: apsw.Connection, mutation: str, now: int) -> int:
    """Count a mutation; its number."""
    connection.execute(
        "UPDATE state SET change = change + 1, mutation = ?, mutation_ms = ?", (mutation, now)
    )
    change: Any = connection.execute("SELECT change FROM state").get
    if change % 1000 == 0:
        connection.execute("DELETE FROM gone WHERE change <= ?", (change - _KEPT,))
        connection.execute("UPDATE state SET forgotten = max(forgotten, change - ?)", (_KEPT,))
    return int(change)


def _properties(connection: apsw.Connection) -> dict[str, PropertyType]:
    rows: Any = connection.execute("SELECT name, type FROM properties ORDER BY name")
    return dict(rows)


def _numbers(connection: apsw.Connection, target: Sequence[float] | str) -> Any:
    if not isinstance(target, str):
        return np.asarray(target, dtype="<f4")
    found: Any = connection.execute("SELECT numbers FROM vectors WHERE id = ?", (target,)).get
    return None if found is None else np.frombuffer(found, dtype="<f4")


def _matches(
    connection: apsw.Connection,
    found: Sequence[tuple[str, float]],
    query: Query,
    kinds: dict[str, PropertyType],
) -> list[Match]:
    out: list[Match] = []
    for ident, score in found:
        row: Any = connection.execute(
            "SELECT namespace, numbers, metadata FROM vectors WHERE id = ?", (ident,)
        ).fetchone()
        if row is None:  # the lock orders memory and file, so this is a fault worth hearing of
            raise VectorError(f"vector {ident!r} is in memory and not in the file", status=500)
        namespace, numbers, metadata = row
        out.append(
            Match(
                id=ident,
                score=score,
                namespace=namespace,
                values=_floats(numbers) if query.return_values else None,
                metadata=_shown(_decoded(metadata), query, kinds),
            )
        )
    return out


def _shown(
    metadata: dict[str, Any] | None, query: Query, kinds: dict[str, PropertyType]
) -> dict[str, Any] | None:
    if query.return_metadata == "none" or metadata is None:
        return None
    if query.return_metadata == "all":
        return metadata
    shown: dict[str, Any] = {}
    for name, kind in kinds.items():
        value = property_of(metadata, name)
        if indexed_value(value, kind) is not None:
            *path, last = name.split(".")
            place = shown
            for part in path:
                place = place.setdefault(part, {})
            place[last] = indexed_value(value, kind) if kind == "string" else value
    return shown


def _floats(numbers: bytes) -> list[float]:
    return [float(each) for each in np.frombuffer(numbers, dtype="<f4")]


def _decoded(metadata: str | None) -> dict[str, Any] | None:
    if metadata is None:
        return None
    found: dict[str, Any] = msgspec.json.decode(metadata)
    return found


def _count(ids: Sequence[str], most: int) -> None:
    if len(ids) > most:
        raise TooMany(f"too many ids in payload; max id count is {most}")
