"""Delivers a queue's messages to a worker, in batches, until they are acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

from skerry.errors import SkerryError, StorageError
from skerry.storage.queues.base import (
    MAX_DELAY,
    ConsumerSettings,
    InvalidSetting,
    Lease,
    Queue,
    QueueBatch,
    QueueMessage,
    QueueResult,
)
from skerry.storage.queues.check import check_consumer

log = logging.getLogger("skerry.queues")

Deliver = Callable[[QueueBatch], Awaitable[QueueResult]]
"""Hands a batch to a worker's `queue` handler; an exception means that it could not answer."""

CONCURRENCY = 4
"""Deliveries at a time where the consumer does not say."""
LEASE = 30.0
"""Seconds of a lease; it is renewed while the worker runs, so a node that dies costs this much."""
DEADLINE = 900.0
"""Seconds that a handler may take: Cloudflare's 15 minutes."""
POLL = 0.5
"""Seconds after which another process's messages are noticed."""
PAUSE = 30.0
"""Seconds of the longest pause while deliveries or the store fail."""


class QueueConsumer:
    """One worker's hold on one queue.

    A batch is delivered when it is full, or when its first message has waited `max_wait_ms`.
    What the handler does not acknowledge is retried, after `max_retries` given up.
    """

    def __init__(
        self,
        queue: Queue,
        settings: ConsumerSettings,
        deliver: Deliver,
        *,
        clock: Callable[[], float] = time.time,
        lease: float = LEASE,
        deadline: float = DEADLINE,
        poll: float = POLL,
    ) -> None:
        """clock: Unix seconds, the same as the queue's. Raises InvalidSetting."""
        check_consumer(settings)
        if settings.dead_letter_queue == queue.name:
            raise InvalidSetting(f"dead_letter_queue: {queue.name} cannot be its own")
        self._queue = queue
        self._settings = settings
        self._deliver = deliver
        self._clock = clock
        self._lease = lease
        self._deadline = deadline
        self._poll = poll
        self._slots = asyncio.Semaphore(settings.max_concurrency or CONCURRENCY)
        self._taking: asyncio.Task[None] | None = None
        self._deliveries: set[asyncio.Task[None]] = set()
        self._failures = 0

    def start(self) -> None:
        """Begin to take messages."""
        if self._taking is None:
            self._taking = asyncio.create_task(self._take(), name=f"queue {self._queue.name}")

    async def close(self, grace: float = 10.0) -> None:
        """Take no more; let deliveries end within `grace` seconds, give the others back."""
        if self._taking is not None:
            self._taking.cancel()
            await asyncio.wait([self._taking])
            self._taking = None
        if self._deliveries:
            await asyncio.wait(self._deliveries, timeout=grace)
        left = list(self._deliveries)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)

    async def _take(self) -> None:
        while True:
            await self._slots.acquire()
            try:
                await self._rest()
                messages = await self._next()
            except StorageError as error:
                self._slots.release()
                self._failures += 1
                log.warning("queue %s: cannot take messages: %s", self._queue.name, error)
                continue
            except BaseException:
                self._slots.release()
                raise
            task = asyncio.create_task(self._handle(messages))
            self._deliveries.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._deliveries.discard(task)
        self._slots.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("queue %s: a delivery failed", self._queue.name, exc_info=error)

    async def _rest(self) -> None:
        """After failures, longer each time."""
        if self._failures:
            await asyncio.sleep(min(PAUSE, 0.125 * 2 ** min(self._failures, 10)))

    async def _next(self) -> list[QueueMessage]:
        """The next batch, leased."""
        size, patience = self._settings.max_batch_size, self._settings.max_wait_ms / 1000
        while True:
            count, first = await self._queue.ready(size)
            now, due = self._clock(), None
            if first is not None:
                due = first if count >= size or not count else first + patience
                if count and due <= now and (messages := await self._leased(size)):
                    return messages
            pause = self._poll if due is None else min(self._poll, max(due - now, 0.005))
            await self._queue.wait(pause)

    async def _leased(self, size: int) -> list[QueueMessage]:
        """A lease that is given back where we are cancelled in the midst of it."""
        asking = asyncio.ensure_future(
            self._queue.lease(self._settings, most=size, seconds=self._lease)
        )
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            await self._queue.release([each.lease_id for each in await asking])
            raise

    async def _handle(self, messages: list[QueueMessage]) -> None:
        keeping = asyncio.create_task(self._keep([each.lease_id for each in messages]))
        try:
            result = await self._delivered(messages)
            acks, retries = resolve(messages, result)
            # Not to be cut off: an acknowledgement that was made must count.
            await asyncio.shield(self._queue.settle(self._settings, acks, retries))
        except asyncio.CancelledError:
            await self._queue.release([each.lease_id for each in messages])
            raise
        except StorageError as error:
            self._failures += 1
            log.warning(
                "queue %s: the answer to %d messages could not be kept, they come again: %s",
                self._queue.name,
                len(messages),
                error,
            )
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])

    async def _delivered(self, messages: list[QueueMessage]) -> QueueResult:
        """What the worker made of it; a worker that could not answer made an exception."""
        name = self._queue.name
        try:
            metrics = await self._queue.metrics()
            batch = QueueBatch(queue=name, messages=messages, metrics=metrics)
            async with asyncio.timeout(self._deadline):
                result = await self._deliver(batch)
        except TimeoutError:
            log.warning("queue %s: the handler ran for more than %g s", name, self._deadline)
            result = QueueResult(outcome="exceededWallTime")
        except SkerryError as error:
            log.warning("queue %s: the worker could not answer: %s", name, error)
            result = QueueResult(outcome="exception")
        except Exception:  # the boundary: whatever a host raises, the messages are retried
            log.exception("queue %s: the delivery failed", name)
            result = QueueResult(outcome="exception")
        else:
            self._failures = 0
            return result
        self._failures += 1
        return result

    async def _keep(self, lease_ids: list[str]) -> None:
        """Renew the leases while the worker runs."""
        while True:
            await asyncio.sleep(self._lease / 3)
            with contextlib.suppress(StorageError):  # the next beat comes before the lease ends
                await self._queue.extend(lease_ids, self._lease)


def resolve(messages: list[QueueMessage], result: QueueResult) -> tuple[list[str], list[Lease]]:
    """Lease ids to acknowledge, and leases to retry.

    A message's own answer counts before the batch's. What has none is acknowledged if the handler
    ended well, else retried.
    """
    acked = set(result.acks)
    delays = {each.id: each.delay for each in result.retries}
    failed = result.outcome != "ok"
    acks: list[str] = []
    retries: list[Lease] = []
    for each in messages:
        if each.id in delays:
            own = delays[each.id]
            delay = result.retry_delay if own is None else own
        elif each.id in acked or result.ack_all or not (failed or result.retry_all):
            acks.append(each.lease_id)
            continue
        else:
            delay = result.retry_delay
        retries.append(Lease(lease_id=each.lease_id, delay=_bounded(delay)))
    return acks, retries


def _bounded(delay: int | None) -> int | None:
    return None if delay is None else max(0, min(delay, MAX_DELAY))
