"""R2 in a folder, for the buckets of one account."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import apsw

from skerry.storage.r2 import rows
from skerry.storage.r2.base import R2
from skerry.storage.r2.checks import check_bucket, check_storage_class
from skerry.storage.r2.embedded_bucket import EmbeddedBucket
from skerry.storage.r2.errors import BucketConflict, BucketNotEmpty, NoSuchBucket
from skerry.storage.r2.store import Store
from skerry.storage.r2.types import Bucket


class EmbeddedR2(R2):
    """The buckets under `root`. Any number of processes may have it open."""

    def __init__(self, root: Path, clock: Callable[[], float] = time.time) -> None:
        self._store = Store(root, clock)

    async def create(
        self, name: str, storage_class: str = "Standard", location: str = "default"
    ) -> Bucket:
        check_bucket(name)
        check_storage_class(storage_class)
        made = Bucket(
            name=name, created=self._store.now(), storage_class=storage_class, location=location
        )

        def add(db: apsw.Connection) -> None:
            if rows.bucket_of(db, name) is not None:
                raise BucketConflict
            rows.add_bucket(db, made)

        await self._store.write(add)
        return made

    async def info(self, name: str) -> Bucket:
        check_bucket(name)
        found = await self._store.read(lambda db: rows.bucket_of(db, name))
        if found is None:
            raise NoSuchBucket
        return found

    async def set_storage_class(self, name: str, storage_class: str) -> Bucket:
        check_bucket(name)
        check_storage_class(storage_class)

        def change(db: apsw.Connection) -> Bucket:
            db.execute("UPDATE buckets SET storage_class = ? WHERE name = ?", (storage_class, name))
            found = rows.bucket_of(db, name)
            if found is None:
                raise NoSuchBucket
            return found

        return await self._store.write(change)

    async def buckets(self) -> Sequence[Bucket]:
        def everyone(db: apsw.Connection) -> list[Bucket]:
            names = [name for (name,) in db.execute("SELECT name FROM buckets ORDER BY name")]
            return [each for name in names if (each := rows.bucket_of(db, name)) is not None]

        return await self._store.read(everyone)

    async def delete(self, name: str) -> None:
        check_bucket(name)

        def work(db: apsw.Connection) -> list[str]:
            if rows.bucket_of(db, name) is None:
                raise NoSuchBucket
            query = "SELECT 1 FROM objects WHERE bucket = ? LIMIT 1"
            if db.execute(query, (name,)).fetchone() is not None:
                raise BucketNotEmpty
            uploads = db.execute("SELECT id FROM uploads WHERE bucket = ?", (name,)).fetchall()
            garbage = [blob for (each,) in uploads for blob in rows.remove_parts(db, str(each))]
            db.execute("DELETE FROM uploads WHERE bucket = ?", (name,))
            db.execute("DELETE FROM buckets WHERE name = ?", (name,))
            return garbage

        await self._store.drop(await self._store.write(work))

    def bucket(self, name: str, *, create: bool = False) -> EmbeddedBucket:
        return EmbeddedBucket(self._store, check_bucket(name), create=create)

    async def close(self) -> None:
        await self._store.close()
