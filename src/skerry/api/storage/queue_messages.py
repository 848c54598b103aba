"""The messages of a queue over REST: push, pull, acknowledge, peek, purge."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from skerry.api.storage.rest import json_body, ok, stored
from skerry.storage.queues.base import (
    MAX_BATCH,
    MAX_BATCH_COUNT,
    MAX_VISIBILITY_MS,
    ConsumerSettings,
    InvalidMessage,
    InvalidSetting,
    Lease,
    Outgoing,
    Queue,
    QueueMessage,
    QueueMetrics,
)

if TYPE_CHECKING:
    from skerry.storage.open import Stores

_BODY = 8 * MAX_BATCH
"""Bytes of a request; JSON may need six characters for one."""
PULL = 5
"""Messages of a pull that names no number."""


class Push(msgspec.Struct):
    """A message to push."""

    body: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    content_type: str = "json"
    delay_seconds: int | None = None


class PushBatch(msgspec.Struct):
    """Messages to push."""

    messages: list[Push]
    delay_seconds: int | None = None


class Pull(msgspec.Struct):
    """How many messages to lease, and for how long."""

    batch_size: int = PULL
    visibility_timeout_ms: int | None = None
    visibility_timeout: int | None = None


class Ack(msgspec.Struct):
    """A lease to acknowledge."""

    lease_id: str


class Retry(msgspec.Struct):
    """A lease to give back."""

    lease_id: str
    delay_seconds: int | None = None


class Answers(msgspec.Struct):
    """What became of leased messages."""

    acks: list[Ack] = []
    retries: list[Retry] = []


class Ref(msgspec.Struct):
    """A message that was peeked at."""

    ref: str


class Refs(msgspec.Struct):
    """Messages to delete."""

    refs: list[Ref]


class QueueMessagesRest:
    """…/queues/{queue}/messages…"""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def routes(self, one: str) -> list[web.RouteDef]:
        """one: the path of a queue."""
        base = f"{one}/messages"
        return [
            web.post(base, stored(self.push, Push)),
            web.post(f"{base}/batch", stored(self.push_batch, PushBatch)),
            web.post(f"{base}/pull", stored(self.pull, Pull)),
            web.post(f"{base}/ack", stored(self.ack, Answers)),
            web.post(f"{base}/peek", stored(self.peek, Pull)),
            web.post(f"{base}/purge", stored(self.purge, Refs)),
        ]

    async def push(self, request: web.Request) -> web.Response:
        """Send a message: {body, content_type: text or json, delay_seconds?}."""
        body = await json_body(request, Push, _BODY)
        queue, _ = await self._queue(request)
        return _sent(await queue.send([_outgoing(body)]))

    async def push_batch(self, request: web.Request) -> web.Response:
        """Send messages, all or none: {messages, delay_seconds?}."""
        body = await json_body(request, PushBatch, _BODY)
        queue, _ = await self._queue(request)
        messages = [_outgoing(each) for each in body.messages]
        return _sent(await queue.send(messages, delay=body.delay_seconds))

    async def pull(self, request: web.Request) -> web.Response:
        """Lease messages: {batch_size?, visibility_timeout_ms?}.

        A body of the type text is a text; json, bytes and v8 are in base64.
        """
        body = await json_body(request, Pull)
        queue, settings = await self._queue(request)
        if not 1 <= body.batch_size <= MAX_BATCH_COUNT:
            raise InvalidSetting(f"batch_size: {body.batch_size} is not from 1 to 100")
        asked = body.visibility_timeout_ms or body.visibility_timeout
        visible = settings.visibility_timeout_ms if asked is None else asked
        if not 1 <= visible <= MAX_VISIBILITY_MS:
            raise InvalidSetting(
                f"visibility_timeout_ms: {visible} is not from 1 to {MAX_VISIBILITY_MS}"
            )
        messages = await queue.lease(settings, most=body.batch_size, seconds=visible / 1000)
        metrics = await queue.metrics()
        return ok(
            {
                "message_backlog_count": metrics.backlog_count,
                "messages": [_message(each) | {"lease_id": each.lease_id} for each in messages],
                "metadata": {"metrics": metrics_of(metrics)},
            }
        )

    async def ack(self, request: web.Request) -> web.Response:
        """Answer leases: {acks, retries}; a lease without effect has a warning."""
        body = await json_body(request, Answers)
        queue, settings = await self._queue(request)
        settled = await queue.settle(
            settings,
            [each.lease_id for each in body.acks],
            [Lease(lease_id=each.lease_id, delay=each.delay_seconds) for each in body.retries],
        )
        return ok(
            {
                "ackCount": settled.acked,
                "retryCount": settled.retried,
                "warnings": settled.warnings,
            }
        )

    async def peek(self, request: web.Request) -> web.Response:
        """Show the next messages, without a lease."""
        body = await json_body(request, Pull)
        queue, _ = await self._queue(request)
        if not 1 <= body.batch_size <= MAX_BATCH_COUNT:
            raise InvalidSetting(f"batch_size: {body.batch_size} is not from 1 to 100")
        found = await queue.peek(body.batch_size)
        return ok({"messages": [_message(each) | {"ref": each.id} for each in found]})

    async def purge(self, request: web.Request) -> web.Response:
        """Delete messages that were peeked at: {refs}."""
        body = await json_body(request, Refs)
        queue, _ = await self._queue(request)
        missing = await queue.remove([each.ref for each in body.refs])
        return ok({"errors": [], "warnings": dict.fromkeys(missing, "this message is not there")})

    async def _queue(self, request: web.Request) -> tuple[Queue, ConsumerSettings]:
        """The queue of the path, and how it is pulled from. Raises QueueNotFound."""
        where = request.match_info
        info = await self._stores.queues(where["account"]).get(where["queue"])
        settings = info.consumers[0].settings if info.consumers else ConsumerSettings()
        return self._stores.queue(where["account"], info.name), settings


def _outgoing(message: Push) -> Outgoing:
    data = b"null" if isinstance(message.body, msgspec.UnsetType) else bytes(message.body)
    if message.content_type == "text":
        try:
            data = msgspec.json.decode(data, type=str).encode()
        except (msgspec.DecodeError, UnicodeError) as error:
            raise InvalidMessage(f"body: a message of type text is a text: {error}") from error
    elif message.content_type != "json":
        raise InvalidMessage(f"content_type: {message.content_type[:40]!r} is not text or json")
    return Outgoing(body=data, content_type=message.content_type, delay=message.delay_seconds)


def _message(message: QueueMessage) -> dict[str, Any]:
    text = message.content_type == "text"
    return {
        "id": message.id,
        "body": message.body.decode("utf-8", "replace")
        if text
        else base64.b64encode(message.body).decode(),
        "timestamp_ms": message.timestamp_ms,
        "attempts": message.attempts,
        "metadata": {"CF-Content-Type": message.content_type},
    }


def _sent(metrics: QueueMetrics) -> web.Response:
    return ok({"metadata": {"metrics": metrics_of(metrics)}})


def metrics_of(metrics: QueueMetrics) -> dict[str, int]:
    """The metrics as REST names them."""
    return {
        "backlog_count": metrics.backlog_count,
        "backlog_bytes": metrics.backlog_bytes,
        "oldest_message_timestamp_ms": metrics.oldest_timestamp_ms,
    }


def iso(milliseconds: int) -> str:
    """A time as Cloudflare writes it."""
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")
