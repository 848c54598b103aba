"""The queues of an account and their consumers, as the REST API lists them."""

from __future__ import annotations

from abc import ABC, abstractmethod

import msgspec

from skerry.errors import StorageError
from skerry.storage.queues.base import RETENTION, ConsumerSettings, Queue


class ConsumerNotFound(StorageError):
    """The queue has no such consumer."""

    def __init__(self, consumer_id: str) -> None:
        super().__init__(f"Consumer {consumer_id[:100]!r} does not exist", code=11001, status=404)


class ConsumerExists(StorageError):
    """The queue has a consumer already."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Queue {name!r} already has a consumer; remove it first", code=11004, status=409
        )


class QueueSettings(msgspec.Struct, kw_only=True, frozen=True):
    """What holds for all messages of a queue; times in seconds."""

    delivery_delay: int = 0
    delivery_paused: bool = False
    message_retention_period: int = RETENTION


class ConsumerInfo(msgspec.Struct, kw_only=True, frozen=True):
    """A consumer that was registered: a worker, or `http_pull`."""

    id: str
    type: str
    script_name: str = ""
    settings: ConsumerSettings = ConsumerSettings()
    created_ms: int = 0


class QueueInfo(msgspec.Struct, kw_only=True, frozen=True):
    """A queue as it is listed."""

    id: str
    name: str
    created_ms: int
    modified_ms: int
    settings: QueueSettings = QueueSettings()
    consumers: list[ConsumerInfo] = []
    purged_ms: int = 0
    """When its messages were last deleted all at once; 0: never."""


class QueueRegistry(ABC):
    """The queues of one account."""

    @abstractmethod
    def queue(self, name: str) -> Queue:
        """A queue by name; it is made by its first message. Raises QueueNameInvalid."""

    @abstractmethod
    async def create(self, name: str, settings: QueueSettings | None = None) -> QueueInfo:
        """Raises QueueExists, QueueNameInvalid, InvalidSetting."""

    @abstractmethod
    async def list(self) -> list[QueueInfo]:
        """All, in the order of their names."""

    @abstractmethod
    async def get(self, queue_id: str) -> QueueInfo:
        """By id, or by name. Raises QueueNotFound."""

    @abstractmethod
    async def update(
        self, queue_id: str, *, name: str | None = None, settings: QueueSettings | None = None
    ) -> QueueInfo:
        """Rename, or change settings. Raises QueueNotFound, QueueExists, InvalidSetting."""

    @abstractmethod
    async def delete(self, queue_id: str) -> None:
        """With its messages and consumers. Raises QueueNotFound."""

    @abstractmethod
    async def add_consumer(self, queue_id: str, consumer: ConsumerInfo) -> ConsumerInfo:
        """Its id and time are made here. Raises QueueNotFound, ConsumerExists, InvalidSetting."""

    @abstractmethod
    async def update_consumer(self, queue_id: str, consumer: ConsumerInfo) -> ConsumerInfo:
        """Replace the one of this id. Raises QueueNotFound, ConsumerNotFound, InvalidSetting."""

    @abstractmethod
    async def remove_consumer(self, queue_id: str, consumer_id: str) -> None:
        """Raises QueueNotFound, ConsumerNotFound."""
