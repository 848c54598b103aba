"""Queues as workerd speaks to them. The shapes were measured on workerd 1.20261117.1:

POST /message (the raw body, X-Msg-Fmt, X-Msg-Delay-Secs), POST /batch (JSON, bodies in base64;
X-Msg-Delay-Secs is for those without their own), GET /metrics. A send answers the metrics inside
`metadata`, GET /metrics answers them bare. The reason phrase is the caller's error text.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec
from aiohttp import web

from skerry.api.bindings.base import BindingFace
from skerry.api.bindings.kv import phrase
from skerry.api.reading import read_body
from skerry.errors import StorageError
from skerry.storage.queues.base import (
    MAX_BATCH,
    MAX_MESSAGE,
    BatchTooLarge,
    InvalidMessage,
    MessageTooLarge,
    Outgoing,
    Queue,
    QueueMetrics,
)

_BATCH_BODY = 2 * MAX_BATCH
"""Bytes of the JSON of a batch: base64 and the other fields."""


class _Message(msgspec.Struct):
    body: str
    contentType: str = "v8"  # noqa: N815  the wire's name
    delaySecs: int | None = None  # noqa: N815  the wire's name


class _Batch(msgspec.Struct):
    messages: list[_Message]


class QueueFace(BindingFace):
    """`queue` of workerd, and the same for the Python host."""

    def __init__(self, queue: Queue, delay: int = 0) -> None:
        """delay: the binding's `delivery_delay` in seconds; 0: the queue's own."""
        self._queue = queue
        self._delay = delay

    async def handle(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except StorageError as error:
            text = f"{error.message} ({error.code})" if error.code else error.message
            return web.Response(status=error.status, reason=phrase(text), text=text)

    async def _answer(self, request: web.Request) -> web.Response:
        what = (request.method, request.path)
        if what == ("GET", "/metrics"):
            return _json(metrics_object(await self._queue.metrics()))
        if what == ("POST", "/message"):
            messages = [await self._message(request)]
        elif what == ("POST", "/batch"):
            messages = await self._batch(request)
        else:
            raise StorageError(f"{request.method} {request.path[:100]} is not known", status=404)
        delay = _delay(request.headers.get("X-Msg-Delay-Secs"))
        if delay is None and self._delay:
            delay = self._delay
        metrics = await self._queue.send(messages, delay=delay)
        return _json({"metadata": {"metrics": metrics_object(metrics)}})

    async def _message(self, request: web.Request) -> Outgoing:
        def check(size: int) -> None:
            raise MessageTooLarge(size)

        return Outgoing(
            body=await read_body(request, MAX_MESSAGE, check),
            content_type=request.headers.get("X-Msg-Fmt", "v8"),
        )

    async def _batch(self, request: web.Request) -> list[Outgoing]:
        def check(size: int) -> None:
            raise BatchTooLarge(size)

        data = await read_body(request, _BATCH_BODY, check)
        try:
            batch = msgspec.json.decode(data, type=_Batch)
            return [
                Outgoing(
                    body=base64.b64decode(each.body, validate=True),
                    content_type=each.contentType,
                    delay=each.delaySecs,
                )
                for each in batch.messages
            ]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidMessage(f"the batch does not fit: {error}") from error
        except (binascii.Error, ValueError) as error:
            raise InvalidMessage(f"a body of the batch is not base64: {error}") from error


def metrics_object(metrics: QueueMetrics) -> dict[str, int]:
    """The metrics as a worker gets them; the oldest message's time is left out where none is."""
    found = {"backlogCount": metrics.backlog_count, "backlogBytes": metrics.backlog_bytes}
    if metrics.oldest_timestamp_ms:
        found["oldestMessageTimestamp"] = metrics.oldest_timestamp_ms
    return found


def _delay(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidMessage(f"a delay of {text[:40]!r} is not a number of seconds")
    return int(text)


def _json(value: dict[str, Any]) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
