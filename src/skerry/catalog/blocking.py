"""Blocking work beside the event loop that stops when its task is cancelled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class StoppedError(BaseException):
    """Raised inside the thread once nobody waits for it; never reaches a caller."""


class Stop:
    """Asked between chunks of blocking work."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def check(self) -> None:
        if self._event.is_set():
            raise StoppedError


async def run_blocking(work: Callable[[Stop], T]) -> T:
    """`work(stop)` in a thread. A cancelled caller waits until the thread has stopped, so that
    no thread writes a file after its lock was given back."""
    stop = Stop()
    thread = asyncio.ensure_future(asyncio.to_thread(_guard, work, stop))
    try:
        outcome = await asyncio.shield(thread)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([thread])
        if not thread.cancelled():
            thread.exception()
        raise
    if isinstance(outcome, StoppedError):
        raise asyncio.CancelledError from outcome
    return outcome


def _guard(work: Callable[[Stop], T], stop: Stop) -> T | StoppedError:
    try:
        return work(stop)
    except StoppedError as stopped:
        return stopped
