"""What a queue is: its values, its limits, its errors and its abstract class.

Limits and error codes: Cloudflare, "Queues: Limits" and "Queues: Error codes"; 1 KB is 1000 bytes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import msgspec

from skerry.errors import StorageError

MAX_MESSAGE = 128_000
"""Bytes of one message."""
MAX_BATCH = 256_000
"""Bytes of the messages of one send_batch."""
MAX_BATCH_COUNT = 100
"""Messages of one send_batch, and of one delivery."""
MAX_DELAY = 86_400
"""Seconds by which a message may be delayed, when it is sent or retried."""
MAX_VISIBILITY_MS = 43_200_000
"""Milliseconds of the longest lease: 12 hours."""
MAX_RETRIES = 100
MAX_WAIT_MS = 60_000
"""Milliseconds that a delivery may wait for its batch to fill."""
MAX_CONCURRENCY = 250
RETENTION = 345_600
"""Seconds that a message is kept unless the queue says otherwise: 4 days."""
MIN_RETENTION, MAX_RETENTION = 60, 1_209_600
MAX_BACKLOG = 25_000_000_000
"""Bytes that may wait in one queue."""

CONTENT_TYPES = frozenset({"text", "bytes", "json", "v8"})


class QueueError(StorageError):
    """A queue refused something; the code is Cloudflare's."""


class QueueNotFound(QueueError):
    """There is no such queue."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Queue {name[:100]!r} does not exist", code=10104, status=404)


class QueueExists(QueueError):
    """The name is taken."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Queue name '{name}' is already taken. Please use a different name and try again.",
            code=11009,
            status=409,
        )


class QueueNameInvalid(QueueError):
    """Not a queue's name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name[:100]!r} is no queue name: 1 to 63 letters, digits, '-' and '_', the first"
            " and the last a letter or digit",
            code=11003,
        )


class InvalidSetting(QueueError):
    """A setting of a queue or consumer is out of its bounds."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=10207)


class InvalidMessage(QueueError):
    """A content type or delay that does not exist."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=10203)


class MessageTooLarge(QueueError):
    """One message is over its limit."""

    def __init__(self, size: int) -> None:
        super().__init__(
            f"message length of {size} bytes exceeds limit of {MAX_MESSAGE}",
            code=10204,
            status=413,
        )


class BatchTooLarge(QueueError):
    """The messages of one send_batch are over their limit together."""

    def __init__(self, size: int) -> None:
        super().__init__(
            f"batch size of {size} bytes exceeds limit of {MAX_BATCH}", code=10205, status=413
        )


class BatchCount(QueueError):
    """No messages, or too many of them, in one send_batch."""

    def __init__(self, count: int) -> None:
        super().__init__(
            f"batch message count of {count} is not from 1 to {MAX_BATCH_COUNT}",
            code=10206,
            status=413 if count else 400,
        )


class BacklogFull(QueueError):
    """The queue holds as much as it may."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Storage Limit Exceeded: queue {name} holds {MAX_BACKLOG} bytes; consume or purge",
            code=10251,
            status=429,
        )


class Outgoing(msgspec.Struct, kw_only=True, frozen=True):
    """A message to send."""

    body: bytes
    """As the content type has it: UTF-8 text, bytes, JSON text, or V8's own serialization."""
    content_type: str = "json"
    delay: int | None = None
    """Seconds; None: the batch's or the queue's."""


class QueueMetrics(msgspec.Struct, kw_only=True, frozen=True):
    """What waits in a queue: all that is not acknowledged, delayed and leased messages too."""

    backlog_count: int = 0
    backlog_bytes: int = 0
    oldest_timestamp_ms: int = 0
    """Unix milliseconds; 0 where the queue is empty."""


class QueueMessage(msgspec.Struct, kw_only=True, frozen=True):
    """A message as a consumer gets it."""

    id: str
    body: bytes
    content_type: str
    timestamp_ms: int
    """When it was sent, Unix milliseconds."""
    attempts: int
    """How often it has been delivered, this time included; peeked at: before now."""
    lease_id: str = ""
    """Acknowledges or retries this delivery of the message; empty where it was peeked at."""


class QueueBatch(msgspec.Struct, kw_only=True, frozen=True):
    """One delivery to a worker's `queue` handler."""

    queue: str
    messages: list[QueueMessage]
    metrics: QueueMetrics = QueueMetrics()


