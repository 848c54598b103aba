"""What scheduled() and queue() are given."""

from __future__ import annotations

import base64
import functools
from collections.abc import Iterator
from typing import Any

from _skerry.values import Array, Date, Result, Uint8Array, loads, options


class ScheduledController:
    """A cron event."""

    def __init__(self, event: dict[str, Any]) -> None:
        self.cron: str = event["cron"]
        self.scheduledTime = int(event["time"] * 1000)
        self.type = "scheduled"
        self._no_retry = False

    @property
    def scheduled_time(self) -> int:
        return self.scheduledTime

    def noRetry(self) -> None:
        self._no_retry = True

    no_retry = noRetry

    def result(self) -> dict[str, Any]:
        return {"no_retry": self._no_retry}


class Message:
    """One message of a batch."""

    def __init__(self, message: dict[str, Any], batch: MessageBatch) -> None:
        self.id: str = message["id"]
        self.timestamp = Date.at(message["timestamp_ms"] / 1000)
        self.attempts: int = message["attempts"]
        self._data = base64.b64decode(message["body"])
        self._kind: str = message["content_type"]
        self._batch = batch

    @functools.cached_property
    def body(self) -> Any:
        """As it was sent. Raises ValueError for what only JavaScript can read."""
        return _body(self._data, self._kind)

    def ack(self) -> None:
        """Never deliver it again."""
        self._batch.settle(self.id, None)

    def retry(self, retry_options: Any = None, **kwargs: Any) -> None:
        """Deliver it again; delaySeconds=, or an object with it."""
        self._batch.settle(self.id, options(retry_options, kwargs))


class MessageBatch:
    """The messages of one delivery. The first answer to a message counts."""

    def __init__(self, batch: dict[str, Any]) -> None:
        self.queue: str = batch["queue"]
        self.messages = Array(Message(each, self) for each in batch["messages"])
        self.metadata = Result(metrics=Result(batch.get("metrics") or {}))
        self._answers: dict[str, dict[str, Any] | None] = {}
        self._all: str = ""
        self._delay: int | None = None

    def __iter__(self) -> Iterator[Message]:
        return iter(self.messages)

    def __len__(self) -> int:
        return len(self.messages)

    def settle(self, message_id: str, retry: dict[str, Any] | None) -> None:
        self._answers.setdefault(message_id, retry)

    def ackAll(self) -> None:
        self._all = self._all or "ack"

    def retryAll(self, retry_options: Any = None, **kwargs: Any) -> None:
        if not self._all:
            self._all = "retry"
            self._delay = options(retry_options, kwargs).get("delaySeconds")

    ack_all, retry_all = ackAll, retryAll

    def result(self) -> dict[str, Any]:
        return {
            "ack_all": self._all == "ack",
            "retry_all": self._all == "retry",
            "retry_delay": self._delay,
            "acks": [key for key, retry in self._answers.items() if retry is None],
            "retries": [
                {"id": key, "delay": retry.get("delaySeconds")}
                for key, retry in self._answers.items()
                if retry is not None
            ],
        }


def _body(data: bytes, kind: str) -> Any:
    if kind == "json":
        return loads(data)
    if kind == "text":
        return data.decode(errors="replace")
    if kind == "bytes":
        return Uint8Array(data)
    raise ValueError(
        f"this message was sent with contentType {kind!r}, JavaScript's own form:"
        " send it with contentType 'json', 'text' or 'bytes' to read it in Python"
    )
