"""The Cache API in a folder: bodies in files, the rest in one SQLite file; bounded by size."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import apsw
import msgspec

from skerry.storage.blob_index import BlobIndex
from skerry.storage.blobs import Range
from skerry.storage.cache import rows
from skerry.storage.cache.answer import answer
from skerry.storage.cache.base import (
    DEFAULT_BYTES,
    OBJECT_BYTES,
    URL_BYTES,
    Cache,
    Caches,
    Head,
    Hit,
    RequestHeaders,
    Uncacheable,
)
from skerry.storage.cache.rules import keep

_USED = 10_000
"""Uses that are noted at most before the next put tells them to the file."""


class CacheStore:
    """The caches of an account, which share one bound. Any number of processes may have it open.

    A cache may forget: nothing is synced but the index, and a put that a power loss cuts off is
    as if it had not been. When a response was last used is told to the file with the next put.
    """

    def __init__(
        self, root: Path, *, size: int = DEFAULT_BYTES, clock: Callable[[], float] = time.time
    ) -> None:
        self.index = BlobIndex(root, "cache", rows.SCHEMA, ("entries",), durable=False)
        self.size = size
        self.now = clock
        self._used: dict[str, float] = {}

    def caches(self, worker: str = "") -> Caches:
        """The caches of one worker; another worker does not see them."""
        return EmbeddedCaches(self, worker)

    def use(self, blob: str) -> None:
        """Note a use."""
        if len(self._used) < _USED:
            self._used[blob] = self.now()

    def take_uses(self) -> list[tuple[str, float]]:
        """The uses since the last call."""
        used, self._used = self._used, {}
        return list(used.items())

    async def close(self) -> None:
        """End; nothing may be under way."""
        await self.index.close()


class EmbeddedCaches(Caches):
    """The caches of one worker."""

    def __init__(self, store: CacheStore, worker: str) -> None:
        self._store = store
        self._worker = worker

    def open(self, name: str = "") -> Cache:
        return EmbeddedCache(self._store, msgspec.json.encode([self._worker, name]).decode())


class EmbeddedCache(Cache):
    """One cache; `name` says whose, too."""

    def __init__(self, store: CacheStore, name: str) -> None:
        self._store = store
        self._name = name

    async def put(
        self, url: str, request: RequestHeaders, head: Head, body: bytes | AsyncIterable[bytes]
    ) -> None:
        store = self._store
        now = store.now()
        kept = keep(request, head, now)
        if len(url.encode()) > URL_BYTES:
            raise Uncacheable(f"the URL is longer than {URL_BYTES} bytes")
        most = min(OBJECT_BYTES, store.size)
        announced = _announced(head)

        def check(size: int) -> None:
            if size > most:
                raise Uncacheable(f"the response is larger than {most} bytes")

        check(announced or 0)
        blob = await store.index.blobs.store(body, check=check)
        if announced is not None and blob.size != announced:
            await store.index.drop([blob.name])
            raise Uncacheable(f"the response has {blob.size} bytes, and said {announced}")
        entry = rows.Entry(
            variant=[(name, request.get(name)) for name in kept.vary],
            head=kept.head,
            size=blob.size,
            blob=blob.name,
            stored=now,
            age=kept.age,
            expires=now + kept.seconds,
        )
        uses = store.take_uses()

        def work(db: apsw.Connection) -> list[str]:
            rows.use(db, uses)
            garbage = rows.put(db, self._name, url, entry, request)
            return garbage + rows.shrink(db, store.size, now)

        await store.index.drop(await store.index.name(blob, work))

    @asynccontextmanager
    async def match(self, url: str, request: RequestHeaders) -> AsyncGenerator[Hit | None]:
        store = self._store
        now = store.now()
        found = await store.index.read(lambda db: rows.variants(db, self._name, url))
        async with contextlib.AsyncExitStack() as stack:
            for entry in found:
                if entry.expires <= now or not rows.fits(entry, request):
                    continue
                given = answer(request, entry.head, entry.size)
                part = Range(entry.blob, given.offset, given.length)
                try:
                    pieces = await stack.enter_async_context(store.index.blobs.open([part]))
                except FileNotFoundError:
                    continue  # replaced or evicted meanwhile
                store.use(entry.blob)
                age = ("Age", str(int(now - entry.stored) + entry.age))
                head = Head(given.head.status, given.head.reason, [*given.head.headers, age])
                yield Hit(head, given.length, pieces)
                return
            yield None

    async def delete(self, url: str) -> bool:
        store = self._store
        now = store.now()

        def work(db: apsw.Connection) -> tuple[bool, list[str]]:
            fresh = any(entry.expires > now for entry in rows.variants(db, self._name, url))
            return fresh, rows.delete(db, self._name, url)

        fresh, garbage = await store.index.write(work)
        await store.index.drop(garbage)
        return fresh


def _announced(head: Head) -> int | None:
    """Content-Length. Raises Uncacheable for what is none."""
    text = head.get("content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Uncacheable("Content-Length is not a number")
    return int(text)
