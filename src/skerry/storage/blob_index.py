"""A database whose rows name files: what both agree on, whatever ends the process when.

A file is first written and then named. Where a row goes, its file is noted as garbage in the same
transaction, deleted after it, and struck off by the next write; what a crash leaves of either is
swept when the index is next opened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import apsw

from skerry.storage.blobs import Blob, Blobs
from skerry.storage.failures import StorageFull
from skerry.storage.sqlite import Database
from skerry.storage.threads import to_the_end

T = TypeVar("T")

GARBAGE = "CREATE TABLE garbage (blob TEXT PRIMARY KEY) WITHOUT ROWID;"


class BlobIndex:
    """`root/name.sqlite` and the files under `root/blobs`.

    tables: those with a column `blob`, which should have an index.
    """

    def __init__(
        self,
        root: Path,
        name: str,
        schema: Sequence[str],
        tables: Sequence[str],
        *,
        durable: bool = True,
    ) -> None:
        self.blobs = Blobs(root / "blobs", durable=durable)
        self._database = Database(root / f"{name}.sqlite", (GARBAGE, *schema))
        self._tables = tuple(tables)
        self._opening = asyncio.Lock()
        self._opened = False
        self._deleted: set[str] = set()

    async def read(self, work: Callable[[apsw.Connection], T]) -> T:
        """Read of the database, once what a crash left is swept."""
        await self._open()
        return await self._database.read(work)

    async def write(self, work: Callable[[apsw.Connection], T]) -> T:
        """Write to the database. A caller that is cancelled waits: CancelledError means that it
        is written, any other exception that it is not."""
        return await to_the_end(self._write(work))

    async def name(self, blob: Blob, work: Callable[[apsw.Connection], T]) -> T:
        """The write whose row names a file; where it fails, the file goes."""
        try:
            return await self.write(work)
        except Exception as error:
            if isinstance(error, StorageFull) or not _of_disk(error):
                await self.blobs.drop([blob.name])
            else:  # a commit that failed on the disk may show after a restart: a sweep will know
                self.blobs.sessions.leave()
            raise

    async def drop(self, garbage: Iterable[str]) -> None:
        """Delete files that are garbage; that they are gone is noted by the next write."""
        names = list(garbage)
        await self.blobs.drop(names)
        self._deleted.update(names)

    async def close(self) -> None:
        """End; nothing may be under way."""
        await self.blobs.close()
        await self._database.close()

    def due(self, db: apsw.Connection) -> bool:
        """Whether `begin` has something to do."""
        return db.execute("SELECT 1 FROM garbage LIMIT 1").fetchone() is not None

    def begin(self, db: apsw.Connection) -> None:
        """What else is to be done at the start; a subclass may drop what is too old."""

    async def _write(self, work: Callable[[apsw.Connection], T]) -> T:
        await self._open()
        deleted = tuple(self._deleted)

        def both(db: apsw.Connection) -> T:
            db.executemany("DELETE FROM garbage WHERE blob = ?", [(each,) for each in deleted])
            return work(db)

        outcome = await self._database.write(both)
        self._deleted.difference_update(deleted)
        return outcome

    async def _open(self) -> None:
        if self._opened:
            return
        async with self._opening:
            if not self._opened:
                if await self._database.read(self.due):
                    await self.drop(await self._database.write(self._begin))
                await self.blobs.sweep(lambda names: self._database.read(self._naming(names)))
                self._opened = True

    def _begin(self, db: apsw.Connection) -> list[str]:
        self.begin(db)
        return [str(blob) for (blob,) in db.execute("SELECT blob FROM garbage")]

    def _naming(self, blobs: Sequence[str]) -> Callable[[apsw.Connection], set[str]]:
        def work(db: apsw.Connection) -> set[str]:
            return {blob for blob in blobs if any(_names(db, each, blob) for each in self._tables)}

        return work


def to_garbage(db: apsw.Connection, blobs: list[str]) -> list[str]:
    """Note files that no row names any more; the same, for `drop` after the transaction."""
    db.executemany("INSERT OR IGNORE INTO garbage VALUES (?)", [(blob,) for blob in blobs])
    return blobs


def _names(db: apsw.Connection, table: str, blob: str) -> bool:
    query = f"SELECT 1 FROM {table} WHERE blob = ?"  # noqa: S608 - the names of our own tables
    return db.execute(query, (blob,)).fetchone() is not None


def _of_disk(error: Exception) -> bool:
    """Whether SQLite or the system is the cause, and not the work's own refusal."""
    return isinstance(error.__cause__, apsw.Error | OSError) or isinstance(error, apsw.Error)
