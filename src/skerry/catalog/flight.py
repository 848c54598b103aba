"""Single flight: callers that want the same thing at the same time share one run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from skerry.catalog.progress import Progress, Report

T = TypeVar("T")


class _Flight(Generic[T]):
    def __init__(self) -> None:
        self.listeners: list[Report] = []
        self.last: Progress | None = None
        self.waiters = 0
        self.task: asyncio.Task[T] | None = None

    def report(self, progress: Progress) -> None:
        self.last = progress
        for listener in list(self.listeners):
            listener(progress)


class Flights(Generic[T]):
    """Runs by key. A run ends when the last of its callers is cancelled, and only then."""

    def __init__(self) -> None:
        self._flights: dict[str, _Flight[T]] = {}

    async def join(
        self, key: str, start: Callable[[Report], Awaitable[T]], report: Report | None
    ) -> T:
        """The outcome of the run under way, or of `start(report)` where there is none."""
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight()
            flight.task = asyncio.ensure_future(_run(start, flight.report))
        task = flight.task
        assert task is not None
        flight.waiters += 1
        if report is not None:
            flight.listeners.append(report)
            if flight.last is not None:
                report(flight.last)
        try:
            return await asyncio.shield(task)
        finally:
            flight.waiters -= 1
            if report is not None:
                flight.listeners.remove(report)
            if flight.waiters == 0:
                self._flights.pop(key, None)
                if not task.done():
                    task.cancel()
                    await asyncio.wait([task])
                    if not task.cancelled():
                        task.exception()  # nobody is left to be told

    def last(self, key: str) -> Progress | None:
        """The latest report of the run under way."""
        flight = self._flights.get(key)
        return flight.last if flight else None


async def _run(start: Callable[[Report], Awaitable[T]], report: Report) -> T:
    return await start(report)
