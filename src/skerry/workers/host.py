"""What every worker host is: a process that runs one project's code, on a socket of the node's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import msgspec

from skerry.storage.queues.base import QueueBatch, QueueResult


class ScheduledResult(msgspec.Struct, kw_only=True, frozen=True):
    """What came of a cron event: `ok`, or `exception` and the like."""

    outcome: str = "ok"
    no_retry: bool = False
    """The worker asked not to be called again for this event."""


class WorkerHost(ABC):
    """A process that runs one project's code; the parent owns its listening socket."""

    @abstractmethod
    async def start(self) -> None:
        """Start the code and wait until it listens. Raises BuildError, WorkerError."""

    @abstractmethod
    async def stop(self, grace: float) -> None:
        """Let requests in flight end, for `grace` seconds, then stop."""

    @abstractmethod
    async def scheduled(self, cron: str, time: float) -> ScheduledResult:
        """Deliver a cron event. time: Unix seconds when it was due. Raises WorkerError."""

    @abstractmethod
    async def queue(self, batch: QueueBatch) -> QueueResult:
        """Deliver messages. Raises WorkerError where no handler could be asked."""

    @property
    @abstractmethod
    def address(self) -> Path:
        """The unix socket that HTTP goes to."""
