"""One SQLite file: group commit on one writer thread, reads beside it.

Each write is its own SAVEPOINT within a transaction that all writes share which were waiting when
it began; one COMMIT with synchronous=FULL makes them durable together, and only then are their
callers told. So a hundred concurrent writes cost one fsync, and one that fails costs the others
nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import apsw

from skerry.errors import StorageError
from skerry.storage.failures import StorageBusy, StorageClosed, translated
from skerry.storage.folders import make_folders
from skerry.storage.work import Work, settle

T = TypeVar("T")

Task = Callable[[apsw.Connection], T]

BATCH = 512
"""Writes that share one transaction at most."""
LONGEST = 0.05
"""Seconds after which a transaction takes up no more writes: those done want to be told."""
WAITING = 4096
"""Writes that may wait; further callers wait for a place."""
_LOOK = 20
"""Milliseconds between two looks at a file whose form another process may be changing."""
WAIT = 30.0
"""Seconds that a write waits for a place in the queue, or for another process's transaction."""


class Database:
    """One SQLite file in WAL mode.

    Any number of processes may have it open. Nothing is opened before the first call.
    `setup` is called with each connection that is opened.
    """

    def __init__(
        self,
        path: Path,
        schema: Sequence[str],
        *,
        readers: int = 2,
        wait: float = WAIT,
        setup: Callable[[apsw.Connection], None] | None = None,
    ) -> None:
        """schema: scripts; the n-th brings a file of user_version n to n + 1."""
        self.path = path
        self._schema = tuple(schema)
        self._wait = wait
        self._setup = setup
        self._places = asyncio.Semaphore(WAITING)
        self._closed = False
        self._writes: SimpleQueue[Work | None] = SimpleQueue()
        self._reads: SimpleQueue[Work | None] = SimpleQueue()
        self._writer = threading.Thread(target=self._write_loop, name=f"{path.name} w", daemon=True)
        self._readers = [
            threading.Thread(target=self._read_loop, name=f"{path.name} r{number}", daemon=True)
            for number in range(readers)
        ]

    async def write(self, work: Task[T]) -> T:
        """`work(connection)` in the writer thread; returns once its changes are on the disk.

        An exception undoes the changes of this work alone and is raised here. The work must bear
        being run again: when the disk fills up under another, all that shared its transaction are.
        Raises StorageFull, StorageBusy, StorageBroken, StorageClosed.
        """
        self._check()
        if self._places.locked():
            await self._place()
        else:
            await self._places.acquire()
        try:
            self._check()
            if not self._writer.is_alive():
                self._writer.start()
            return await self._ask(self._writes, work)
        finally:
            self._places.release()

    async def read(self, work: Task[T]) -> T:
        """`work(connection)` in a reader thread, on one state of the file; it cannot write.

        Raises StorageBusy, StorageBroken, StorageClosed.
        """
        self._check()
        if not self._readers[-1].is_alive():
            for thread in self._readers:
                thread.start()
        return await self._ask(self._reads, work)

    async def close(self) -> None:
        """Do what waits, then end the threads and close the file."""
        if self._closed:
            return
        self._closed = True
        self._writes.put(None)
        for _ in self._readers:
            self._reads.put(None)
        for thread in (self._writer, *self._readers):
            if thread.is_alive():
                await asyncio.to_thread(thread.join)

    def _check(self) -> None:
        if self._closed:
            raise StorageClosed(f"{self.path.name} was closed")

    async def _place(self) -> None:
        try:
            async with asyncio.timeout(self._wait):
                await self._places.acquire()
        except TimeoutError as error:
            raise StorageBusy(f"{WAITING} writes are waiting; try again") from error

    async def _ask(self, queue: SimpleQueue[Work | None], work: Task[T]) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        queue.put(Work(work, loop, future))
        answer: T = await future
        return answer

    # What follows runs in the threads.

    def _opened(self, *, reader: bool) -> apsw.Connection:
        """Open; while another process brings the file into WAL mode, SQLite says busy at once."""
        deadline = time.monotonic() + self._wait
        while True:
            try:
                return self._open(reader=reader)
            except apsw.BusyError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def _open(self, *, reader: bool) -> apsw.Connection:
        make_folders(self.path.parent, durable=True)
        connection = apsw.Connection(str(self.path))
        try:
            connection.set_busy_timeout(int(self._wait * 1000))
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "journal_size_limit=67108864"):
                connection.execute(f"PRAGMA {pragma}").fetchall()
            self._migrate(connection)
            if reader:
                connection.execute("PRAGMA query_only=ON")
            if self._setup is not None:
                self._setup(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate(self, connection: apsw.Connection) -> None:
        """Bring the file to the form that `schema` ends with, unless it is there already.

        Whoever is first does it. The others look again from time to time instead of waiting for
        the lock: it may long be held for something else.
        """
        wanted = len(self._schema)
        deadline = time.monotonic() + self._wait
        connection.set_busy_timeout(_LOOK)
        while wanted and _version(connection) != wanted:
            try:
                with _transaction(connection):
                    self._change(connection, wanted)
            except apsw.BusyError:
                if time.monotonic() > deadline:
                    raise
        connection.set_busy_timeout(int(self._wait * 1000))

    def _change(self, connection: apsw.Connection, wanted: int) -> None:
        found = _version(connection)
        if found > wanted:
            raise StorageError(
                f"{self.path} was written by a newer version of Skerry"
                f" (form {found}, this one knows {wanted})",
                status=500,
            )
        for script in self._schema[found:]:
            connection.execute(script).fetchall()
        connection.execute(f"PRAGMA user_version={wanted}")

    def _write_loop(self) -> None:
        connection: apsw.Connection | None = None
        queue = self._writes
        ended = False
        while not ended:
            batch: list[Work] = []
            first = queue.get()
            while first is not None:
                batch.append(first)
                if len(batch) == BATCH or queue.empty():
                    break
                first = queue.get()
            ended = first is None
            batch = [each for each in batch if not each.future.cancelled()]
            while batch:
                done = batch
                try:
                    connection = connection or self._opened(reader=False)
                    done = batch[: self._commit(connection, batch)]
                except Exception as error:
                    for each in batch:
                        each.fail(translated(error, self.path))
                settle(done)
                batch = batch[len(done) :]
        if connection is not None:
            connection.close()

    def _commit(self, connection: apsw.Connection, batch: list[Work]) -> int:
        """Do the first of a batch, mostly all, in one transaction; how many are done.

        An exception here means that none of it is.
        """
        left = batch
        while True:
            with _transaction(connection):
                count = self._all(connection, left)
                if count is not None:
                    # Those that failed before are done as well; they stand before the others.
                    return len(batch) - len(left) + count
                # The disk filled up under one, and with it the transaction went. Do the others
                # again: each that fails so is out, hence this ends.
                left = [each for each in left if each.error is None]
                batch.sort(key=lambda each: each.error is None)

    def _all(self, connection: apsw.Connection, batch: list[Work]) -> int | None:
        """Each in its savepoint, until the others have waited long enough for their commit.

        How many; None where the whole transaction was rolled back.
        """
        until = time.monotonic() + LONGEST
        for number, each in enumerate(batch, 1):
            connection.execute("SAVEPOINT w", can_cache=False)
            try:
                each.result = each.task(connection)
            except Exception as error:
                each.fail(translated(error, self.path))
                if not connection.in_transaction:
                    return None
                connection.execute("ROLLBACK TO w", can_cache=False)
            connection.execute("RELEASE w", can_cache=False)
            if time.monotonic() > until:
                return number
        return len(batch)

    def _read_loop(self) -> None:
        connection: apsw.Connection | None = None
        while (work := self._reads.get()) is not None:
            if work.future.cancelled():
                continue
            try:
                connection = connection or self._opened(reader=True)
                connection.execute("BEGIN", can_cache=False)
                try:
                    work.result = work.task(connection)
                finally:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK", can_cache=False)
            except Exception as error:
                work.fail(translated(error, self.path))
            settle([work])
        if connection is not None:
            connection.close()


def _version(connection: apsw.Connection) -> int:
    found: int = connection.pragma("user_version")
    return found


@contextlib.contextmanager
def _transaction(connection: apsw.Connection) -> Iterator[None]:
    # Not cached: a user's statement of the same text must come before the authorizer (D1).
    connection.execute("BEGIN IMMEDIATE", can_cache=False)
    try:
        yield
        if connection.in_transaction:
            connection.execute("COMMIT", can_cache=False)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK", can_cache=False)
