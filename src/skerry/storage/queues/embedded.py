"""A queue in SQLite. Any number of processes may send to it and lease from it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import apsw

from skerry.storage.queues import rows
from skerry.storage.queues.base import (
    MAX_BACKLOG,
    BacklogFull,
    ConsumerSettings,
    Lease,
    Outgoing,
    Queue,
    QueueMessage,
    QueueMetrics,
    Settled,
)
from skerry.storage.queues.bell import Bells
from skerry.storage.queues.check import check_delay, check_messages, check_name
from skerry.storage.sqlite import Database

log = logging.getLogger("skerry.queues")


class EmbeddedQueue(Queue):
    """A queue of the file of its account."""

    def __init__(
        self,
        name: str,
        database: Database,
        bells: Bells,
        clock: Callable[[], float],
        max_backlog: int = MAX_BACKLOG,
    ) -> None:
        """clock: Unix seconds. Raises QueueNameInvalid."""
        self.name = check_name(name)
        self._database = database
        self._bells = bells
        self._clock = clock
        self._max_backlog = max_backlog

    def _now(self) -> int:
        return int(self._clock() * 1000)

    async def send(self, messages: Sequence[Outgoing], *, delay: int | None = None) -> QueueMetrics:
        total = check_messages(messages)
        check_delay(delay)
        now = self._now()

        def work(connection: apsw.Connection) -> QueueMetrics:
            queue = rows.made(connection, self.name, now)
            if queue.backlog_bytes + total > self._max_backlog:
                raise BacklogFull(self.name)
            rows.insert(connection, queue, messages, now, delay)
            return rows.metrics(connection, self.name)

        metrics = await self._database.write(work)
        self._bells.ring(self.name)
        return metrics

    async def metrics(self) -> QueueMetrics:
        return await self._database.read(lambda connection: rows.metrics(connection, self.name))

    async def ready(self, most: int) -> tuple[int, float | None]:
        now = self._now()
        count, first = await self._database.read(
            lambda connection: rows.ready(connection, self.name, most, now)
        )
        return count, None if first is None else first / 1000

    async def lease(
        self, consumer: ConsumerSettings, *, most: int, seconds: float
    ) -> list[QueueMessage]:
        now = self._now()
        until = now + int(seconds * 1000)
        taken = await self._database.write(
            lambda connection: rows.lease(connection, self.name, consumer, most, now, until)
        )
        self._tell(taken, consumer)
        return taken.messages

    async def settle(
        self, consumer: ConsumerSettings, acks: Sequence[str], retries: Sequence[Lease]
    ) -> Settled:
        for each in retries:
            check_delay(each.delay)
        now = self._now()
        taken = await self._database.write(
            lambda connection: rows.settle(connection, self.name, consumer, acks, retries, now)
        )
        self._tell(taken, consumer)
        if retries:
            self._bells.ring(self.name)
        return taken.settled

    def _tell(self, taken: rows.Taken, consumer: ConsumerSettings) -> None:
        tell_expired(self.name, taken.expired)
        if not taken.given_up:
            return
        tries = consumer.max_retries + 1
        if consumer.dead_letter_queue:
            self._bells.ring(consumer.dead_letter_queue)
            log.info(
                "queue %s: %d messages failed %d times and are in %s now",
                self.name,
                len(taken.given_up),
                tries,
                consumer.dead_letter_queue,
            )
            return
        log.warning(
            "queue %s: %d messages failed %d times and are dropped, for the consumer has no"
            " dead_letter_queue: %s",
            self.name,
            len(taken.given_up),
            tries,
            ", ".join(taken.given_up),
        )

    async def extend(self, lease_ids: Sequence[str], seconds: float) -> None:
        until = self._now() + int(seconds * 1000)
        await self._database.write(lambda connection: rows.extend(connection, lease_ids, until))

    async def release(self, lease_ids: Sequence[str]) -> None:
        now = self._now()
        await self._database.write(lambda connection: rows.release(connection, lease_ids, now))
        self._bells.ring(self.name)

    async def peek(self, most: int) -> list[QueueMessage]:
        now = self._now()
        return await self._database.read(
            lambda connection: rows.peek(connection, self.name, most, now)
        )

    async def remove(self, ids: Sequence[str]) -> list[str]:
        def work(connection: apsw.Connection) -> list[str]:
            queue = rows.find(connection, self.name)
            missing = []
            for each in ids:
                connection.execute(
                    "DELETE FROM messages WHERE id = ? AND queue = ?",
                    (each, -1 if queue is None else queue.key),
                )
                if not connection.changes():
                    missing.append(each)
            return missing

        return await self._database.write(work)

    async def purge(self) -> int:
        now = self._now()

        def work(connection: apsw.Connection) -> int:
            queue = rows.find(connection, self.name)
            if queue is None:
                return 0
            connection.execute("UPDATE queues SET purged_ms = ? WHERE key = ?", (now, queue.key))
            connection.execute("DELETE FROM messages WHERE queue = ?", (queue.key,))
            return connection.changes()

        return await self._database.write(work)

    async def wait(self, seconds: float) -> None:
        await self._bells.wait(self.name, seconds)


def tell_expired(name: str, count: int) -> None:
    """A loss is told, even one that was configured."""
    if count:
        log.warning(
            "queue %s: %d messages were kept for its whole retention and are deleted", name, count
        )
