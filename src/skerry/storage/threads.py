"""Blocking work beside the event loop, and work that must not be left half way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """`work()` in a thread; a cancelled caller waits for its end, so that none goes on behind."""
    return await to_the_end(asyncio.to_thread(work))


async def to_the_end(work: Awaitable[T]) -> T:
    """Await `work`; where the caller is cancelled, only after its end, or with its failure."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                continue  # once more: the work still goes to its end
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error  # noqa: B904 - the failure says more than that its caller had gone
        raise
