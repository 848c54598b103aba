"""What workers say, as it goes to the terminal and to `skerry tail`."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import msgspec


class LogEvent(msgspec.Struct, kw_only=True, frozen=True):
    """One line of `console.log` or print, one exception, one failed waitUntil."""

    timestamp: float
    """Unix seconds."""
    worker: str
    level: str = "log"
    """debug, info, log, warn or error."""
    message: list[Any] = []
    """Its parts: text, numbers, JSON values."""
    kind: str = "log"
    """log, exception, waitUntil (an exception after the answer), or host (Skerry's own words)."""
    request: str = ""
    """Id of the request that said it; empty outside of one."""


LogSink = Callable[[LogEvent], None]

RECENT = 200
"""Events that a new subscriber is told of the past."""
WAITING = 1000
"""Events that may wait for one subscriber; the oldest go first, and it is told how many."""


class LogHub:
    """Passes events on to any number of subscribers; none can hold up a worker."""

    def __init__(self) -> None:
        self._recent: deque[LogEvent] = deque(maxlen=RECENT)
        self._queues: set[Subscription] = set()

    def put(self, event: LogEvent) -> None:
        """Tell every subscriber; a LogSink."""
        self._recent.append(event)
        for each in self._queues:
            each.put(event)

    def close(self) -> None:
        """Nothing more will be said: readers end once they have read what there is."""
        for each in self._queues:
            each.close()

    def recent(self) -> list[LogEvent]:
        """The last events, the oldest first."""
        return list(self._recent)

    @contextlib.contextmanager
    def subscribe(self) -> Iterator[Subscription]:
        """Every event from now on, until the block is left."""
        subscription = Subscription()
        self._queues.add(subscription)
        try:
            yield subscription
        finally:
            self._queues.discard(subscription)


class Subscription:
    """One reader's events."""

    def __init__(self) -> None:
        self._events: deque[LogEvent] = deque()
        self._ready = asyncio.Event()
        self._lost = 0
        self._closed = False

    def put(self, event: LogEvent) -> None:
        """One more event; the oldest goes where too many wait."""
        if len(self._events) >= WAITING:
            self._events.popleft()
            self._lost += 1
        self._events.append(event)
        self._ready.set()

    def close(self) -> None:
        """No more events come."""
        self._closed = True
        self._ready.set()

    async def get(self) -> LogEvent | None:
        """The next event, or the word that some were lost; None at the end."""
        while not self._events:
            if self._closed:
                return None
            self._ready.clear()
            await self._ready.wait()
        if self._lost:
            first, lost = self._events[0], self._lost
            self._lost = 0
            return LogEvent(
                timestamp=first.timestamp,
                worker=first.worker,
                level="warn",
                message=[f"{lost} events were lost: they came faster than they were read"],
                kind="host",
            )
        return self._events.popleft()
