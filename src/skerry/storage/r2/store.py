"""The file and the folder under the embedded R2: metadata in SQLite, bytes in files."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import apsw

from skerry.storage.blobs import Blobs
from skerry.storage.r2 import rows
from skerry.storage.r2.base import UPLOAD_SECONDS
from skerry.storage.sqlite import Database
from skerry.storage.threads import to_the_end

T = TypeVar("T")


class Store:
    """What the buckets of an account share. Any number of processes may have it open."""

    def __init__(self, root: Path, clock: Callable[[], float] = time.time) -> None:
        self.blobs = Blobs(root / "blobs")
        self._database = Database(root / "r2.sqlite", rows.SCHEMA)
        self._clock = clock
        self._opening = asyncio.Lock()
        self._opened = False
        self._deleted: set[str] = set()

    def now(self) -> int:
        """Milliseconds since 1970."""
        return int(self._clock() * 1000)

    async def read(self, work: Callable[[apsw.Connection], T]) -> T:
        """Read of the database, once what a crash left is swept."""
        await self._open()
        return await self._database.read(work)

    async def write(self, work: Callable[[apsw.Connection], T]) -> T:
        """Write to the database. A caller that is cancelled waits: CancelledError means that it
        is written, any other exception that it is not."""
        return await to_the_end(self._write(work))

    async def drop(self, garbage: Iterable[str]) -> None:
        """Delete files that are garbage; that they are gone is noted by the next write."""
        names = list(garbage)
        await self.blobs.drop(names)
        self._deleted.update(names)

    async def close(self) -> None:
        """End; nothing may be under way."""
        await self.blobs.close()
        await self._database.close()

    async def _write(self, work: Callable[[apsw.Connection], T]) -> T:
        await self._open()
        deleted = tuple(self._deleted)

        def both(db: apsw.Connection) -> T:
            rows.forget_garbage(db, deleted)
            return work(db)

        outcome = await self._database.write(both)
        self._deleted.difference_update(deleted)
        return outcome

    async def _open(self) -> None:
        if self._opened:
            return
        async with self._opening:
            if not self._opened:
                await self._sweep()
                self._opened = True

    async def _sweep(self) -> None:
        """Delete what crashes left, and uploads that nobody completed."""
        oldest = self.now() - UPLOAD_SECONDS * 1000
        stale = "SELECT id FROM uploads WHERE created < ?"

        def begin(db: apsw.Connection) -> list[str]:
            for (upload,) in db.execute(f"{stale} AND state = 0", (oldest,)).fetchall():
                rows.remove_parts(db, str(upload))
            db.execute("DELETE FROM uploads WHERE created < ?", (oldest,))
            return [str(blob) for (blob,) in db.execute("SELECT blob FROM garbage")]

        def any_garbage(db: apsw.Connection) -> bool:
            queries = (db.execute("SELECT 1 FROM garbage"), db.execute(stale, (oldest,)))
            return any(query.fetchone() is not None for query in queries)

        if await self._database.read(any_garbage):
            await self.drop(await self._database.write(begin))
        await self.blobs.sweep(lambda names: self._database.read(lambda db: rows.named(db, names)))
