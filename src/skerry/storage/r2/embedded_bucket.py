"""One bucket of the embedded R2."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import apsw
import msgspec

from skerry.storage.blob_index import to_garbage
from skerry.storage.blobs import Blob, Range
from skerry.storage.failures import StorageBroken
from skerry.storage.r2 import checks, rows
from skerry.storage.r2.base import LIST_KEYS, OBJECT_BYTES, Body, R2Body, R2Bucket
from skerry.storage.r2.errors import (
    BadDigest,
    EntityTooLarge,
    IncompleteBody,
    InvalidArgument,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    PreconditionFailed,
)
from skerry.storage.r2.listing import page
from skerry.storage.r2.store import Store
from skerry.storage.r2.types import (
    Bucket,
    GetOptions,
    HttpMetadata,
    ListOptions,
    PutOptions,
    R2Object,
    R2Objects,
    R2Part,
)

Files = Sequence[tuple[str, int]]
"""Names and sizes of the files that hold an object, end to end."""

_TRIES = 5
"""How often a get looks again because the object was replaced while it looked."""


class EmbeddedBucket(R2Bucket):
    """The objects of one bucket."""

    def __init__(self, store: Store, name: str, *, create: bool) -> None:
        self.name = name
        self._store = store
        self._create = create

    async def head(self, key: str) -> R2Object:
        return (await self._found(checks.key_bytes(key)))[0].object

    @asynccontextmanager
    async def get(self, key: str, options: GetOptions | None = None) -> AsyncGenerator[R2Body]:
        options = options or GetOptions()
        data = checks.key_bytes(key)
        for _ in range(_TRIES):
            found, files = await self._found(data)
            if options.only_if is not None and not checks.holds(options.only_if, found.object):
                raise PreconditionFailed(found.object)
            offset, length = checks.wanted_range(options, found.object.size)
            opened = self._store.blobs.open(_ranges(files, offset, length))
            try:
                pieces = await opened.__aenter__()
            except FileNotFoundError:
                continue
            try:
                yield R2Body(found.object, offset, length, pieces)
            finally:
                await opened.__aexit__(None, None, None)
            return
        raise StorageBroken(f"the bytes of {key[:100]!r} are not in {self._store.blobs.root}")

    async def put(self, key: str, body: Body, options: PutOptions | None = None) -> R2Object:
        options = options or PutOptions()
        data = checks.key_bytes(key)
        _check(options)
        await self._there()
        blob = await self._stored(body, options.size, {"md5", *options.checksums})
        try:
            checks.verify(options.checksums, blob.digests)
        except BadDigest:
            await self._store.blobs.drop([blob.name])
            raise
        hashes = {"md5": blob.digests["md5"]} | options.checksums
        made = R2Object(
            key=key,
            version=os.urandom(16).hex(),
            size=blob.size,
            etag=blob.digests["md5"].hex(),
            uploaded=self._store.now(),
            http=options.http,
            custom=options.custom,
            checksums={name: digest.hex() for name, digest in hashes.items()},
        )

        def work(db: apsw.Connection) -> tuple[R2Object, list[str]]:
            bucket = self._bucket(db)
            if options.only_if is not None:
                there = rows.find(db, self.name, data)
                if not checks.holds(options.only_if, there.object if there else None):
                    raise PreconditionFailed(there.object if there else None)
            garbage = rows.remove(db, self.name, data)
            storage = options.storage_class or bucket.storage_class
            named = msgspec.structs.replace(made, storage_class=storage)
            rows.put(db, self.name, named, blob=blob.name, upload=None)
            return named, garbage

        written, garbage = await self._store.name(blob, work)
        await self._store.drop(garbage)
        return written

    async def delete(self, keys: Sequence[str]) -> None:
        if len(keys) > LIST_KEYS:
            raise InvalidArgument(f"a delete takes at most {LIST_KEYS} keys, not {len(keys)}")
        data = [checks.key_bytes(key) for key in keys]

        def work(db: apsw.Connection) -> list[str]:
            self._bucket(db)
            return [blob for key in data for blob in rows.remove(db, self.name, key)]

        await self._store.drop(await self._store.write(work))

    async def list(self, options: ListOptions | None = None) -> R2Objects:
        wanted = options or ListOptions()

        def work(db: apsw.Connection) -> R2Objects:
            self._look(db)
            return page(db, self.name, wanted)

        return await self._store.read(work)

    async def create_multipart(self, key: str, options: PutOptions | None = None) -> str:
        options = options or PutOptions()
        data = checks.key_bytes(key)
        _check(options)
        upload = os.urandom(32).hex()
        http, custom = msgspec.json.encode(options.http), msgspec.json.encode(options.custom)

        def work(db: apsw.Connection) -> None:
            storage = options.storage_class or self._bucket(db).storage_class
            db.execute(
                "INSERT INTO uploads (id, bucket, key, created, state, storage_class, http, custom)"
                " VALUES (?, ?, ?, ?, 0, ?, ?, ?)",
                (upload, self.name, data, self._store.now(), storage, http, custom),
            )

        await self._store.write(work)
        return upload

    async def upload_part(
        self, key: str, upload: str, number: int, body: Body, size: int | None = None
    ) -> R2Part:
        data = checks.key_bytes(key)
        checks.check_part_number(number)
        await self._store.read(lambda db: self._upload(db, upload, data))
        blob = await self._stored(body, size, {"md5"})
        md5 = blob.digests["md5"]

        def work(db: apsw.Connection) -> list[str]:
            self._upload(db, upload, data)
            query = "DELETE FROM parts WHERE upload = ? AND number = ? RETURNING blob"
            replaced = [each for (each,) in db.execute(query, (upload, number))]
            db.execute(
                "INSERT INTO parts (upload, number, size, md5, blob) VALUES (?, ?, ?, ?, ?)",
                (upload, number, blob.size, md5, blob.name),
            )
            return to_garbage(db, replaced)

        await self._store.drop(await self._store.name(blob, work))
        return R2Part(number, md5.hex())

    async def complete_multipart(self, key: str, upload: str, parts: Sequence[R2Part]) -> R2Object:
        data = checks.key_bytes(key)
        version = os.urandom(16).hex()
        now = self._store.now()

        def work(db: apsw.Connection) -> tuple[R2Object, list[str]]:
            storage, http, custom = self._upload(db, upload, data)
            there = {number: (size, md5) for number, size, md5, _ in rows.parts_of(db, upload)}
            numbers = checks.check_parts(
                parts, {number: (md5.hex(), size) for number, (size, md5) in there.items()}
            )
            whole = hashlib.md5(usedforsecurity=False)
            for number in numbers:
                whole.update(there[number][1])
            made = R2Object(
                key=key,
                version=version,
                size=sum(there[number][0] for number in numbers),
                etag=f"{whole.hexdigest()}-{len(numbers)}",
                uploaded=now,
                http=msgspec.json.decode(http, type=HttpMetadata),
                custom=msgspec.json.decode(custom, type=dict[str, str]),
                storage_class=storage,
            )
            garbage = rows.remove(db, self.name, data)
            garbage += rows.remove_parts(db, upload, keep=numbers)
            rows.put(db, self.name, made, blob=None, upload=upload)
            db.execute("UPDATE uploads SET state = 1 WHERE id = ?", (upload,))
            return made, garbage

        made, garbage = await self._store.write(work)
        await self._store.drop(garbage)
        return made

    async def abort_multipart(self, key: str, upload: str) -> None:
        data = checks.key_bytes(key)

        def work(db: apsw.Connection) -> list[str]:
            query = "SELECT state FROM uploads WHERE id = ? AND bucket = ? AND key = ?"
            row = db.execute(query, (upload, self.name, data)).fetchone()
            if row is None:
                raise NoSuchUpload
            if row[0]:
                return []
            db.execute("UPDATE uploads SET state = 1 WHERE id = ?", (upload,))
            return rows.remove_parts(db, upload)

        await self._store.drop(await self._store.write(work))

    async def _stored(self, body: Body, size: int | None, hashes: set[str]) -> Blob:
        """The bytes in a file, which no row names yet."""
        limit = OBJECT_BYTES if size is None else size
        if limit > OBJECT_BYTES:
            raise EntityTooLarge

        def check(grown: int) -> None:
            if grown > limit:
                raise EntityTooLarge

        blob = await self._store.blobs.store(body, hashes=hashes, check=check)
        if size is not None and blob.size != size:
            await self._store.blobs.drop([blob.name])
            raise IncompleteBody
        return blob

    async def _found(self, key: bytes) -> tuple[rows.Found, Files]:
        """An object and its files (name, size) in order. Raises NoSuchKey."""

        def work(db: apsw.Connection) -> tuple[rows.Found, Files]:
            self._look(db)
            found = rows.find(db, self.name, key)
            if found is None:
                raise NoSuchKey
            if found.upload is not None:
                parts = rows.parts_of(db, found.upload)
                return found, [(blob, size) for _, size, _, blob in parts]
            assert found.blob is not None
            return found, [(found.blob, found.object.size)]

        return await self._store.read(work)

    async def _there(self) -> None:
        """Raises NoSuchBucket before the bytes of an object are taken."""
        if not self._create:
            await self._store.read(self._look)

    def _look(self, db: apsw.Connection) -> None:
        if not self._create and rows.bucket_of(db, self.name) is None:
            raise NoSuchBucket

    def _bucket(self, db: apsw.Connection) -> Bucket:
        """The bucket, for a write. Raises NoSuchBucket."""
        found = rows.bucket_of(db, self.name)
        if found is None:
            if not self._create:
                raise NoSuchBucket
            found = Bucket(name=self.name, created=self._store.now())
            rows.add_bucket(db, found)
        return found

    def _upload(self, db: apsw.Connection, upload: str, key: bytes) -> tuple[str, bytes, bytes]:
        """(storage class, HTTP, custom) of an upload under way. Raises NoSuchUpload."""
        row = db.execute(
            "SELECT storage_class, http, custom FROM uploads"
            " WHERE id = ? AND bucket = ? AND key = ? AND state = 0",
            (upload, self.name, key),
        ).fetchone()
        if row is None:
            raise NoSuchUpload
        return row[0], row[1], row[2]


def _check(options: PutOptions) -> None:
    checks.check_metadata(options.custom)
    checks.check_digests(options.checksums)
    if options.storage_class is not None:
        checks.check_storage_class(options.storage_class)


def _ranges(files: Files, offset: int, length: int) -> list[Range]:
    """The parts of files, laid end to end, that hold `length` bytes from `offset`."""
    out = []
    for name, size in files:
        if length and offset < size:
            out.append(Range(name, offset, min(length, size - offset)))
            length -= out[-1].length
        offset = max(0, offset - size)
    return out
