"""`env.QUEUE`: the sending end of a queue."""

from __future__ import annotations

import base64
from typing import Any

from _skerry.client import Client, Reply
from _skerry.values import Result, dumps, loads, options


class QueueError(Exception):
    """What a queue raises: "Queue send failed: …"."""


class Queue:
    """send, sendBatch, metrics."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._name = name

    async def send(self, body: Any, send_options: Any = None, **kwargs: Any) -> Result:
        """Send one message: JSON, unless contentType= says "text" or "bytes"; delaySeconds=."""
        given = options(send_options, kwargs)
        kind, data = _encoded(body, given.get("contentType"))
        headers = [("x-msg-fmt", kind), *_delay(given)]
        reply = await self._client.request(self._name, "POST", "/message", headers, data)
        return await _sent(reply, "send")

    async def sendBatch(self, messages: Any, send_options: Any = None, **kwargs: Any) -> Result:
        """Send messages, all or none; each {body, contentType?, delaySeconds?}."""
        told = []
        for message in messages:
            given = options(message, {}) if isinstance(message, dict) else vars(message)
            kind, data = _encoded(given.get("body"), given.get("contentType"))
            each: dict[str, Any] = {"body": base64.b64encode(data).decode(), "contentType": kind}
            if "delaySeconds" in given:
                each["delaySecs"] = int(given["delaySeconds"])
            told.append(each)
        headers = [("content-type", "application/json"), *_delay(options(send_options, kwargs))]
        data = dumps({"messages": told}).encode()
        reply = await self._client.request(self._name, "POST", "/batch", headers, data)
        return await _sent(reply, "sendBatch")

    send_batch = sendBatch

    async def metrics(self) -> Result:
        """{backlogCount, backlogBytes, oldestMessageTimestamp?}."""
        return await _sent(await self._client.request(self._name, "GET", "/metrics"), "metrics")


def _encoded(body: Any, kind: str | None) -> tuple[str, bytes]:
    if kind is None:
        kind = "bytes" if isinstance(body, bytes | bytearray | memoryview) else "json"
    if kind == "json":
        return kind, dumps(body).encode()
    if kind == "text" and isinstance(body, str):
        return kind, body.encode()
    if kind == "bytes" and isinstance(body, bytes | bytearray | memoryview):
        return kind, bytes(body)
    raise TypeError(
        f"a message of {type(body).__name__} cannot be sent with contentType {kind!r}:"
        " 'json' takes what JSON can hold, 'text' a str, 'bytes' bytes"
    )


def _delay(given: dict[str, Any]) -> list[tuple[str, str]]:
    seconds = given.get("delaySeconds")
    return [] if seconds is None else [("x-msg-delay-secs", str(int(seconds)))]


async def _sent(reply: Reply, action: str) -> Result:
    data = await reply.read()
    if reply.status >= 300:
        raise QueueError(f"Queue {action} failed: {reply.reason}")
    found: Result = loads(data)
    return found
