"""The stores of a node: opened when first asked for, closed together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import apsw

from skerry.errors import StorageError
from skerry.storage.analytics.base import AnalyticsDataset
from skerry.storage.analytics.embedded import SCHEMA as ANALYTICS_SCHEMA
from skerry.storage.analytics.embedded import EmbeddedDataset
from skerry.storage.cache.base import DEFAULT_BYTES, Cache, Caches
from skerry.storage.cache.embedded import CacheStore
from skerry.storage.d1.base import D1Database, D1Databases
from skerry.storage.d1.counter import Moves, open_moves
from skerry.storage.d1.embedded import SCHEMA as D1_SCHEMA
from skerry.storage.d1.embedded import Connections, EmbeddedD1
from skerry.storage.d1.registry import SCHEMA as D1_REGISTRY
from skerry.storage.d1.registry import EmbeddedDatabases
from skerry.storage.kv.base import KvNamespace, KvNamespaces
from skerry.storage.kv.embedded import SCHEMA as KV_SCHEMA
from skerry.storage.kv.embedded import EmbeddedNamespace, EmbeddedNamespaces
from skerry.storage.kv.underway import Underway
from skerry.storage.queues.base import Queue
from skerry.storage.queues.embedded_registry import EmbeddedQueues
from skerry.storage.queues.registry import QueueRegistry
from skerry.storage.queues.schema import SCHEMA as QUEUES_SCHEMA
from skerry.storage.r2.base import R2, R2Bucket
from skerry.storage.r2.embedded import EmbeddedR2
from skerry.storage.ratelimit.base import RateLimits
from skerry.storage.ratelimit.embedded import EmbeddedRateLimits
from skerry.storage.slots import SCHEMA as SLOTS_SCHEMA
from skerry.storage.slots import Slots
from skerry.storage.sqlite import Database
from skerry.storage.vectorize.base import VectorIndexes
from skerry.storage.vectorize.embedded_registry import EmbeddedIndexes

Clock = Callable[[], float]
"""Unix time in seconds."""

SWEEP_EVERY = 60.0
"""Seconds between two sweeps of what has expired."""

log = logging.getLogger("skerry.storage")

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")


def folder_name(name: str) -> str:
    """A name from outside as one part of a path: `name` itself where it is harmless.

    Raises StorageError for what could lead elsewhere.
    """
    if _NAME.fullmatch(name) is None:
        raise StorageError(
            f"{name[:100]!r} cannot name a store: use letters, digits, '-', '_' and '.'"
        )
    return name


class Stores:
    """Hands out stores by account and name: `<data_dir>/accounts/<account>/<kind>/…`.

    Holds nothing of record: another process may have the same folder open.
    """

    def __init__(
        self, data_dir: Path, *, clock: Clock = time.time, cache_bytes: int = DEFAULT_BYTES
    ) -> None:
        """cache_bytes: what the Cache API may hold for an account."""
        self._accounts = data_dir / "accounts"
        self.clock = clock
        self._databases: dict[Path, Database] = {}
        self._kv_underway: dict[str, Underway] = {}
        self._d1_connections: dict[Path, Connections] = {}
        self._d1_moves: Moves | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._r2: dict[str, EmbeddedR2] = {}
        self._queues: dict[str, EmbeddedQueues] = {}
        self._indexes: dict[str, EmbeddedIndexes] = {}
        self._limits: dict[str, EmbeddedRateLimits] = {}
        self._cache_bytes = cache_bytes
        self._caches: dict[str, CacheStore] = {}

    def start(self) -> None:
        """Sweep what has expired from now and then, until `close`."""
        if self._sweeper is None:
            self._sweeper = asyncio.ensure_future(self._sweep_forever())

    async def sweep(self) -> int:
        """Delete expired KV entries and queue messages of every account; answers how many."""
        total = 0
        for account in await self._accounts_with("kv/kv.sqlite"):
            namespaces = EmbeddedNamespaces(self._kv(account))
            while count := await namespaces.sweep(self.clock()):
                total += count
        for account in await self._accounts_with("queues/queues.sqlite"):
            while count := await self._queues_of(account).sweep():
                total += count
        return total

    async def _accounts_with(self, file: str) -> list[str]:
        found = await asyncio.to_thread(lambda: list(self._accounts.glob(f"*/{file}")))
        return [path.parent.parent.name for path in found]

    async def _sweep_forever(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            try:
                await self.sweep()
            except StorageError as error:
                log.warning("what has expired stays for now: %s", error)

    def folder(self, account: str, kind: str) -> Path:
        """Where the stores of one kind of an account are; it may not exist yet."""
        return self._accounts / folder_name(account) / kind

    def database(
        self,
        path: Path,
        schema: Sequence[str],
        *,
        readers: int = 2,
        setup: Callable[[apsw.Connection], None] | None = None,
    ) -> Database:
        """The one Database of this file in this process; `close` closes it."""
        known = self._databases.get(path)
        if known is None:
            known = Database(path, schema, readers=readers, setup=setup)
            self._databases[path] = known
        return known

    def kv(self, account: str, namespace: str) -> KvNamespace:
        """A KV namespace; it is made by its first put."""
        underway = self._kv_underway.setdefault(account, Underway())
        return EmbeddedNamespace(self._kv(account), namespace, self.clock, underway)

    def kv_namespaces(self, account: str) -> KvNamespaces:
        """The KV namespaces of an account."""
        return EmbeddedNamespaces(self._kv(account))

    def _kv(self, account: str) -> Database:
        return self.database(self.folder(account, "kv") / "kv.sqlite", KV_SCHEMA)

    def d1(self, account: str, database: str, name: str = "") -> D1Database:
        """A D1 database; it is made, under `name` where that is free, when it is first used."""
        path = self._d1(account, database)
        known = self._d1_databases(account)
        connections = self._d1_connections

        async def opened() -> tuple[Database, Connections]:
            if path not in self._databases:
                await known.ensure(database, name)
            if path not in self._databases:
                if self._d1_moves is None:
                    self._d1_moves = open_moves()
                connections[path] = Connections(self._d1_moves)
                self.database(path, D1_SCHEMA, setup=connections[path].setup)
            return self._databases[path], connections[path]

        return EmbeddedD1(database, opened)

    def d1_databases(self, account: str) -> D1Databases:
        """The D1 databases of an account."""
        return self._d1_databases(account)

    def _d1_databases(self, account: str) -> EmbeddedDatabases:
        path = self.folder(account, "d1") / "databases.sqlite"

        async def erase(database: str) -> None:
            file = self._d1(account, database)
            await self.forget(file)
            for end in ("", "-wal", "-shm"):
                await asyncio.to_thread(file.with_name(file.name + end).unlink, missing_ok=True)

        return EmbeddedDatabases(self.database(path, D1_REGISTRY), self.clock, erase)

    def _d1(self, account: str, database: str) -> Path:
        return self.folder(account, "d1") / "files" / f"{folder_name(database)}.sqlite"

    def r2(self, account: str, bucket: str) -> R2Bucket:
        """An R2 bucket; it is made by its first write. Raises InvalidBucketName."""
        return self.r2_buckets(account).bucket(bucket, create=True)

    def r2_buckets(self, account: str) -> R2:
        """The R2 buckets of an account."""
        if account not in self._r2:
            self._r2[account] = EmbeddedR2(self.folder(account, "r2"), self.clock)
        return self._r2[account]

    def caches(self, account: str, worker: str = "") -> Caches:
        """The Cache API of one worker of an account."""
        if account not in self._caches:
            self._caches[account] = CacheStore(
                self.folder(account, "cache"), size=self._cache_bytes, clock=self.clock
            )
        return self._caches[account].caches(worker)

    def cache(self, account: str, name: str = "", *, worker: str = "") -> Cache:
        """One cache of a worker; "" is `caches.default`."""
        return self.caches(account, worker).open(name)

    def queue(self, account: str, name: str) -> Queue:
        """A queue; it is made by its first message. Raises QueueNameInvalid."""
        return self.queues(account).queue(name)

    def queues(self, account: str) -> QueueRegistry:
        """The queues of an account."""
        return self._queues_of(account)

    def _queues_of(self, account: str) -> EmbeddedQueues:
        if account not in self._queues:
            path = self.folder(account, "queues") / "queues.sqlite"
            database = self.database(path, QUEUES_SCHEMA)
            self._queues[account] = EmbeddedQueues(database, self.clock)
        return self._queues[account]

    def vectorize(self, account: str) -> VectorIndexes:
        """The Vectorize indexes of an account; `await …open(name)` is one of them."""
        if account not in self._indexes:
            folder = self.folder(account, "vectorize")
            self._indexes[account] = EmbeddedIndexes(folder, self, self.clock)
        return self._indexes[account]

    def analytics(self, account: str, dataset: str) -> AnalyticsDataset:
        """An Analytics Engine dataset; it is made by its first point. Raises AnalyticsError."""
        path = self.folder(account, "analytics") / "points.sqlite"
        return EmbeddedDataset(dataset, self.database(path, ANALYTICS_SCHEMA))

    def rate_limits(self, account: str) -> RateLimits:
        """The rate limits of an account, counted by this process."""
        return self._limits.setdefault(account, EmbeddedRateLimits())

    def slots(self, account: str) -> Slots:
        """Who fires which cron trigger of an account, and when."""
        path = self.folder(account, "cron") / "slots.sqlite"
        return Slots(self.database(path, SLOTS_SCHEMA))

    async def forget(self, path: Path) -> None:
        """Close the Database of this file, before the file is deleted."""
        known = self._databases.pop(path, None)
        self._d1_connections.pop(path, None)
        if known is not None:
            await known.close()

    async def close(self) -> None:
        """Do what waits, and close every file."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeper
            self._sweeper = None
        while self._r2:
            await self._r2.popitem()[1].close()
        while self._caches:
            await self._caches.popitem()[1].close()
        for path in list(self._databases):
            await self.forget(path)
