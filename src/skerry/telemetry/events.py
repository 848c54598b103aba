"""One event per request, handed to whoever listens. Recording never blocks and never raises."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import deque

import msgspec

log = logging.getLogger("skerry.events")


class InferenceEvent(msgspec.Struct, kw_only=True):
    """What is known of one request once it has ended. Never holds inputs or answers."""

    timestamp: float
    """Unix time at which the request came in, in seconds."""
    id: str
    account: str
    model: str
    """The name that was asked for."""
    answered_by: str = ""
    """The model that answered; differs from `model` for an alias or a stand-in."""
    task: str = ""
    total: float = 0.0
    """Seconds from arrival to the last byte of the answer."""
    queue: float = 0.0
    load: float = 0.0
    run: float = 0.0
    first: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    neurons: float = 0.0
    streamed: bool = False
    success: bool = True
    code: int = 0
    """Cloudflare's error code; 0 for success."""


class EventSink(ABC):
    """Takes events. `record` must return at once."""

    @abstractmethod
    def record(self, event: InferenceEvent) -> None:
        """Take one event."""


class RecentEvents(EventSink):
    """Keeps the last `size` events in memory; older ones are dropped."""

    def __init__(self, size: int = 1000) -> None:
        self._events: deque[InferenceEvent] = deque(maxlen=size)
        self.count = 0

    def record(self, event: InferenceEvent) -> None:
        self._events.append(event)
        self.count += 1
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s", msgspec.json.encode(event).decode())

    def recent(self) -> list[InferenceEvent]:
        """Newest last."""
        return list(self._events)
