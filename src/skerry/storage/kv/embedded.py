"""KV in one SQLite file per account: writes of all its namespaces share their commits."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import cast
from uuid import uuid4

import apsw

from skerry.storage.kv import limits
from skerry.storage.kv.base import (
    KvEntry,
    KvError,
    KvKey,
    KvNamespace,
    KvNamespaceInfo,
    KvNamespaces,
    KvPage,
    KvWrite,
    NamespaceExists,
    NamespaceNotFound,
)
from skerry.storage.kv.underway import Underway
from skerry.storage.sqlite import Database

SCHEMA = (
    """
    CREATE TABLE namespaces (
        id TEXT PRIMARY KEY,
        title TEXT NOT NULL UNIQUE
    );
    -- The value comes last: a listing then never touches its overflow pages.
    CREATE TABLE entries (
        id INTEGER PRIMARY KEY,
        namespace TEXT NOT NULL,
        key BLOB NOT NULL,
        expiration INTEGER,
        metadata TEXT,
        value BLOB NOT NULL
    );
    CREATE UNIQUE INDEX entry ON entries (namespace, key);
    CREATE INDEX expiring ON entries (expiration) WHERE expiration IS NOT NULL;
    """,
)

SWEEP = 500
"""Expired keys that are deleted in one go, so that a sweep never holds up writers for long."""

_GET = "SELECT value, metadata, expiration FROM entries WHERE namespace = ? AND key = ?"
_PUT = """
INSERT INTO entries (namespace, key, expiration, metadata, value) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (namespace, key)
DO UPDATE SET expiration = ?3, metadata = ?4, value = ?5
"""
_MAKE = "INSERT OR IGNORE INTO namespaces (id, title) VALUES (?1, ?1)"
_DELETE = "DELETE FROM entries WHERE namespace = ? AND key = ?"
_LIST = """
SELECT key, expiration, metadata FROM entries
WHERE namespace = ?1 AND key > ?2 AND key >= ?3 AND (?4 IS NULL OR key < ?4)
  AND (expiration IS NULL OR expiration > ?5)
ORDER BY key LIMIT ?6
"""
_SWEEP = """
DELETE FROM entries WHERE id IN
  (SELECT id FROM entries WHERE expiration IS NOT NULL AND expiration <= ? LIMIT ?)
"""


class EmbeddedNamespace(KvNamespace):
    """A namespace in the account's file; made there by its first put."""

    def __init__(
        self,
        database: Database,
        namespace: str,
        clock: Callable[[], float],
        underway: Underway,
    ) -> None:
        self._database = database
        self._namespace = namespace
        self._clock = clock
        self._underway = underway

    async def get(self, key: str) -> KvEntry | None:
        at = (self._namespace, limits.key_bytes(key))
        await self._underway.before([at])
        row = await self._database.read(lambda connection: connection.execute(_GET, at).fetchone())
        return self._entry(row)

    async def get_many(self, keys: Sequence[str]) -> Mapping[str, KvEntry | None]:
        limits.check_bulk(keys)
        wanted = {key: limits.key_bytes(key) for key in keys}

        def work(connection: apsw.Connection) -> dict[str, KvEntry | None]:
            found: dict[str, KvEntry | None] = {}
            size = 0
            for key, data in wanted.items():
                row = connection.execute(_GET, (self._namespace, data)).fetchone()
                entry = found[key] = self._entry(row)
                size += len(entry.value) if entry is not None else 0
                limits.check_bulk_size(size)
            return found

        await self._underway.before((self._namespace, data) for data in wanted.values())
        return await self._database.read(work)

    def _entry(self, row: tuple[bytes, str | None, int | None] | None) -> KvEntry | None:
        if row is None or (row[2] is not None and row[2] <= self._clock()):
            return None
        return KvEntry(*row)

    async def put(
        self,
        key: str,
        value: bytes,
        *,
        metadata: str | None = None,
        expiration: int | None = None,
        expiration_ttl: int | None = None,
    ) -> None:
        await self.put_many([KvWrite(key, value, metadata, expiration, expiration_ttl)])

    async def put_many(self, writes: Sequence[KvWrite]) -> None:
        rows = [self._row(each) for each in writes]

        def work(connection: apsw.Connection) -> None:
            connection.execute(_MAKE, (self._namespace,))
            for row in rows:
                connection.execute(_PUT, row)

        with self._underway.writing(row[:2] for row in rows):
            await self._database.write(work)

    def _row(self, write: KvWrite) -> tuple[str, bytes, int | None, str | None, bytes]:
        key = limits.key_bytes(write.key)
        limits.check_value(len(write.value))
        return (
            self._namespace,
            key,
            limits.expires(self._clock(), write.expiration, write.expiration_ttl),
            limits.metadata_text(write.metadata),
            write.value,
        )

    async def delete(self, key: str) -> None:
        await self.delete_many([key])

    async def delete_many(self, keys: Sequence[str]) -> None:
        rows = [(self._namespace, limits.key_bytes(key)) for key in keys]

        def work(connection: apsw.Connection) -> None:
            for row in rows:
                connection.execute(_DELETE, row)

        with self._underway.writing(rows):
            await self._database.write(work)

    async def list(self, prefix: str = "", limit: int = 1000, cursor: str = "") -> KvPage:
        limits.check_limit(limit)
        start = limits.prefix_bytes(prefix)
        at = (
            self._namespace,
            _after(cursor),
            start,
            _end(start),
            self._clock(),
            limit + 1,
        )
        await self._underway.before_all(self._namespace)
        rows = await self._database.read(
            lambda connection: connection.execute(_LIST, at).fetchall()
        )
        keys = [
            KvKey(key.decode(), expiration, metadata)
            for key, expiration, metadata in cast("list[_Listed]", rows[:limit])
        ]
        return KvPage(keys, _cursor(keys[-1].name) if len(rows) > limit else "")


