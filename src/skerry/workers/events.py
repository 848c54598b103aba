"""What comes to a worker by itself: its cron triggers and the queues that it consumes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from skerry.errors import WorkerError
from skerry.storage.queues.base import ConsumerSettings, Queue, QueueBatch, QueueResult
from skerry.storage.slots import Slots
from skerry.workers import project as projects
from skerry.workers.consumers import QueueConsumer
from skerry.workers.host import ScheduledResult, WorkerHost
from skerry.workers.project import Project
from skerry.workers.schedule import CronSchedule


class EventStores(Protocol):
    """Whatever holds the queues, and knows who fires which trigger."""

    def queue(self, account: str, name: str) -> Queue:
        """A queue. Raises QueueNameInvalid."""

    def slots(self, account: str) -> Slots:
        """Who fires which cron trigger."""


class Events:
    """The triggers and consumers of one worker, whatever version of it runs."""

    def __init__(
        self, account: str, stores: EventStores, host: Callable[[], WorkerHost | None]
    ) -> None:
        """host: the process that runs the worker now; None while there is none."""
        self._account = account
        self._stores = stores
        self._host = host
        self._crons: CronSchedule | None = None
        self._consumers: list[QueueConsumer] = []
        self._of: tuple[object, ...] | None = None

    async def follow(self, project: Project) -> None:
        """Take up what this version of the project names, where it differs from the one before.

        Raises InvalidCron, InvalidSetting.
        """
        of = (project.name, project.crons, project.consumers)
        if of == self._of:
            return
        await self.close()
        stores, account = self._stores, self._account
        self._crons = CronSchedule(
            project.name, project.crons, stores.slots(account), self._scheduled
        )
        self._consumers = [
            QueueConsumer(stores.queue(account, each.queue), _settings(each), self._queue)
            for each in project.consumers
        ]
        self._crons.start()
        for each in self._consumers:
            each.start()
        self._of = of

    async def close(self, grace: float = 10.0) -> None:
        """Start nothing more; let what runs end within `grace` seconds."""
        crons, self._crons = self._crons, None
        consumers, self._consumers, self._of = self._consumers, [], None
        work = [each.close(grace) for each in consumers]
        if crons is not None:
            work.append(crons.close(grace))
        await asyncio.gather(*work)

    def _now(self) -> WorkerHost:
        host = self._host()
        if host is None:
            raise WorkerError("the worker does not run")
        return host

    async def _scheduled(self, cron: str, time: float) -> ScheduledResult:
        return await self._now().scheduled(cron, time)

    async def _queue(self, batch: QueueBatch) -> QueueResult:
        return await self._now().queue(batch)


def _settings(consumer: projects.QueueConsumer) -> ConsumerSettings:
    return ConsumerSettings(
        max_batch_size=consumer.max_batch_size,
        max_wait_ms=round(consumer.max_batch_timeout * 1000),
        max_retries=consumer.max_retries,
        retry_delay=consumer.retry_delay,
        dead_letter_queue=consumer.dead_letter_queue or "",
        max_concurrency=consumer.max_concurrency,
    )
