"""Waiting for the event loop from a thread beside it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Coroutine
from typing import Any

from _skerry.state import RUNTIME


def can_run_sync() -> bool:
    """Not on the loop's own thread: it would wait for itself."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False


def run_sync(work: Awaitable[Any]) -> Any:
    """What the awaitable gives, from a thread of a WSGI application or asyncio.to_thread.

    Raises RuntimeError on the event loop's own thread: there, await it.
    """
    if not can_run_sync():
        if asyncio.iscoroutine(work):
            work.close()
        raise RuntimeError(
            "run_sync() waits for the event loop, and this code runs on it: use `await`, or call"
            " it from a WSGI application or within asyncio.to_thread()"
        )

    async def run() -> Any:
        return await work

    loop = RUNTIME.get().loop
    context = contextvars.copy_context()
    return asyncio.run_coroutine_threadsafe(_within(context, run()), loop).result()


async def _within(context: contextvars.Context, work: Coroutine[Any, Any, Any]) -> Any:
    return await asyncio.get_running_loop().create_task(work, context=context)
