"""Limits, checked before anything is stored."""

from __future__ import annotations

import re
from collections.abc import Sequence

from skerry.storage.queues.base import (
    CONTENT_TYPES,
    MAX_BATCH,
    MAX_BATCH_COUNT,
    MAX_CONCURRENCY,
    MAX_DELAY,
    MAX_MESSAGE,
    MAX_RETRIES,
    MAX_VISIBILITY_MS,
    MAX_WAIT_MS,
    BatchCount,
    BatchTooLarge,
    ConsumerSettings,
    InvalidMessage,
    InvalidSetting,
    MessageTooLarge,
    Outgoing,
    QueueNameInvalid,
)

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")


def check_name(name: str) -> str:
    """The name. Raises QueueNameInvalid."""
    if _NAME.fullmatch(name) is None:
        raise QueueNameInvalid(name)
    return name


def check_delay(delay: int | None) -> None:
    """Raises InvalidMessage."""
    if delay is not None and not 0 <= delay <= MAX_DELAY:
        raise InvalidMessage(f"a delay of {delay} seconds is not from 0 to {MAX_DELAY}")


def check_messages(messages: Sequence[Outgoing]) -> int:
    """Bytes of the messages together. Raises what `Queue.send` raises."""
    if not 1 <= len(messages) <= MAX_BATCH_COUNT:
        raise BatchCount(len(messages))
    total = 0
    for each in messages:
        size = len(each.body)
        if size > MAX_MESSAGE:
            raise MessageTooLarge(size)
        if each.content_type not in CONTENT_TYPES:
            raise InvalidMessage(
                f"content type {each.content_type[:40]!r} is not text, bytes, json or v8"
            )
        check_delay(each.delay)
        total += size
    if total > MAX_BATCH:
        raise BatchTooLarge(total)
    return total


def check_consumer(consumer: ConsumerSettings) -> None:
    """Raises InvalidSetting, which names the setting and its bounds."""
    bounds = {
        "max_batch_size": (1, MAX_BATCH_COUNT),
        "max_wait_ms": (0, MAX_WAIT_MS),
        "max_retries": (0, MAX_RETRIES),
        "retry_delay": (0, MAX_DELAY),
        "max_concurrency": (1, MAX_CONCURRENCY),
        "visibility_timeout_ms": (1, MAX_VISIBILITY_MS),
    }
    for name, (low, high) in bounds.items():
        value = getattr(consumer, name)
        if value is not None and not low <= value <= high:
            raise InvalidSetting(f"{name}: {value} is not from {low} to {high}")
    if consumer.dead_letter_queue:
        check_name(consumer.dead_letter_queue)