_Listed = tuple[bytes, int | None, str | None]


def _cursor(last: str) -> str:
    return base64.urlsafe_b64encode(last.encode()).decode()


def _after(cursor: str) -> bytes:
    """The key behind which a page starts; no key is empty. Raises KvError."""
    try:
        return base64.b64decode(cursor, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise KvError("Invalid cursor") from error


def _end(prefix: bytes) -> bytes | None:
    """The first bytes behind all that start with `prefix`; None where nothing is.

    UTF-8 has no byte 0xff, so the last one can always be counted up.
    """
    return prefix[:-1] + bytes([prefix[-1] + 1]) if prefix else None


class EmbeddedNamespaces(KvNamespaces):
    """The namespaces in the account's file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, title: str) -> KvNamespaceInfo:
        made = KvNamespaceInfo(uuid4().hex, title)

        def work(connection: apsw.Connection) -> None:
            _unused(connection, title, made.id)
            connection.execute("INSERT INTO namespaces VALUES (?, ?)", (made.id, title))

        await self._database.write(work)
        return made

    async def ensure(self, namespace: str) -> KvNamespaceInfo:
        def work(connection: apsw.Connection) -> KvNamespaceInfo:
            connection.execute(_MAKE, (namespace,))
            return _found(connection, namespace)

        return await self._database.write(work)

    async def get(self, namespace: str) -> KvNamespaceInfo:
        return await self._database.read(lambda connection: _found(connection, namespace))

    async def list(self) -> list[KvNamespaceInfo]:
        sql = "SELECT id, title FROM namespaces ORDER BY rowid"
        rows = await self._database.read(lambda connection: connection.execute(sql).fetchall())
        return [KvNamespaceInfo(*cast("tuple[str, str]", row)) for row in rows]

    async def rename(self, namespace: str, title: str) -> KvNamespaceInfo:
        def work(connection: apsw.Connection) -> KvNamespaceInfo:
            _found(connection, namespace)
            _unused(connection, title, namespace)
            connection.execute("UPDATE namespaces SET title = ? WHERE id = ?", (title, namespace))
            return KvNamespaceInfo(namespace, title)

        return await self._database.write(work)

    async def delete(self, namespace: str) -> None:
        def work(connection: apsw.Connection) -> None:
            _found(connection, namespace)
            connection.execute("DELETE FROM entries WHERE namespace = ?", (namespace,))
            connection.execute("DELETE FROM namespaces WHERE id = ?", (namespace,))

        await self._database.write(work)

    async def sweep(self, now: float) -> int:
        """Delete keys that have expired, some hundred at most; answers how many."""

        def work(connection: apsw.Connection) -> int:
            connection.execute(_SWEEP, (now, SWEEP))
            return connection.changes()

        return await self._database.write(work)


def _found(connection: apsw.Connection, namespace: str) -> KvNamespaceInfo:
    sql = "SELECT id, title FROM namespaces WHERE id = ?"
    row = connection.execute(sql, (namespace,)).fetchone()
    if row is None:
        raise NamespaceNotFound(namespace)
    return KvNamespaceInfo(*row)


def _unused(connection: apsw.Connection, title: str, namespace: str) -> None:
    sql = "SELECT 1 FROM namespaces WHERE title = ? AND id <> ?"
    if connection.execute(sql, (title, namespace)).fetchone() is not None:
        raise NamespaceExists(title)