class MessageRetry(msgspec.Struct, kw_only=True, frozen=True):
    """A message that the worker asked to have again."""

    id: str
    delay: int | None = None
    """Seconds; None: the batch's or the consumer's."""


class QueueResult(msgspec.Struct, kw_only=True, frozen=True):
    """What a worker's `queue` handler made of a batch."""

    outcome: str = "ok"
    """`ok`, or `exception` and the like where the handler threw or was cut off."""
    ack_all: bool = False
    retry_all: bool = False
    retry_delay: int | None = None
    """Seconds, from `retryAll({delaySeconds})`."""
    acks: list[str] = []
    """Ids of messages that were acknowledged one by one."""
    retries: list[MessageRetry] = []


class ConsumerSettings(msgspec.Struct, kw_only=True, frozen=True):
    """How a queue's messages are consumed."""

    max_batch_size: int = 10
    max_wait_ms: int = 5000
    """Milliseconds that a delivery waits for its batch to fill."""
    max_retries: int = 3
    """Deliveries after the first, before the message is given up."""
    retry_delay: int = 0
    """Seconds before a retry that names no delay."""
    dead_letter_queue: str = ""
    """Where messages go that were given up; empty: they are dropped, and the log says so."""
    max_concurrency: int | None = None
    """Deliveries at a time; None: the node's own choice."""
    visibility_timeout_ms: int = 30_000
    """Milliseconds of a lease that a pull does not name."""


class Lease(msgspec.Struct, kw_only=True, frozen=True):
    """A lease that is given back with a wish to have its message again."""

    lease_id: str
    delay: int | None = None


class Settled(msgspec.Struct, kw_only=True, frozen=True):
    """What became of a consumer's answer."""

    acked: int = 0
    retried: int = 0
    warnings: dict[str, str] = {}
    """Lease id -> why it had no effect."""


class Queue(ABC):
    """One queue. It is made by its first message where it does not exist yet."""

    name: str

    @abstractmethod
    async def send(self, messages: Sequence[Outgoing], *, delay: int | None = None) -> QueueMetrics:
        """Keep the messages, all or none; once this returns they survive any crash.

        delay: seconds for those that name none; None: the queue's own.
        Raises MessageTooLarge, BatchTooLarge, BatchCount, InvalidMessage, BacklogFull.
        """

    @abstractmethod
    async def metrics(self) -> QueueMetrics:
        """What waits."""

    @abstractmethod
    async def ready(self, most: int) -> tuple[int, float | None]:
        """How many messages could be leased now, counted to `most`, and when one of them became
        so, or the first of the others will: Unix seconds; None where the queue is empty or its
        delivery is paused."""

    @abstractmethod
    async def lease(
        self, consumer: ConsumerSettings, *, most: int, seconds: float
    ) -> list[QueueMessage]:
        """Take up to `most` messages for `seconds`; nobody else gets them until then.

        A message whose lease ends without an answer can be leased again. One that has had all its
        deliveries goes to the dead letter queue instead, or is dropped.
        """

    @abstractmethod
    async def settle(
        self, consumer: ConsumerSettings, acks: Sequence[str], retries: Sequence[Lease]
    ) -> Settled:
        """Answer leases: an acknowledged message is never delivered again.

        An acknowledgement counts after its lease has ended, too; a retry only while nobody else
        has leased the message. Raises InvalidMessage for a delay out of its bounds.
        """

    @abstractmethod
    async def extend(self, lease_ids: Sequence[str], seconds: float) -> None:
        """Let leases that are still held end `seconds` from now."""

    @abstractmethod
    async def release(self, lease_ids: Sequence[str]) -> None:
        """Give messages back that were not delivered: at once, and the attempt does not count."""

    @abstractmethod
    async def peek(self, most: int) -> list[QueueMessage]:
        """The next messages, without a lease."""

    @abstractmethod
    async def remove(self, ids: Sequence[str]) -> list[str]:
        """Delete messages by id; answers the ids that were not there."""

    @abstractmethod
    async def purge(self) -> int:
        """Delete all messages; how many."""

    @abstractmethod
    async def wait(self, seconds: float) -> None:
        """Until a message is sent by this process, or `seconds` have passed."""
